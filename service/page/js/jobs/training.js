// A training while it runs and when it is over: its curve, and what it came to.

import { plot } from "../components/plot.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { duration, number, plural } from "../words.js";
import { judgementCard, judgementOf } from "./judgement.js";
import { capital } from "./words.js";
import { worstCard } from "./worst.js";

const MANUAL = "promotion is manual"; // as the server says it

/** What is to be seen of a training, as a list of cards. */
export function trainingCards(job) {
  const { outcome, training } = job;
  const curve = outcome?.curve ?? training?.curve ?? [];
  return [
    job.problem && h("section", { class: "problem" }, h("h3", {}, "It made no candidate"), h("p", {}, `${job.problem}.`)),
    outcome && outcomeCard(outcome),
    h("section", { class: "card stack" }, h("h2", {}, "Learning curve"), curves(curve)),
    outcome?.judgement && [judgementCard(judgementOf(job)), worstCard(job)],
  ];
}

function curves(curve) {
  if (!curve.length) return h("p", { class: "muted" }, "The first point comes when the training has done its first steps.");
  const last = curve.at(-1);
  const measured = curve.filter((point) => point.dice !== null);
  const along = [curve[0].seconds, last.seconds];
  const best = Math.max(...measured.map((point) => point.dice));
  return h("div", { class: "plots" },
    plot({ title: "Loss", along, x: duration, words: `${number(last.loss)} after ${plural(last.step, "step")}`, lines: [{ points: curve.map((point) => [point.seconds, point.loss]) }] }),
    plot({ title: "Dice on frozen cases", along: measured.length ? along : [], x: duration, y: (value) => value.toFixed(2), words: measured.length ? `${measured.at(-1).dice.toFixed(3)} now, ${best.toFixed(3)} at best` : "not measured yet",
      lines: [{ kind: "good", points: measured.map((point) => [point.seconds, point.dice]) }] }));
}

function outcomeCard(outcome) {
  const { promotion } = outcome;
  const metrics = Object.entries(outcome.metrics).filter(([name, value]) => name === "dice" || (name.startsWith("dice/") && value !== null));
  return h("section", { class: `notice ${promotion.promoted ? "good" : ""}` },
    h("h3", {}, outcome.candidate ? `It made ${outcome.candidate}${promotion.promoted ? ", which is live" : ""}` : "It was cancelled before anything was learned"),
    outcome.candidate && h("p", {}, `Learned from ${plural(outcome.training_cases, "case")} of ${outcome.dataset} (revision ${outcome.dataset_revision}), ${outcome.base ? `going on from ${outcome.base}` : "from the beginning"}; measured on ${plural(outcome.validation_cases.length, "frozen case")}.`),
    metrics.length > 0 && h("p", {}, metrics.map(([name, value]) => `${name === "dice" ? "Mean Dice" : name.slice(5)} ${value === null ? "–" : value.toFixed(3)}`).join(", ")),
    outcome.candidate && !promotion.promoted && notLive(outcome));
}

function notLive({ candidate, promotion }) {
  const [name] = candidate.split("@"), reasons = promotion.reasons.filter((reason) => reason !== MANUAL);
  return [
    h("p", {}, reasons.length ? "It is not live:" : "It is not live: a person decides that."),
    reasons.length > 0 && h("ul", { class: "bullets" }, reasons.map((reason) => h("li", {}, capital(reason)))),
    h("div", { class: "row" }, h("a", { class: "button", href: link("models", name) }, `Versions of ${name}`)),
  ];
}
