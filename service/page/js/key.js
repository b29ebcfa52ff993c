// The key of this tab: asked for once, kept until the tab is closed, sent with every call.

import { h } from "./dom.js";

const KEPT_AS = "skipseg-key";
let asking = null; // one question at a time, whoever asks

/** The header that a call needs, or none. */
export function authorization() {
  const key = sessionStorage.getItem(KEPT_AS);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Whether this tab has a key. */
export function hasKey() {
  return sessionStorage.getItem(KEPT_AS) !== null;
}

/** Forget it. */
export function forgetKey() {
  sessionStorage.removeItem(KEPT_AS);
  document.dispatchEvent(new Event("key"));
}

/** Ask for a key, unless another was given since `sent` was; true when there is one to try, false when nobody gives one. */
export async function askForKey(sent = {}) {
  const now = authorization().Authorization;
  if (now && now !== sent.Authorization) return true;
  asking ??= question(Boolean(sent.Authorization)).finally(() => { asking = null; });
  return asking;
}

function question(refused) {
  return new Promise((resolve) => {
    const input = h("input", { id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false", class: "input" });
    const words = refused ? "The server does not know this key, or not any more." : "This server answers only those who have a key.";
    const form = h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); keep(input.value.trim()); dialog.close("given"); } },
      h("h2", { id: "key-title" }, "Your key"),
      h("p", {}, `${words} It is kept until you close this tab, and sent to this server alone.`),
      h("div", { class: "field" }, h("label", { for: "key" }, "Key"), input,
        h("span", { class: "hint" }, "Who runs the server makes one with: skipseg keys create")),
      h("div", { class: "row" },
        h("button", { class: "button main-action", type: "submit" }, "Use this key"),
        h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Not now")));
    const dialog = h("dialog", { "aria-labelledby": "key-title", onclose: () => { dialog.remove(); resolve(dialog.returnValue === "given"); } }, form);
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}

function keep(key) {
  sessionStorage.setItem(KEPT_AS, key);
  document.dispatchEvent(new Event("key"));
}
