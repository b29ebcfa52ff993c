// Which version this is, and under which licences it and what it brings with it come.

import { h } from "../dom.js";

const NIIVUE = "page/vendor/niivue-0.69.0/LICENCES.txt";

/** The words and links of the card; `info` is null for who may not see it. */
export function licences(info) {
  return h("dl", { class: "facts" }, [
    ["skipseg", [info ? `${info.version}, ` : "", a("page/licence.txt", "Apache License 2.0")]],
    ["This page", ["NiiVue 0.69.0 draws the scans: ", a(NIIVUE, "BSD 2-Clause, with what is built into it")]],
    ["Models", ["each version has its own licence: see ", a("#/models", "Models")]],
    ["What it runs on", "Python packages, each with its licence where it is installed; docs/dependencies.md lists them"],
    ["The API", a("docs", "its documentation")],
  ].map(([name, words]) => [h("dt", {}, name), h("dd", {}, words)]));
}

function a(href, words) {
  return h("a", { href, data: { key: href } }, words);
}
