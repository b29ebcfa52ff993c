// How far something is.

import { h } from "../dom.js";

/** A bar with words; `set(share, words)` moves it, share null: nobody knows how far. */
export function progressBar(label) {
  const bar = h("progress", { max: "1", "aria-label": label });
  const words = h("p", { class: "small muted", role: "status" }, label);
  return {
    element: h("div", { class: "progress" }, bar, words),
    set(share, text) {
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
      if (words.textContent !== text) words.textContent = text;
    },
  };
}
