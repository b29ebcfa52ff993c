// All jobs, and where a new batch begins.

import { get } from "../api.js";
import { every, refill } from "../components/keep.js";
import { problemCard } from "../components/problem.js";
import { progressBar } from "../components/progress.js";
import { h, fill } from "../dom.js";
import { link } from "../router.js";
import { versions } from "../segment/models.js";
import { when } from "../words.js";
import { newBatch } from "./new.js";
import { howFar, jobTags, titleOf } from "./words.js";

const PAGE = 50, MOST = 1000, LOOK_MS = 2500;

export async function showList(root) {
  const [models, info, page] = await Promise.all([versions(), get("/v1/info"), get(`/v1/jobs?limit=${PAGE}`)]);
  const list = h("div", { class: "stack" }), troubles = h("div", {});
  const batch = models.length ? newBatch(root, models, info) : null;
  let limit = PAGE, told = "", mayLook = true;

  function draw({ jobs }) {
    const news = JSON.stringify(jobs);
    if (news === told) return;
    told = news;
    const more = jobs.length === limit && limit < MOST && h("button", { class: "button", type: "button", data: { key: "more" }, onclick: () => { limit = Math.min(limit + PAGE, MOST); look(); } }, "Show more");
    refill(list, jobs.length ? [table(jobs), more] : nothing());
  }
  async function look(signal) {
    if (!mayLook) return;
    try {
      draw(await get(`/v1/jobs?limit=${limit}`, { signal }));
      fill(troubles);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      mayLook = error.status !== 401; // or who gives no key would be asked for one again and again
      if (!troubles.firstChild) fill(troubles, problemCard(error, () => { mayLook = true; look(); }));
    }
  }
  fill(root,
    h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Jobs"), h("p", {}, "Many scans at once, and trainings. A job goes on when this page is closed."))),
    h("div", { class: "beside" }, batch ? batch.element : noModels(), h("div", { class: "stack" }, troubles, list)));
  draw(page);
  const stop = every(LOOK_MS, look);
  return () => { stop(); batch?.leave(); };
}

function table(jobs) {
  return h("div", { class: "card scroll-x" }, h("table", { class: "cards-when-narrow" },
    h("caption", { class: "visually-hidden" }, "Jobs, the newest first"),
    h("thead", {}, h("tr", {}, ["Job", "State", "Progress", "Model", "Ordered"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, jobs.map(row))));
}

function row(job) {
  const [share, words] = howFar(job);
  const bar = progressBar(`Progress of ${titleOf(job)}`);
  bar.set(share, words);
  bar.element.querySelector("p").removeAttribute("role"); // a list that is read out all the time helps nobody
  if (job.ended) bar.element.querySelector("progress").remove();
  return h("tr", { data: { job: job.id } },
    h("th", { scope: "row" }, h("a", { href: link("jobs", job.id), data: { key: job.id } }, titleOf(job))),
    h("td", {}, h("div", { class: "row tags" }, jobTags(job))),
    h("td", { class: "job-progress" }, bar.element),
    h("td", { class: "file-name" }, job.model),
    h("td", {}, when(job.made)));
}

function nothing() {
  return h("div", { class: "empty" }, h("h2", {}, "No jobs yet"), h("p", {}, "Drop several scans or a zip of them, and they are segmented one after the other."));
}

function noModels() {
  return h("div", { class: "empty" }, h("h2", {}, "There is no model yet"), h("p", {}, "Train one, or add a bundle with: skipseg models add FOLDER --name NAME"));
}
