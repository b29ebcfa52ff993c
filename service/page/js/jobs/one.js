// One job: how far it is, what came of it, and what can be done with it.

import { download, get, send } from "../api.js";
import { confirm } from "../components/confirm.js";
import { problemCard } from "../components/problem.js";
import { progressBar } from "../components/progress.js";
import { refill } from "../components/keep.js";
import { say } from "../components/said.js";
import { h, fill, icon } from "../dom.js";
import { follow } from "../events.js";
import { go, link } from "../router.js";
import { duration, when } from "../words.js";
import { itemsTable } from "./items.js";
import { trainingCards } from "./training.js";
import { howFar, jobTags, titleOf } from "./words.js";

const PAUSE_MS = 1500; // between two looks at the scans, at least

export async function showJob(root, id) {
  let job = await get(`/v1/jobs/${encodeURIComponent(id)}`);
  let controller = null, drawn = "";
  const head = h("div", { class: "stack" }), troubles = h("div", { class: "stack" }), body = h("div", { class: "stack" }), order = h("div", {});
  const bar = progressBar("Progress of the job");
  const items = job.kind === "segment" ? itemsTable(job) : null;
  const looks = items ? paced((signal) => items.look(signal), (error) => items.failed(error)) : null;

  function draw(found) {
    job = found;
    bar.set(...howFar(job));
    if (job.ended) bar.element.querySelector("progress").value = 1;
    const news = JSON.stringify([job.state, job.ended, job.progress.done > 0, job.progress.failed > 0]);
    if (news !== drawn) {
      refill(head, top(job), actions());
      fill(order, facts(job));
    }
    drawn = news;
    if (items) looks.ask(controller.signal);
    else refill(body, trainingCards(job));
  }
  function watch() {
    controller?.abort();
    controller = new AbortController();
    draw(job);
    if (job.ended) return;
    follow(`/v1/jobs/${job.id}/events`, (_, data) => draw(data), { signal: controller.signal }).catch((error) => fill(troubles, problemCard(error, watch)));
  }
  async function act(work) {
    fill(troubles);
    try {
      await work();
    } catch (error) {
      fill(troubles, problemCard(error));
    }
  }
  const changed = (verb, words) => act(async () => { job = await send("POST", `/v1/jobs/${job.id}/${verb}`); say(words); watch(); });

  function actions() {
    const left = job.progress.total - job.progress.done;
    const name = `${job.model.replace("@", "-")}-${job.id.slice(0, 8)}`;
    return h("div", { class: "row" },
      items && job.progress.done > 0 && button("zip", "Masks and table (zip)", () => act(() => download(`/v1/jobs/${job.id}/results.zip`, `${name}.zip`)), "download"),
      items && job.progress.done + job.progress.failed > 0 && button("csv", "Table (CSV)", () => act(() => download(`/v1/jobs/${job.id}/results.csv`, `${name}.csv`)), "download"),
      job.ended && left > 0 && button("retry", job.state === "cancelled" ? "Go on with what is left" : "Retry what failed", () => changed("retry", "It is tried again.")),
      !job.ended && button("cancel", "Cancel", cancel),
      job.ended && button("delete", "Delete", remove, null, "danger"));
  }
  async function cancel() {
    const words = items ? "Masks that are there stay. What is left can be gone on with later." : "What was learned so far becomes a candidate.";
    if (await confirm({ title: "Cancel this job?", words, yes: "Cancel the job", no: "Let it run" })) await changed("cancel", "The job is cancelled.");
  }
  async function remove() {
    const words = items ? "Its masks and its table go with it, for good. Download them before, if anybody needs them." : "Its curve and its comparison go with it. The candidate stays.";
    if (!await confirm({ title: "Delete this job?", words, yes: "Delete", no: "Keep it", danger: true })) return;
    await act(async () => { await send("DELETE", `/v1/jobs/${job.id}`); say("The job is deleted."); go("jobs"); });
  }

  fill(root, head, troubles, h("div", { class: "card" }, bar.element), items ? items.element : body, order);
  watch();
  return () => { controller.abort(); looks?.stop(); };
}

function top(job) {
  return h("div", { class: "view-head" }, h("div", {},
    h("p", {}, h("a", { href: link("jobs") }, "All jobs")),
    h("div", { class: "row" }, h("h1", {}, titleOf(job)), jobTags(job)),
    h("p", {}, job.kind === "train" ? `A candidate for ${job.model}, ordered ${when(job.made)}` : `${job.model}, ordered ${when(job.made)}`)));
}

function facts(job) {
  const asked = Object.entries({ "Job": job.id, "Began": when(job.started), "Ended": when(job.ended), ...options(job) }).filter(([, value]) => value);
  return h("details", {}, h("summary", {}, "What was ordered"), h("dl", { class: "facts" }, asked.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function options({ kind, order }) {
  if (kind === "train") return { "Dataset": order.dataset, "Base": order.from ?? "none, from the beginning", "Time": duration(60 * order.minutes), "Promotion": order.promotion };
  return { "Format": order.format ?? "the scan's own", "Mirrored views": order.tta ? "yes" : "no", "Priority": order.priority };
}

function button(key, words, onclick, picture = null, kind = "") {
  return h("button", { class: `button ${kind}`, type: "button", data: { key }, onclick }, picture && icon(picture), words);
}

/** Look when asked, but never twice at once, with a pause between, and once more when asked meanwhile. */
function paced(look, failed) {
  let timer = 0, isBusy = false, asked = null;
  async function turn() {
    const signal = asked, began = performance.now();
    [isBusy, asked] = [true, null];
    try {
      await look(signal);
    } catch (error) {
      if (error.name !== "AbortError") failed(error);
    }
    const pause = Math.max(PAUSE_MS, 5 * (performance.now() - began));
    timer = setTimeout(() => { isBusy = false; if (asked) turn(); }, pause);
  }
  return { ask(signal) { asked = signal; if (!isBusy) turn(); }, stop() { clearTimeout(timer); asked = null; } };
}
