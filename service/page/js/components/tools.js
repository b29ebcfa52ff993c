// The buttons at the right of the bar: the theme, and the key of this tab.

import { h, fill, icon } from "../dom.js";
import { forgetKey, hasKey } from "../key.js";
import { say } from "./said.js";

const THEMES = [["auto", "half", "as the system has it"], ["light", "sun", "light"], ["dark", "moon", "dark"]];

/** Put them into the bar. */
export function showTools(root) {
  const theme = h("button", { class: "button plain small", type: "button", onclick: () => { choose(next()); draw(); say(`Theme: ${current()[2]}`); } });
  const key = h("button", { class: "button plain small", type: "button", onclick: () => { forgetKey(); say("The key of this tab is forgotten."); } }, icon("key"), "Forget key");
  const draw = () => {
    const [, picture, words] = current();
    theme.setAttribute("aria-label", `Theme: ${words}. Change it`);
    theme.title = `Theme: ${words}`;
    fill(theme, icon(picture));
    key.hidden = !hasKey();
  };
  document.addEventListener("key", draw);
  fill(root, key, theme);
  draw();
}

function current() {
  return THEMES.find(([name]) => name === document.documentElement.dataset.theme) ?? THEMES[0];
}

function next() {
  return THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length][0];
}

function choose(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try {
    if (name === "auto") localStorage.removeItem("skipseg-theme");
    else localStorage.setItem("skipseg-theme", name);
  } catch { /* storage is closed: it holds until the page is left */ }
  document.dispatchEvent(new Event("theme"));
}
