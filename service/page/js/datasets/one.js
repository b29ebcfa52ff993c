// One dataset: its cases, what is wrong with it, and who changed what.

import { get } from "../api.js";
import { refill } from "../components/keep.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { number, plural, when } from "../words.js";
import { checkCard } from "./check.js";
import { thumbnails } from "./thumbnail.js";
import { trailCard } from "./trail.js";
import { frozenWords, labelList, sideTag } from "./words.js";

const PAGE = 48; // cases that are shown at a time

export async function showDataset(root, name) {
  const dataset = await get(`/v1/datasets/${encodeURIComponent(name)}`);
  const leaving = new AbortController();
  root.append(top(dataset), about(dataset), casesCard(dataset, leaving.signal), checkCard(name, leaving.signal), trailCard(dataset.trail, dataset));
  return () => leaving.abort();
}

function top(dataset) {
  return h("div", { class: "view-head" },
    h("div", {}, h("p", {}, h("a", { href: link("datasets") }, "All datasets")), h("h1", { class: "file-name" }, dataset.name),
      h("p", {}, `${plural(dataset.case_count, "case")}, ${frozenWords(dataset)}; ${plural(dataset.channels.length, "channel")}: ${dataset.channels.join(", ")}`)),
    dataset.case_count > 0 && h("a", { class: "button main-action", href: `${link("models")}?dataset=${encodeURIComponent(dataset.name)}` }, "Train a candidate"));
}

function about({ labels, frozen, revision, checksum }) {
  const facts = { "Labels": labelList(labels), "Revision": number(revision), "Checksum": h("code", {}, checksum) };
  const words = frozen ? `Models are judged on the frozen cases, chosen ${when(frozen.made)}, and learn from none of them.`
    : "No case is frozen yet: the first training chooses a fifth of them, on which models are judged and from which none learns.";
  return h("section", { class: "card stack tight" }, h("dl", { class: "facts" }, Object.entries(facts).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), h("p", { class: "small muted" }, words));
}

function casesCard(dataset, signal) {
  const picture = thumbnails(signal), isFrozen = dataset.frozen_count > 0;
  const list = h("ul", { class: "cases" }), more = h("div", { class: "row" });
  let side = "all", most = PAGE;
  const sides = { all: "All", frozen: "Frozen", training: "Training" };
  const buttons = Object.entries(sides).map(([each, words]) => h("button", { class: "button small", type: "button", "aria-pressed": String(each === side), onclick: () => choose(each) }, words));

  function choose(each) {
    [side, most] = [each, PAGE];
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(Object.keys(sides)[at] === side)));
    draw();
  }
  function draw() {
    const shown = dataset.cases.filter((one) => side === "all" || one.frozen === (side === "frozen"));
    refill(list, shown.slice(0, most).map((one) => h("li", { class: "case" }, picture(dataset.name, one.name),
      h("div", { class: "row spread" }, h("a", { class: "file-name", href: link("datasets", dataset.name, one.name) }, one.name), sideTag(one, isFrozen)))));
    refill(more, shown.length > most && h("button", { class: "button", type: "button", data: { key: "more" }, onclick: () => { most += PAGE; draw(); } }, `Show more of ${number(shown.length)}`));
  }
  draw();
  return h("section", { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, "Cases"), isFrozen && h("div", { class: "button-group", role: "group", "aria-label": "Which cases" }, buttons)),
    dataset.cases.length ? [list, more] : h("p", { class: "muted" }, "There is none yet. Correct a mask and save it as a case of this dataset."));
}
