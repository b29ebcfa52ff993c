// Who changed what in a dataset, and when.

import { refill } from "../components/keep.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { number, when } from "../words.js";
import { changeWords } from "./words.js";

const PAGE = 12;

/** A card with the changes, the newest first, and links to the cases that `dataset` has; null where all are of one case. */
export function trailCard(trail, dataset, title = "Changes") {
  const there = new Set(dataset?.cases.map((one) => one.name));
  const newest = [...trail].reverse(), body = h("tbody"), more = h("div", { class: "row" });
  let most = PAGE;
  function draw() {
    refill(body, newest.slice(0, most).map((one) => row(one, dataset, there)));
    refill(more, newest.length > most && h("button", { class: "button small", type: "button", data: { key: "more" }, onclick: () => { most += 10 * PAGE; draw(); } }, `Show more of ${number(newest.length)}`));
  }
  draw();
  return h("section", { class: "card stack" }, h("h2", {}, title),
    h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": title }, h("table", { class: "trail cards-when-narrow" },
      h("caption", { class: "visually-hidden" }, `${title}, the newest first`),
      h("thead", {}, h("tr", {}, ["What", dataset && "Case", "Who", "When", "Revision"].filter(Boolean).map((name) => h("th", { scope: "col" }, name)))), body)), more);
}

function row(one, dataset, there) {
  return h("tr", {},
    h("th", { scope: "row" }, changeWords(one)),
    dataset && h("td", { class: "file-name" }, there.has(one.case) ? h("a", { href: link("datasets", dataset.name, one.case) }, one.case) : one.case),
    h("td", { class: "file-name", data: { head: "by" } }, one.who),
    h("td", {}, when(one.when)),
    h("td", { data: { head: "Revision" } }, number(one.revision)));
}
