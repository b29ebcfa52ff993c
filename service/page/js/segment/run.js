// The button that segments, how far it is, and the button that stops it.

import { h, fill } from "../dom.js";
import { askBeforeLeaving } from "../components/leaving.js";
import { problemCard } from "../components/problem.js";
import { progressBar } from "../components/progress.js";

/** An element with one action; `work({signal, told})` does it, and the page is not left without asking meanwhile. `stop()` ends it. */
export function runner(words, work) {
  const element = h("div", { class: "stack tight" });
  let controller = null;

  async function go() {
    controller = new AbortController();
    const stopAsking = askBeforeLeaving(() => true);
    const bar = progressBar(words);
    const cancel = h("button", { class: "button", type: "button", onclick: () => controller.abort() }, "Cancel");
    fill(element, bar.element, cancel);
    cancel.focus({ preventScroll: true });
    try {
      await work({ signal: controller.signal, told: bar.set });
      rest();
    } catch (error) {
      rest(error.name === "AbortError" ? h("p", { class: "small muted", role: "status" }, "Cancelled. The server has put it down.") : problemCard(error, go));
    } finally {
      stopAsking();
      controller = null;
    }
  }
  const rest = (note = null) => fill(element, h("button", { class: "button main-action", type: "button", onclick: go }, words), note);
  rest();
  return { element, go, rest, stop: () => controller?.abort() };
}
