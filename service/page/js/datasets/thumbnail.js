// Small pictures of cases, fetched one after the other as they come into sight: the server draws each of them once.

import { call } from "../api.js";
import { h, fill } from "../dom.js";

const AGAIN_MS = 3000, TRIES = 20; // a key may ask for so much at a time

/** `picture(dataset, name)` gives an element; when `signal` says so, nothing is fetched any more. */
export function thumbnails(signal) {
  const wanted = [];
  let isBusy = false;
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) { watcher.unobserve(target); wanted.push(target); }
    turn();
  }, { rootMargin: "300px" });
  signal.addEventListener("abort", () => watcher.disconnect());

  async function turn() {
    if (isBusy) return;
    isBusy = true;
    while (wanted.length && !signal.aborted) await show(wanted.shift());
    isBusy = false;
  }
  async function show(frame, tries = TRIES) {
    const { dataset, case: name } = frame.dataset;
    try {
      const answer = await call(`/v1/datasets/${encodeURIComponent(dataset)}/cases/${encodeURIComponent(name)}/thumbnail`, { signal });
      const address = URL.createObjectURL(await answer.blob());
      const forget = () => URL.revokeObjectURL(address);
      fill(frame, h("img", { src: address, alt: `A slice of ${name} with its labels`, onload: forget, onerror: forget }));
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status !== 429 || !tries) return void fill(frame, h("span", { class: "small" }, `No picture. ${error.detail ?? ""}`));
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      await show(frame, tries - 1);
    }
  }
  return (dataset, name) => {
    const frame = h("figure", { class: "thumbnail", data: { dataset, case: name } });
    watcher.observe(frame);
    return frame;
  };
}
