// What came of a segmentation, in numbers and words.

import { h } from "../dom.js";
import { duration, number } from "../words.js";

/** How far the mask may be trusted, with everything unusual in plain words. */
export function trustCard(trust) {
  if (!trust) return null;
  const calm = trust.flags.length === 0;
  return h("section", { class: `notice ${calm ? "good" : "warn"}`, "aria-labelledby": "trust-title" },
    h("div", { class: "row spread" }, h("h3", { id: "trust-title" }, calm ? "Nothing unusual" : "Look at this one closely"),
      h("span", { class: `tag ${calm ? "good" : "warn"}` }, `trust ${trust.score.toFixed(2)}`)),
    calm ? h("p", {}, "The network is sure, and sizes, pieces and spacing are as in training. A person checks every mask all the same.")
      : h("ul", { class: "bullets" }, trust.flags.map((flag) => h("li", {}, flag.charAt(0).toUpperCase() + flag.slice(1)))),
    h("p", { class: "small muted" }, "Trust is 1 where nothing is unusual. It says which masks to look at first; it is no estimate of how right one is."));
}

/** Labels with colour, name and size. `legend` puts controls beside a name, where there is a viewer. */
export function sizesTable(summary, colours, legend = null) {
  const knowsMm = summary.labels.some((label) => label.volume_mm3 !== null);
  const heads = ["Label", "Voxels", ...(knowsMm ? ["mm³", "ml"] : [])];
  return h("div", { class: "scroll-x" }, h("table", { class: "sizes" },
    h("caption", { class: "visually-hidden" }, "Labels of the mask and their sizes"),
    h("thead", {}, h("tr", {}, heads.map((name, column) => h("th", { scope: "col", class: column ? "number" : "" }, name)))),
    h("tbody", {}, summary.labels.map((label) => h("tr", { data: { label: label.name } },
      h("th", { scope: "row" }, h("span", { class: "row label-name" }, swatch(colours.get(label.value)), legend ? legend(label) : label.name)),
      h("td", { class: "number" }, number(label.voxels)),
      knowsMm && h("td", { class: "number" }, number(label.volume_mm3, 4)),
      knowsMm && h("td", { class: "number" }, number(label.volume_ml, 4)))))));
}

/** A square of a label's colour. */
export function swatch(colour) {
  return h("span", { class: "swatch", style: { backgroundColor: `rgb(${(colour ?? [128, 128, 128]).join(",")})` } });
}

/** Where the time went, and what did it. */
export function madeBy(result) {
  const total = result.stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const spent = result.stages.filter((stage) => stage.seconds >= 0.05).map((stage) => `${stage.name} ${duration(stage.seconds)}`).join(", ");
  const note = result.notes && h("p", { class: "notice warn" }, `How the scan was read: ${result.notes}.`);
  return [note, h("p", { class: "small muted" }, `${result.model} on ${result.backend}, ${duration(total)} on the server${spent && `: ${spent}`}.`)];
}
