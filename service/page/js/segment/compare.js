// The mask in hand beside another: that of another model, or a truth from a file.

import { h, fill } from "../dom.js";
import { field, select } from "../components/field.js";
import { problemCard } from "../components/problem.js";
import { imageOf } from "../scan/image.js";
import { scanOf } from "../scan/files.js";
import { readNifti } from "../scan/nifti.js";
import { segment } from "../segmenting.js";
import { labelsOf } from "../viewer/labels.js";
import { number } from "../words.js";
import { diceOf } from "./dice.js";
import { swatch } from "./result.js";
import { runner } from "./run.js";

const GRID_MM = 0.01;

/** A card that compares; the answer is a table of Dice, and a switch between the two masks in the viewer. */
export function compareCard(hand, versions, viewer) {
  const answer = h("div", { class: "stack" });
  const others = versions.filter((one) => one.reference !== hand.result.model);
  const file = h("input", { type: "file", onchange: () => truth([...file.files]) });
  const model = others.length ? select(others.map((one) => [one.reference, one.title]), others[0].reference) : null;
  const run = runner("Segment with this one too", async (watch) => {
    const other = await segment(hand.scan, { ...hand.wishes, model: model.value }, watch);
    await compared(other.mask, other.model);
  });

  async function truth(files) {
    if (!files.length) return;
    try {
      await compared(await imageOf(scanOf(files)), "the truth");
    } catch (error) {
      fill(answer, problemCard(error));
    } finally {
      file.value = "";
    }
  }

  async function compared(mask, name) {
    const labels = labelsOf(hand.model.labels);
    const [one, other] = await Promise.all([readNifti(hand.result.mask), readNifti(mask)]);
    checkGrid(one, other);
    const dice = diceOf(one.data, other.data, labels.map((label) => label.value));
    fill(answer, diceTable(dice, labels, hand.result.model, name), viewer && whichMask(viewer, hand.result.mask, mask, labels, hand.result.model, name));
  }

  return h("section", { class: "card" }, h("details", {}, h("summary", {}, "Compare"), h("div", { class: "stack" },
    h("p", { class: "muted" }, "Dice is 1 where two masks agree in every voxel, and 0 where they share none."),
    field("With a truth from a file", file, "A label volume on the scan's own grid, with the values of this model."),
    model && field("With another model", model), model && run.element, answer)));
}

function checkGrid(one, other) {
  const fits = one.dims.slice(0, 3).join() === other.dims.slice(0, 3).join() && affinesMatch(one, other);
  if (!fits) throw Object.assign(new Error(), { title: "The two masks lie on different grids", detail: `The scan has ${one.dims.slice(0, 3).join(" x ")} voxels, this file ${other.dims.slice(0, 3).join(" x ")}, or it lies elsewhere. Choose the truth of this very scan` });
}

/** Whether both say the same of where voxels lie, as far as both say it (sform). */
function affinesMatch(one, other) {
  const [a, b] = [one, other].map(({ view, little, isTwo }) => {
    const code = isTwo ? view.getInt32(348, little) : view.getInt16(254, little);
    return code > 0 ? Array.from({ length: 12 }, (_, i) => (isTwo ? view.getFloat64(400 + 8 * i, little) : view.getFloat32(280 + 4 * i, little))) : null;
  });
  return !a || !b || a.every((value, i) => Math.abs(value - b[i]) <= GRID_MM);
}

function diceTable(dice, labels, mine, theirs) {
  return h("div", { class: "scroll-x" }, h("table", { class: "dice" },
    h("caption", { class: "visually-hidden" }, `Agreement of ${mine} and ${theirs}`),
    h("thead", {}, h("tr", {}, ["Label", "Dice", `Voxels, ${mine}`, `Voxels, ${theirs}`].map((name, i) => h("th", { scope: "col", class: i ? "number" : "" }, name)))),
    h("tbody", {}, labels.map((label) => {
      const { dice: share, one, other } = dice.get(label.value);
      return h("tr", { data: { label: label.name } }, h("th", { scope: "row" }, h("span", { class: "row label-name" }, swatch(label.colour), label.name)),
        h("td", { class: "number" }, share === null ? "neither has it" : share.toFixed(3)), h("td", { class: "number" }, number(one)), h("td", { class: "number" }, number(other)));
    }))));
}

function whichMask(viewer, mine, theirs, labels, myName, theirName) {
  const buttons = [[mine, myName], [theirs, theirName]].map(([mask, name], i) => h("button", { class: "button small", type: "button", "aria-pressed": String(i === 0), onclick: async (event) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
    await viewer.setMask(mask, labels);
  } }, name));
  return h("div", { class: "row" }, h("span", { class: "small" }, "In the viewer:"), h("div", { class: "button-group", role: "group", "aria-label": "Mask in the viewer" }, buttons));
}
