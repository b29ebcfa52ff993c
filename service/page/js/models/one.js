// One model: its versions beside one another, which is live, and how that is changed.

import { get, send } from "../api.js";
import { confirm } from "../components/confirm.js";
import { problemCard } from "../components/problem.js";
import { say } from "../components/said.js";
import { h, fill } from "../dom.js";
import { judgementCard, judgementOf } from "../jobs/judgement.js";
import { worstCard } from "../jobs/worst.js";
import { link } from "../router.js";
import { number, plural, when } from "../words.js";
import { metricsTable } from "./metrics.js";
import { stateWords } from "./words.js";

const NEWEST = 8; // versions that are shown beside one another

export async function showModel(root, name) {
  const path = `/v1/models/${encodeURIComponent(name)}`;
  const troubles = h("div", {}), body = h("div", { class: "stack" }), working = h("p", { class: "notice", role: "status", hidden: true });
  const [, trainings] = await Promise.all([draw(), get("/v1/jobs?limit=1000").then(({ jobs }) => jobs.filter((job) => job.kind === "train" && job.model === name), () => [])]);
  const judged = trainings.filter((job) => job.outcome?.judgement);

  async function draw() {
    const [model, live] = await loaded(path);
    fill(body, top(model), versionsCard(model, live), metricsCard(live));
  }
  function versionsCard(model, versions) {
    return h("section", { class: "card stack" },
      h("div", { class: "row spread" }, h("h2", {}, "Versions"),
        model.live && h("button", { class: "button", type: "button", onclick: () => rollback(model) }, "Roll back")),
      h("div", { class: "scroll-x" }, h("table", { class: "versions cards-when-narrow" },
        h("caption", { class: "visually-hidden" }, `Versions of ${name}`),
        h("thead", {}, h("tr", {}, ["Version", "State", "Trained on", "Cases", "Finished", "Licence", "Change"].map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, versions.map((version) => row(version, model))))));
  }
  function row(version, model) {
    return h("tr", { data: { version: version.version } },
      h("th", { scope: "row" }, `Version ${version.version}`),
      h("td", {}, version.problem ? h("span", { class: "tag bad" }, "damaged") : version.live ? h("span", { class: "tag good" }, "live") : h("span", { class: "tag" }, "candidate")),
      version.problem ? h("td", { class: "about", colspan: 4 }, version.problem) : [
        h("td", { class: "file-name", data: { head: "Trained on" } }, version.dataset), h("td", { data: { head: "Cases" } }, number(version.cases)), h("td", { data: { head: "Finished" } }, when(version.finished)), h("td", { class: "small", data: { head: "Licence" } }, version.licence)],
      h("td", {}, version.live || version.problem ? null : h("button", { class: "button small", type: "button", onclick: () => promote(version.version, model.live) }, `Promote version ${version.version}`)));
  }
  async function change(words, work) {
    fill(troubles);
    working.hidden = false;
    working.textContent = words;
    try {
      const { live } = await work();
      await draw();
      say(`Version ${live} of ${name} is live.`);
    } catch (error) {
      fill(troubles, problemCard(error));
    }
    working.hidden = true;
  }
  async function promote(version, live) {
    const words = `It answers everybody from the next request on${live ? `, in the place of version ${live}` : ""}. It is checked and loaded first; until then nothing changes.`;
    if (await confirm({ title: `Make version ${version} of ${name} live?`, words, yes: "Promote" })) await change(`Version ${version} is checked and loaded.`, () => send("POST", `${path}/promote`, { version }));
  }
  async function rollback({ live }) {
    const words = `The version that was live before version ${live} answers everybody again.`;
    if (await confirm({ title: `Roll ${name} back?`, words, yes: "Roll back", danger: true })) await change("The version before is checked and loaded.", () => send("POST", `${path}/rollback`, { leaving: live }));
  }
  fill(root, troubles, working, body, judged.slice(0, 3).map((job, at) => [judgementCard(judgementOf(job)), at === 0 && worstCard(job)]), trainingsCard(trainings));
}

/** The model, and its newest versions with the live one; a damaged version is one with a `problem`. */
async function loaded(path) {
  const model = await get(path);
  const numbers = model.versions.filter((version) => version === model.live || model.versions.slice(-NEWEST).includes(version)).reverse();
  const one = (version) => get(`${path}/versions/${version}`).catch((error) => ({ version, live: version === model.live, problem: error.detail ?? String(error), metrics: {} }));
  return [model, await Promise.all(numbers.map(one))];
}

function top(model) {
  const labels = model.labels.filter((label) => label.value).map((label) => label.name).join(", ");
  return h("div", { class: "view-head" }, h("div", {},
    h("p", {}, h("a", { href: link("models") }, "All models")),
    h("div", { class: "row" }, h("h1", {}, model.name), h("span", { class: `tag ${model.live ? "good" : "warn"}` }, model.live ? `version ${model.live} is live` : "none is live")),
    h("p", {}, `${model.task}. Finds ${labels}; ${stateWords(model.state)}.`)));
}

function metricsCard(versions) {
  return h("section", { class: "card stack" }, h("h2", {}, "How good they are"), metricsTable(versions.filter((version) => !version.problem)),
    h("p", { class: "small muted" }, "Versions that were measured on different cases cannot be compared by these figures; a comparison on the same cases, with intervals, belongs to every training that goes on."));
}

function trainingsCard(trainings) {
  if (!trainings.length) return null;
  return h("section", { class: "card stack tight" }, h("h2", {}, "Trainings"),
    h("ul", { class: "bullets" }, trainings.slice(0, 20).map((job) => h("li", {}, h("a", { href: link("jobs", job.id) }, `On ${job.order.dataset}, ${plural(job.order.minutes, "minute")}`), ` · ${when(job.made)} · ${job.state}${job.outcome?.candidate ? ` · ${job.outcome.candidate}` : ""}`))));
}
