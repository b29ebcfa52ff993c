// What datasets hold and what was done to them, in words.

import { h } from "../dom.js";
import { capital } from "../jobs/words.js";
import { swatch } from "../segment/result.js";
import { labelsOf } from "../viewer/labels.js";
import { plural } from "../words.js";

const MOST = 12; // labels that are named in a list

/** The labels of a dataset with their colours. */
export function labelList(labels) {
  const named = labelsOf(labels), more = named.length - MOST;
  return h("ul", { class: "row legend", "aria-label": "Labels" },
    named.slice(0, MOST).map((label) => h("li", { class: "row label-name" }, swatch(label.colour), label.name)),
    more > 0 && h("li", { class: "muted" }, `and ${more} more`));
}

/** How many cases models are judged on. */
export function frozenWords({ frozen_count: count }) {
  return count ? `${count} frozen` : "none frozen yet";
}

/** Whether models learn from a case, as a tag. */
export function sideTag(case_, isFrozen) {
  if (!isFrozen) return null;
  return case_.frozen ? h("span", { class: "tag accent" }, "frozen") : h("span", { class: "tag" }, "training");
}

/** One change of a dataset. */
export function changeWords({ what, cases, frozen }) {
  if (what === "created") return "Made, without cases";
  if (what === "imported") return `Made of a zip with ${plural(Object.keys(cases ?? {}).length, "case")}`;
  if (what === "frozen") return `${plural(Object.keys(frozen ?? {}).length, "case")} frozen`;
  return capital(what);
}
