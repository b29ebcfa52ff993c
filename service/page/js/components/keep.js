// Elements drawn anew while somebody reads them: the focus stays where it was.

import { fill } from "../dom.js";

/** Put these into an element; what has the focus and is there again under the same `data-key` keeps it. */
export function refill(element, ...children) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  fill(element, ...children);
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  return element;
}

/** Call `work(signal)` again and again with a pause between, until the function that is given back is called. */
export function every(milliseconds, work) {
  const controller = new AbortController();
  let timer = 0;
  const turn = async () => {
    try {
      if (!document.hidden) await work(controller.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      throw error;
    }
    if (!controller.signal.aborted) timer = setTimeout(turn, milliseconds);
  };
  timer = setTimeout(turn, milliseconds);
  return () => { controller.abort(); clearTimeout(timer); };
}
