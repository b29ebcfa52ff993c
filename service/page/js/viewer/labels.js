// Label volumes as the viewer wants them: values that follow each other, 0, 1, 2, with a colour for each.

import { readNifti, withVoxels } from "../scan/nifti.js";

const UNKNOWN = [200, 200, 200];

/** The labels that a model or a dataset names, background left out: [{value, name, colour}]. */
export function labelsOf(labels) {
  return labels.filter((label) => label.value !== 0);
}

/** Voxels as places in `labels`, counted from 1; values that are none of them get the place behind the last. */
export function placesOf(data, labels) {
  const places = new Map(labels.map((label, i) => [label.value, i + 1]));
  const found = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 1) if (data[i]) found[i] = places.get(data[i]) ?? labels.length + 1;
  return found;
}

/** The values that places stand for, in the type that holds them all. */
export function valuesOf(places, labels) {
  const values = [0, ...labels.map((label) => label.value)];
  const kind = Math.max(...values) < 256 ? Uint8Array : Uint16Array;
  return kind.from(places, (place) => values[place] ?? 0);
}

/** A label volume (a blob of NIfTI) as one of places. */
export async function dense(blob, labels) {
  const nifti = await readNifti(blob);
  return withVoxels(nifti, placesOf(nifti.data, labels));
}

/** NiiVue's table of colours for places; `hidden` are values that are not drawn. */
export function colormap(labels, hidden = new Set()) {
  const colours = [[0, 0, 0], ...labels.map((label) => label.colour), UNKNOWN];
  const seen = [0, ...labels.map((label) => (hidden.has(label.value) ? 0 : 255)), 255];
  return {
    R: colours.map((one) => one[0]), G: colours.map((one) => one[1]), B: colours.map((one) => one[2]),
    A: seen, I: colours.map((_, i) => i), labels: ["", ...labels.map((label) => label.name), "no label of this model"],
  };
}
