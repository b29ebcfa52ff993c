// How the server does, looked at again and again while somebody looks.

import { get } from "../api.js";
import { every, refill } from "../components/keep.js";
import { problemCard } from "../components/problem.js";
import { h, fill } from "../dom.js";
import { askForKey, authorization } from "../key.js";
import { errorsTable, glance, jobsOf, modelsCards, stagesTable } from "../operate/cards.js";
import { History } from "../operate/history.js";
import { licences } from "../operate/licences.js";
import { plotsOf } from "../operate/plots.js";
import { readiness, reading } from "../operate/reading.js";

const LOOK_MS = 2000;
const STATES = { ready: { kind: "good", word: "ready" }, waiting: { kind: "warn", word: "up, not ready" }, away: { kind: "bad", word: "does not answer" } };

export async function show(root) {
  const view = new OperateView(root);
  await view.look();
  return () => view.rest();
}

class OperateView {
  constructor(root) {
    Object.assign(this, { history: new History(), info: null, ready: null, models: "", told: "", mayLook: true, stop: null, drawn: new Map() });
    this.state = STATES.waiting;
    this.pauseButton = h("button", { class: "button", type: "button", onclick: () => (this.stop ? this.rest() : this.go()) });
    const part = (name) => (this[name] = h("div", { class: "stack" }));
    this.troubles = h("div", {});
    this.figures = h("div", { class: "stack" },
      card("The last five minutes", "What was sent to this server to be answered at once.", part("plots")),
      card("Seconds by stage", "What a scan takes: the mean of those that came through.", part("stages")),
      h("div", { class: "halves" }, card("Jobs", null, part("jobs")), card("Refused and failed", "Answers that were problems, since the server started.", part("errors"))),
      card("Models in memory", null, part("residents")));
    this.plots.className = "plots";
    fill(root,
      h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Operate"), h("p", {}, "How this server does, looked at every two seconds while this view is open.")), this.pauseButton),
      this.troubles, part("top"), this.figures, card("Version and licences", null, part("about")));
    this.go();
  }

  /** Look from now on; `rest` ends it. */
  go() {
    this.stop = every(LOOK_MS, (signal) => this.look(signal));
    this.pauseButton.textContent = "Pause";
  }

  rest() {
    this.stop?.();
    this.stop = null;
    this.pauseButton.textContent = "Go on";
  }

  async look(signal) {
    try {
      if (this.mayLook) await this.read(signal);
      else this.ready = await readiness(signal);
      this.state = this.ready.isReady ? STATES.ready : { ...STATES.waiting, words: this.ready.why };
      if (this.mayLook) this.tell("", () => []);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      await this.failed(error, signal);
    }
    this.draw();
  }

  async read(signal) {
    const found = await reading(signal);
    this.history.add(found);
    if (found.modelsChanged === this.models && this.ready?.isReady) return;
    [this.ready, this.info] = await Promise.all([readiness(signal), get("/v1/info", { signal })]);
    this.models = found.modelsChanged;
  }

  async failed(error, signal) {
    if (error.code === "forbidden") {
      this.mayLook = false;
      this.tell(error.detail, () => notAllowed(error, () => { this.mayLook = true; this.look(); }));
      return this.look(signal);
    }
    if (error.status === 401) this.rest(); // or everybody who gives no key would be asked every two seconds
    if (!error.status) this.state = STATES.away;
    this.tell(String(error), () => problemCard(error, () => { if (!this.stop) this.go(); this.look(); }));
  }

  /** Say what stands against looking, once however often it is met. */
  tell(words, drawn) {
    if (words !== this.told) fill(this.troubles, drawn());
    this.told = words;
  }

  draw() {
    const { history, info } = this, { last } = history;
    this.figures.hidden = !last;
    fill(this.top, glance(this));
    if (last) {
      fill(this.plots, plotsOf(history));
      this.anew("stages", [last.stages, last.stages.map(({ name }) => history.mean(name))], () => stagesTable(history));
      this.anew("jobs", [last.jobs, last.deliveries], () => jobsOf(last));
      this.anew("errors", last.errors, () => errorsTable(last));
    }
    if (info) this.anew("residents", [info, this.ready.failed], () => modelsCards(info, this.ready.failed));
    this.anew("about", info?.version ?? null, () => licences(info));
  }

  /** Draw a part, if what it tells has changed: who reads it is not disturbed. */
  anew(part, news, drawn) {
    const told = JSON.stringify(news);
    if (this.drawn.get(part) !== told) refill(this[part], drawn());
    this.drawn.set(part, told);
  }
}

function card(title, words, part) {
  return h("section", { class: "card stack" }, h("div", {}, h("h2", {}, title), words && h("p", { class: "small muted" }, words)), part);
}

function notAllowed(error, again) {
  return h("div", { class: "notice" },
    h("h3", {}, "This key may not look at how the server does"),
    h("p", {}, `That needs a key with the scope "read". ${error.detail}.`),
    h("div", { class: "row" }, h("button", { class: "button small", type: "button", onclick: async () => { if (await askForKey(authorization())) again(); } }, "Use another key")));
}
