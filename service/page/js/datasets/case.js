// One case: its picture, how models do on it, what was changed of it, and the way out of the dataset.

import { get, send } from "../api.js";
import { confirm } from "../components/confirm.js";
import { problemCard } from "../components/problem.js";
import { say } from "../components/said.js";
import { h, fill } from "../dom.js";
import { judgedCard } from "../jobs/worst.js";
import { go, link } from "../router.js";
import { thumbnails } from "./thumbnail.js";
import { trailCard } from "./trail.js";
import { labelList, sideTag } from "./words.js";

/** `job`: the id of a training that the reader comes from, or null. */
export async function showCase(root, name, caseName, job) {
  const path = `/v1/datasets/${encodeURIComponent(name)}`;
  const [dataset, training] = await Promise.all([get(path), job ? get(`/v1/jobs/${encodeURIComponent(job)}`).catch(() => null) : null]);
  const at = dataset.cases.findIndex((one) => one.name === caseName);
  if (at < 0) throw { title: "There is no such case", detail: `The dataset ${name} has no case ${caseName}, or not any more` };
  const found = dataset.cases[at], leaving = new AbortController(), troubles = h("div");

  async function remove() {
    const words = "Its scan and its label are deleted from the server, former labels too. The list of changes keeps their checksums. Trainings under way have a copy of their own until they end.";
    if (!await confirm({ title: `Delete the case ${caseName}?`, words, yes: "Delete", no: "Keep it", danger: true })) return;
    try {
      await send("DELETE", `${path}/cases/${encodeURIComponent(caseName)}`);
      say(`The case ${caseName} is deleted.`);
      go("datasets", name);
    } catch (error) {
      fill(troubles, problemCard(error));
    }
  }
  root.append(top(dataset, at), troubles,
    h("div", { class: "beside" },
      h("section", { class: "card stack", "aria-label": "Picture" }, thumbnails(leaving.signal)(name, caseName), labelList(dataset.labels),
        h("p", { class: "small muted" }, "The slice with most of the labels, cut to their surroundings.")),
      h("div", { class: "stack" }, training && judgedCard(training, caseName), about(found, dataset, remove))),
    trailCard(dataset.trail.filter((one) => one.case === caseName || caseName in (one.cases ?? {}) || caseName in (one.frozen ?? {})), null, "Changes of this case"));
  return () => leaving.abort();
}

function top(dataset, at) {
  const { name, cases } = dataset;
  const beside = (words, one) => one && h("a", { class: "button small", href: link("datasets", name, one.name) }, words);
  return h("div", { class: "view-head" },
    h("div", {}, h("p", {}, h("a", { href: link("datasets", name) }, `All cases of ${name}`)),
      h("div", { class: "row" }, h("h1", { class: "file-name" }, cases[at].name), sideTag(cases[at], dataset.frozen_count > 0)),
      h("p", {}, `Case ${at + 1} of ${cases.length}`)),
    h("div", { class: "row" }, beside("The one before", cases[at - 1]), beside("The next one", cases[at + 1])));
}

function about(found, dataset, remove) {
  const facts = { "Image": found.image_sha256, "Label": found.label_sha256 };
  const words = found.frozen ? "Models are judged on this case, and none learns from it. While it is frozen its label may be mended, and it cannot be deleted."
    : dataset.frozen_count ? "Models that are trained on this dataset learn from this case." : "Whether models learn from this case or are judged on it is chosen by the first training.";
  return h("section", { class: "card stack" }, h("h2", {}, "This case"), h("p", {}, words),
    h("details", {}, h("summary", {}, "Checksums"), h("dl", { class: "facts" }, Object.entries(facts).map(([key, value]) => [h("dt", {}, key), h("dd", {}, h("code", {}, value))]))),
    !found.frozen && h("div", { class: "row" }, h("button", { class: "button danger", type: "button", onclick: remove }, "Delete this case")));
}
