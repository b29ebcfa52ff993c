// Case by case how a candidate does beside the live version: where to look before it is promoted.

import { refill } from "../components/keep.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { number, plural } from "../words.js";
import { judgementOf, share, signed } from "./judgement.js";

const SHOWN = 12;
const ORDERS = { lowest: "Lowest Dice first", lost: "Lost most first" };

/** The cases of a training's comparison, each a link to the case; null where the outcome does not tell them. */
export function worstCard(job) {
  const judgement = judgementOf(job), { dataset } = job.outcome;
  if (!judgement?.changes?.length) return null;
  const body = h("tbody"), more = h("div", { class: "row" });
  let order = "lowest", most = SHOWN;
  const buttons = Object.entries(ORDERS).map(([each, words]) => h("button", { class: "button small", type: "button", "aria-pressed": String(each === order), onclick: () => choose(each) }, words));

  function choose(each) {
    order = each;
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(Object.keys(ORDERS)[at] === order)));
    draw();
  }
  function draw() {
    const sorted = order === "lost" ? [...judgement.changes].sort((a, b) => (a.difference ?? 2) - (b.difference ?? 2)) : judgement.changes;
    refill(body, sorted.slice(0, most).map((one) => row(one, dataset, job.id)));
    refill(more, sorted.length > most && h("button", { class: "button small", type: "button", data: { key: "more" }, onclick: () => { most = sorted.length; draw(); } }, `Show all ${number(sorted.length)}`));
  }
  draw();
  return h("section", { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, "Worst cases"), h("div", { class: "button-group", role: "group", "aria-label": "Order of the cases" }, buttons)),
    h("p", { class: "small muted" }, `Mean Dice over the labels, in ${plural(judgement.changes.length, "frozen case")}. Look at some before you promote.`),
    h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Worst cases" }, h("table", { class: "worst" },
      h("caption", { class: "visually-hidden" }, `Dice of ${judgement.b} and ${judgement.a}, case by case`),
      head("Case", judgement), body)), more);
}

function head(first, { a, b }) {
  return h("thead", {}, h("tr", {}, [first, a, b, "Change"].map((name, column) => h("th", { scope: "col", class: column ? "number" : "" }, name))));
}

function row({ case: name, a, b }, dataset, job) {
  return h("tr", { data: { case: name } },
    h("th", { scope: "row", class: "scan-name" }, h("a", { href: address(dataset, name, job) }, name)),
    figures(a, b));
}

function figures(a, b) {
  return [share(a), share(b), changeTag(a === null || b === null ? null : b - a)].map((each) => h("td", { class: "number" }, each));
}

function changeTag(difference) {
  const kind = !difference || Math.abs(difference) < 0.0005 ? "" : difference > 0 ? "good" : "bad";
  return h("span", { class: `tag ${kind}` }, signed(difference));
}

function address(dataset, name, job) {
  return `${link("datasets", dataset, name)}?job=${encodeURIComponent(job)}`;
}

/** How both did on one case, with the way to the next; null where the training does not tell. */
export function judgedCard(job, name) {
  const judgement = judgementOf(job), dataset = job.outcome?.dataset;
  const changes = judgement?.changes ?? [], at = changes.findIndex((one) => one.case === name);
  if (at < 0) return null;
  const found = changes[at], next = changes[at + 1];
  const rows = [["All labels", found], ...Object.entries(found.labels)];
  return h("section", { class: "card stack tight judged" }, h("h2", {}, `${judgement.b} against ${judgement.a} on this case`),
    h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Dice on this case" }, h("table", { class: "worst" },
      h("caption", { class: "visually-hidden" }, `Dice of ${judgement.b} and ${judgement.a} on this case`), head("Label", judgement),
      h("tbody", {}, rows.map(([label, { a, b }]) => h("tr", {}, h("th", { scope: "row" }, label), figures(a, b)))))),
    h("p", { class: "small muted" }, `Dice; of all labels the mean. Of ${plural(changes.length, "frozen case")} this is ${at ? `number ${at + 1} from the lowest Dice of ${judgement.b} up` : `the one with the lowest Dice of ${judgement.b}`}.`),
    h("div", { class: "row" }, h("a", { class: "button small", href: link("jobs", job.id) }, "Back to the training"), next && h("a", { class: "button small", href: address(dataset, next.case, job.id) }, "The next worst")));
}
