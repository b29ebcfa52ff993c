// The scans of a job: what failed first, then the least trustworthy masks.

import { call, get, saveAs } from "../api.js";
import { problemCard } from "../components/problem.js";
import { refill } from "../components/keep.js";
import { h, fill, icon } from "../dom.js";
import { duration, number } from "../words.js";
import { capital, stateTag } from "./words.js";

const PAGE = 10_000, SHOWN = 100;
const RANKS = { failed: 0, done: 1, running: 2, queued: 3, cancelled: 4 };
const SUFFIXES = { "application/x-nrrd": ".nrrd", "application/x-mha": ".mha", "image/png": ".png", "image/tiff": ".tif", "application/json": ".json", "application/dicom": ".dcm" };

/** An element with the scans; `look(signal)` reads them again. */
export function itemsTable(job) {
  const element = h("div", { class: "stack" });
  let items = [], most = SHOWN, told = "";

  function draw() {
    const labels = [...new Set(items.flatMap((item) => Object.keys(item.volumes_mm3 ?? {})))];
    const more = items.length > most && h("button", { class: "button", type: "button", data: { key: "more" }, onclick: () => { most += SHOWN; draw(); } }, `Show more of ${number(items.length)}`);
    refill(element, h("div", { class: "card scroll-x" }, h("table", { class: "items cards-when-narrow" },
      h("caption", { class: "visually-hidden" }, "Scans: what failed first, then the least trustworthy masks"),
      h("thead", {}, h("tr", {}, ["Scan", "State", "Trust", "What to know", ...labels.map((label) => `${label} (ml)`), "Mask"].map((name) => h("th", { scope: "col", class: name.endsWith("(ml)") ? "number" : null }, name)))),
      h("tbody", {}, items.slice(0, most).map((item) => row(item, labels))))), more);
  }
  return {
    element,
    async look(signal) {
      const found = [];
      for (let total = 1; found.length < total;) {
        const page = await get(`/v1/jobs/${job.id}/items?start=${found.length}&limit=${PAGE}`, { signal });
        found.push(...page.items);
        total = page.total;
      }
      const news = JSON.stringify(found);
      if (news === told) return;
      told = news;
      items = found.sort(byTrust);
      draw();
    },
    failed(error) { told = ""; fill(element, problemCard(error)); },
  };
}

function byTrust(a, b) {
  return RANKS[a.state] - RANKS[b.state] || (a.trust?.score ?? 2) - (b.trust?.score ?? 2) || a.item - b.item;
}

function row(item, labels) {
  return h("tr", { data: { scan: item.name } },
    h("th", { scope: "row", class: "scan-name" }, item.name),
    h("td", { data: { head: "State" } }, stateTag(item.state)),
    h("td", { data: { head: "Trust" } }, item.trust ? h("span", { class: `tag ${item.trust.flags.length ? "warn" : "good"}` }, item.trust.score.toFixed(2)) : "–"),
    h("td", { class: "about", data: { head: "What to know" } }, about(item)),
    labels.map((label) => h("td", { class: "number", data: { head: `${label} (ml)` } }, millilitres(item.volumes_mm3?.[label]))),
    h("td", { data: { head: "Mask" } }, item.mask ? maskButton(item) : "–"));
}

/** mm³ -> "0.8300", with as many digits as its neighbours. */
function millilitres(volume) {
  return volume === undefined ? "–" : (volume / 1000).toLocaleString("en", { minimumSignificantDigits: 4, maximumSignificantDigits: 4 });
}

function about(item) {
  if (item.problem) return capital(item.problem);
  const words = [...(item.trust?.flags ?? []), ...item.notes, item.reused && "taken from an earlier job"].filter(Boolean);
  if (words.length) return h("ul", { class: "plain-list" }, words.map((each) => h("li", {}, capital(each))));
  return item.state === "done" ? h("span", { class: "muted" }, `Nothing unusual${item.seconds === null ? "" : `, ${duration(item.seconds)}`}`) : "";
}

function maskButton(item) {
  const button = h("button", { class: "button small", type: "button", data: { key: `mask-${item.item}` }, "aria-label": `Download the mask of ${item.name}`,
    onclick: async () => {
      button.disabled = true;
      try {
        const blob = await (await call(item.mask)).blob();
        saveAs(blob, `${item.name.split("/").pop()}${await suffix(blob)}`);
      } catch (error) {
        button.after(problemCard(error));
      }
      button.disabled = false;
    } }, icon("download"));
  return button;
}

async function suffix(blob) {
  if (SUFFIXES[blob.type]) return SUFFIXES[blob.type];
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  return first === 0x1f && second === 0x8b ? ".nii.gz" : ".nii";
}
