// How good a version is, as its bundle tells it.

import { h } from "../dom.js";
import { number } from "../words.js";

const NAMES = { dice: "Mean Dice", hd95_mm: "HD95 (mm)", nsd_1mm: "Surface Dice at 1 mm", iou: "Mean IoU" };

/** Metrics as people read them: [name, words]. */
export function metricRows(metrics) {
  return Object.entries(metrics).map(([name, value]) => [titleOf(name), value === null ? "–" : name.startsWith("hd95") ? number(value) : value.toFixed(3)]);
}

function titleOf(name) {
  const [metric, label] = name.split("/");
  return label ? `${metric === "dice" ? "Dice" : NAMES[metric] ?? metric} of ${label}` : NAMES[metric] ?? metric;
}

/** Versions beside one another: a row a metric, a column a version. */
export function metricsTable(versions) {
  const names = [...new Set(versions.flatMap((version) => Object.keys(version.metrics)))];
  if (!names.length) return h("p", { class: "muted" }, "No version tells how good it is: skipseg evaluate measures it on a dataset.");
  const rows = names.map((name) => [titleOf(name), versions.map(({ metrics }) => (name in metrics ? metricRows({ [name]: metrics[name] })[0][1] : "–"))]);
  return h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Metrics of the versions" }, h("table", {},
    h("caption", { class: "visually-hidden" }, "Metrics of the versions"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Metric"), versions.map((version) => h("th", { scope: "col", class: "number" }, `Version ${version.version}${version.live ? ", live" : ""}`)))),
    h("tbody", {}, rows.map(([name, values]) => h("tr", {}, h("th", { scope: "row" }, name), values.map((value) => h("td", { class: "number" }, value)))))));
}
