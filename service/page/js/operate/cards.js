// How a server stands, in words and small tables.

import { h } from "../dom.js";
import { stateTag } from "../jobs/words.js";
import { link } from "../router.js";
import { bytes, duration, number, percent, plural, quick } from "../words.js";
import { busyShare } from "./plots.js";

const NOT_SEEN = "–";

/** What is to be seen at a glance: `state` is {kind, word, words}, `history` may be empty and `info` null. */
export function glance({ state, history, info }) {
  const { last } = history;
  const runs = [...new Set((info?.loaded ?? []).map(({ backend, precision }) => `${backend}, ${precision}`))];
  return h("dl", { class: "glance" },
    cell("Server", h("span", { class: `tag ${state.kind}` }, state.word), state.words),
    cell("Device", info?.device ?? NOT_SEEN, runs.join("; ")),
    cell("Device busy", last ? percent(busyShare(history)) : NOT_SEEN, last ? `${number(history.rate(({ tiles }) => tiles))} tiles a second` : ""),
    cell("Scans in hand", last ? `${last.scans.taken} of ${last.scans.places}` : NOT_SEEN, last ? `${last.scans.flying} on the device` : ""),
    cell("Memory of the process", last?.memory.process ? bytes(last.memory.process) : NOT_SEEN, last ? `models ${bytes(last.memory.models[0])}, scans ${bytes(last.memory.scans[0])}` : ""),
    cell("Up for", last ? duration(last.up) : NOT_SEEN, info ? `version ${info.version}` : ""));
}

function cell(name, value, words = "") {
  return h("div", { class: "card" }, h("dt", { class: "small muted" }, name), h("dd", { class: "glance-value" }, value), words && h("dd", { class: "small muted" }, words));
}

/** Mean seconds of every stage, in the last minute and since the start, with a bar for its share. */
export function stagesTable(history) {
  const { stages } = history.last;
  const now = stages.map(({ name }) => history.mean(name));
  const most = Math.max(...stages.map(({ seconds, scans }, index) => now[index] ?? (scans ? seconds / scans : 0)), 1e-9);
  const row = ({ name, title, seconds, scans }, index) => {
    const mean = scans ? seconds / scans : null;
    return h("tr", { data: { stage: name } }, h("th", { scope: "row" }, title),
      h("td", { class: "number", data: { head: "Last minute" } }, quick(now[index])),
      h("td", { class: "number", data: { head: "Since the start" } }, quick(mean)),
      h("td", { class: "number", data: { head: "Scans" } }, number(scans)),
      h("td", { class: "stage-bar" }, h("meter", { "aria-label": `${title}: ${quick(now[index] ?? mean)}`, max: "1", value: (now[index] ?? mean ?? 0) / most })));
  };
  return h("table", { class: "stages cards-when-narrow" },
    h("caption", { class: "visually-hidden" }, "Mean seconds of a scan by stage"),
    h("thead", {}, h("tr", {}, [["Stage", ""], ["Last minute", "number"], ["Since the start", "number"], ["Scans since the start", "number"], ["Compared", ""]].map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))),
    h("tbody", {}, stages.map(row)));
}

/** Jobs, and results on their way to DICOM nodes, by state. */
export function jobsOf({ jobs, deliveries }) {
  const tags = (counts) => h("ul", { class: "row" }, Object.entries(counts).map(([state, count]) => h("li", { data: { state } }, count ? stateTag(state.replace("_", " ")) : h("span", { class: "tag" }, state.replace("_", " ")), ` ${number(count)}`)));
  const isEmpty = !Object.values(jobs).some(Boolean);
  return [
    isEmpty ? h("p", { class: "muted" }, "The server keeps no jobs.") : tags(jobs),
    Object.keys(deliveries).length > 0 && [h("h3", {}, "Results for DICOM nodes"), tags(deliveries)],
    h("p", { class: "small muted" }, "Workers segment jobs, and train, in processes of their own: their work is not in the plots above. ", h("a", { href: link("jobs"), data: { key: "jobs" } }, "All jobs"))];
}

/** Answers that were problems, since the start, the most frequent first. */
export function errorsTable({ errors }) {
  if (!errors.length) return h("p", { class: "muted" }, "None since the server started.");
  const rows = [...errors].sort((a, b) => b.count - a.count);
  return h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Refusals and errors", data: { key: "errors" } }, h("table", {},
    h("caption", { class: "visually-hidden" }, "Refusals and errors since the server started"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Code"), h("th", { scope: "col" }, "Status"), h("th", { scope: "col", class: "number" }, "Times"))),
    h("tbody", {}, rows.map(({ code, status, count }) => h("tr", { data: { code } },
      h("th", { scope: "row" }, h("code", {}, code)), h("td", {}, h("span", { class: `tag ${status >= 500 ? "bad" : "warn"}` }, status)), h("td", { class: "number" }, number(count)))))));
}

/** Versions in memory, on what they run, and names that should answer and do not. */
export function modelsCards({ loaded, model_memory: { used_bytes: used, budget_bytes: budget } }, failed) {
  return [
    ...failed.map(({ name, reason }) => h("div", { class: "notice warn" }, h("h3", {}, `The live version of ${name} is not loaded`), h("p", {}, reason))),
    loaded.length ? h("table", { class: "residents cards-when-narrow" },
      h("caption", { class: "visually-hidden" }, "Models in memory"),
      h("thead", {}, h("tr", {}, ["Model", "Runs on", "Tiles at once", "Memory", "Why so"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, loaded.map(residentRow))) : h("p", { class: "muted" }, "None yet: a model is loaded when it is asked for."),
    h("p", { class: "small muted" }, `${plural(loaded.length, "version")}, ${bytes(used)} of the ${bytes(budget)} that models may take; the one used longest ago leaves when another must come in.`)];
}

function residentRow({ model, backend, precision, batch, bytes: taken, reason }) {
  const [name, version] = model.split("@");
  return h("tr", { data: { model } },
    h("th", { scope: "row" }, h("a", { href: link("models", name), data: { key: model } }, name), `, version ${version}`),
    h("td", { data: { head: "Runs on" } }, `${backend}, ${precision}`),
    h("td", { data: { head: "Tiles at once" } }, number(batch)),
    h("td", { data: { head: "Memory" } }, bytes(taken)),
    h("td", { class: "about" }, reason));
}
