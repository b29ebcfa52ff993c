// A short word at the bottom, which screen readers read out as well.

import { h, fill } from "../dom.js";

const STAYS_MS = 6000;
let timer = 0;

/** Say that something was done. */
export function say(text) {
  const said = document.getElementById("said");
  fill(said, h("div", {}, text));
  clearTimeout(timer);
  timer = setTimeout(() => said.replaceChildren(), STAYS_MS);
}
