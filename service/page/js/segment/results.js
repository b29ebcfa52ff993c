// The answer on the screen: the viewer, what was found, downloads, comparison.

import { h, fill } from "../dom.js";
import { link } from "../router.js";
import { labelsOf } from "../viewer/labels.js";
import { compareCard } from "./compare.js";
import { downloads } from "./downloads.js";
import { madeBy, sizesTable, trustCard } from "./result.js";

/** Cards for what is in hand; `viewer` may be null, where nothing can be drawn. */
export function resultCards(hand, info, viewer, versions) {
  const colours = new Map(hand.model.labels.map((label) => [label.value, label.colour]));
  return [
    trustCard(hand.result.summary.trust),
    h("section", { class: "card stack" }, h("h2", {}, "What was found"),
      sizesTable(hand.result.summary, colours, viewer && ((label) => shown(label, viewer))),
      madeBy(hand.result),
      viewer && h("div", { class: "row" }, h("a", { class: "button", href: link("correct") }, "Correct this mask"))),
    compareCard(hand, versions, viewer),
    downloads(hand, info.formats),
  ];
}

/** Lay the mask in hand over the scan. */
export async function showResult(hand, viewer) {
  await viewer.setMask(hand.result.mask, labelsOf(hand.model.labels));
  viewer.offerUncertainty(hand.result.uncertainty);
}

function shown(label, viewer) {
  const box = h("input", { type: "checkbox", checked: !viewer.hidden.has(label.value), "aria-label": `Show ${label.name}`, onchange: () => viewer.toggle(label.value, box.checked) });
  return fill(h("span", { class: "row" }), box, label.name);
}
