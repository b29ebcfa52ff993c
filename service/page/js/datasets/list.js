// The datasets of this server, and where a new one begins.

import { get } from "../api.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { plural } from "../words.js";
import { newDataset } from "./new.js";
import { frozenWords, labelList } from "./words.js";

export async function showDatasets(root) {
  const datasets = await get("/v1/datasets");
  const making = newDataset(root);
  root.append(
    h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Datasets"), h("p", {}, "Scans with their truth, from which models learn, and on which they are judged."))),
    h("div", { class: "beside" }, making.element, datasets.length ? h("div", { class: "grid" }, datasets.map(card)) : nothing()));
  return () => making.leave();
}

function card(dataset) {
  return h("section", { class: "card stack tight", data: { dataset: dataset.name } },
    h("div", { class: "row spread" }, h("h2", { class: "file-name" }, h("a", { href: link("datasets", dataset.name) }, dataset.name)), h("span", { class: "tag" }, plural(dataset.case_count, "case"))),
    labelList(dataset.labels),
    h("p", { class: "small muted" }, `${plural(dataset.channels.length, "channel")}: ${dataset.channels.join(", ")} · ${frozenWords(dataset)}`));
}

function nothing() {
  return h("div", { class: "empty" }, h("h2", {}, "No datasets yet"),
    h("p", {}, "Drop a zip of one here, or correct a mask and save it as a case: that makes one, too."),
    h("a", { class: "button", href: link("segment") }, "Segment a scan"));
}
