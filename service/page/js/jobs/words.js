// What jobs and scans are, in words.

import { h } from "../dom.js";
import { duration, number, plural } from "../words.js";

const KINDS = { queued: "", running: "accent", succeeded: "good", done: "good", failed: "bad", cancelled: "" };

/** A state as a tag. */
export function stateTag(state) {
  return h("span", { class: `tag ${KINDS[state] ?? ""}` }, state);
}

/** The state of a job, and how many of its scans failed: one that succeeded may lack some masks. */
export function jobTags(job) {
  const { failed } = job.progress;
  const isPart = job.kind === "segment" && job.state === "succeeded" && failed > 0;
  return [stateTag(job.state), isPart && h("span", { class: "tag bad" }, `${number(failed)} failed`)];
}

/** What a job is: "10 scans", or "Training on corrected". */
export function titleOf(job) {
  return job.kind === "train" ? `Training on ${job.order.dataset}` : plural(job.progress.total, "scan");
}

/** How far a job is: [share or null, words]. */
export function howFar(job) {
  return job.kind === "train" ? howFarTraining(job) : howFarScans(job);
}

function howFarScans({ progress, state, eta_s: left, ended }) {
  const through = progress.done + progress.failed;
  const failed = progress.failed ? `, ${progress.failed} failed` : "";
  const rest = ended ? "" : state === "queued" ? "; it waits for a worker" : left === null ? "" : `; about ${duration(left)} left`;
  return [through / progress.total, `${progress.done} of ${plural(progress.total, "scan")} done${failed}${rest}`];
}

const STAGES = { preparing: "preparing the cases", training: "training", evaluating: "evaluating the candidate", finishing: "writing the candidate down" };

function howFarTraining({ training, state, ended, outcome }) {
  if (ended) return [1, outcome?.candidate ? `It made ${outcome.candidate}` : "It made no candidate"];
  if (!training) return [null, state === "queued" ? "It waits for a worker" : "A worker has begun with it"];
  if (training.stage === "comparing") return [share(training.compared, training.to_compare), `Comparing with the live version: ${training.compared} of ${training.to_compare} cases`];
  const { minutes_done: done, minutes_left: left } = training;
  return [share(done, done + left), `${capital(STAGES[training.stage])}: ${duration(60 * done)} done, ${duration(60 * left)} left`];
}

function share(done, total) {
  return total > 0 ? Math.min(done / total, 1) : null;
}

/** "training" -> "Training" */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
