// The viewer with its controls: what is seen from where, how much of the mask, and where the cross is.

import { fill, h } from "../dom.js";
import { check, field, select } from "../components/field.js";
import { canDraw } from "./niivue.js";
import { openViewer } from "./viewer.js";

const LAYOUTS = [["planes", "Planes and 3D"], ["axial", "Axial"], ["coronal", "Coronal"], ["sagittal", "Sagittal"], ["render", "3D"]];

/** A panel in `root` on a blob of NIfTI; gives the viewer with `setMask(mask, labels)` and `offerUncertainty(blob)`, or null. */
export async function viewerPanel(root, image, isPicture) {
  if (!canDraw()) { fill(root, cannotDraw()); return null; }
  const stage = h("div", { class: "canvas-stage" }), place = h("p", { class: "small muted place", "aria-live": "off" }, " ");
  const controls = h("div", { class: "row viewer-controls" });
  fill(root, stage, place, controls);
  const viewer = await openViewer(stage, image, { isPicture, told: (at) => fill(place, words(at)) });
  const opacity = h("input", { type: "range", min: "0", max: "1", step: "0.05", value: "0.5", oninput: () => viewer.opacity("mask", Number(opacity.value)) });
  const mask = h("div", { class: "viewer-control", hidden: true }, field("Opacity of the mask", opacity));
  const unsure = h("div", { class: "viewer-control", hidden: true });
  fill(controls, viewer.isFlat ? null : layoutButtons(viewer), viewer.channels > 1 && !isPicture ? channelChoice(viewer) : null, mask, unsure);
  return Object.assign(viewer, {
    async setMask(blob, labels) {
      await viewer.showMask(blob, labels, Number(opacity.value));
      mask.hidden = false;
    },
    offerUncertainty(blob) {
      unsure.hidden = !blob;
      if (blob) fill(unsure, check("Show where the network is unsure", { onchange: (event) => viewer.showUncertainty(event.target.checked ? blob : null) }).row);
    },
  });
}

function layoutButtons(viewer) {
  const buttons = LAYOUTS.map(([name, title]) => h("button", { class: "button small", type: "button", "aria-pressed": String(name === "planes"), onclick: (event) => {
    viewer.layout(name);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
  } }, title));
  return h("div", { class: "button-group", role: "group", "aria-label": "What is seen" }, buttons);
}

function channelChoice(viewer) {
  const choices = Array.from({ length: viewer.channels }, (_, i) => [String(i), `Channel ${i + 1}`]);
  return h("div", { class: "viewer-control" }, field("Channel", select(choices, "0", (event) => viewer.channel(Number(event.target.value)))));
}

function words(at) {
  const [x, y, z] = at.vox.map((value) => Math.round(value));
  const mm = Array.from(at.mm).slice(0, 3).map((value) => value.toFixed(1)).join(" ");
  return `Voxel ${x} ${y} ${z} · ${mm} mm · value ${Number(at.values[0]?.value ?? 0).toPrecision(4)}`;
}

function cannotDraw() {
  return h("div", { class: "notice warn" }, h("h3", {}, "This browser cannot draw the scan"),
    h("p", {}, "WebGL 2 is switched off or not there. Numbers and downloads work all the same; switch on hardware acceleration, or use another browser, to look at it."));
}
