// A candidate beside the live version, label by label, on the same cases.

import { h } from "../dom.js";
import { plural } from "../words.js";

/** The judgement of a training that has ended, in which the candidate is called by its version; null without one. */
export function judgementOf({ outcome }) {
  return outcome?.judgement ? { ...outcome.judgement, b: outcome.candidate ?? outcome.judgement.b } : null;
}

/** A judgement as a table. */
export function judgementCard({ a, b, cases, mean, labels, learned, failed }) {
  const rows = [["All labels", mean], ...Object.entries(labels)];
  return h("section", { class: "card stack" },
    h("h2", {}, `${b} against ${a}`),
    h("p", { class: "small muted" }, `Dice on ${plural(cases, "frozen case")} that both segmented. An interval that holds 0 means: these cases cannot tell which is better.`),
    learned > 0 && h("p", { class: "notice warn" }, `One of the two learned from ${plural(learned, "case")} of these, which flatters it.`),
    failed > 0 && h("p", { class: "notice warn" }, `${plural(failed, "case")} could not be segmented by one of the two, and are in no figure.`),
    h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": `${b} against ${a}` }, h("table", { class: "judgement" },
      h("caption", { class: "visually-hidden" }, `Dice of ${b} against ${a}`),
      h("thead", {}, h("tr", {}, ["Label", a, b, "Change", "95 % interval", "Better / worse / same"].map((name, column) => h("th", { scope: "col", class: column ? "number" : "" }, name)))),
      h("tbody", {}, rows.map(([name, found]) => row(name, found.dice))))));
}

function row(name, { a, b, difference, interval, wins, losses, ties }) {
  const kind = !interval ? "" : interval[0] > 0 ? "good" : interval[1] < 0 ? "bad" : "";
  return h("tr", {},
    h("th", { scope: "row" }, name),
    h("td", { class: "number" }, share(a)), h("td", { class: "number" }, share(b)),
    h("td", { class: "number" }, h("span", { class: `tag ${kind}` }, signed(difference))),
    h("td", { class: "number" }, interval ? `${signed(interval[0])} to ${signed(interval[1])}` : "too few cases"),
    h("td", { class: "number" }, `${wins} / ${losses} / ${ties}`));
}

/** A share as people compare it: "0.912" */
export function share(value) {
  return value === null ? "–" : value.toFixed(3);
}

/** A difference with its sign: "+0.012" */
export function signed(value) {
  return value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}
