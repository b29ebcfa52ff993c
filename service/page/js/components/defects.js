// What is wrong with a dataset, kind by kind, and how it is mended.

import { h } from "../dom.js";
import { plural } from "../words.js";

const MOST = 20; // files that are named of a kind

/** Defects as the server lists them, errors first; those of a kind that are mended alike stand together. */
export function defectsList(defects) {
  const kinds = new Map();
  for (const one of [...defects].sort((a, b) => a.severity.localeCompare(b.severity))) {
    const kind = `${one.code} ${one.mend}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return h("ul", { class: "stack tight defects" }, [...kinds.values()].map(kindOf));
}

function kindOf(found) {
  const [{ code, mend, severity }] = found, words = code.replaceAll("_", " ");
  return h("li", { class: "stack tight", data: { code } },
    h("div", { class: "row" }, h("strong", {}, words.charAt(0).toUpperCase() + words.slice(1)), h("span", { class: `tag ${severity === "error" ? "bad" : "warn"}` }, plural(found.length, severity))),
    h("ul", { class: "bullets small" }, found.slice(0, MOST).map((one) => h("li", { class: "file-name" }, `${one.file}: ${one.problem}`)), found.length > MOST && h("li", {}, `and ${found.length - MOST} more`)),
    h("p", { class: "small" }, `What to do: ${mend}.`));
}
