// What went wrong, and what to do.

import { h } from "../dom.js";
import { askForKey, authorization } from "../key.js";
import { defectsList } from "./defects.js";

/** A card with the words of a `Problem`; with `again`, a button that tries again. */
export function problemCard(error, again = null) {
  const isKnown = Boolean(error.title);
  if (!isKnown) console.error(error); // a fault of the page
  const title = isKnown ? error.title : "The page failed";
  const detail = isKnown ? error.detail : `Reload it; if it happens again, tell who runs the server: ${error.message}`;
  return h("div", { class: "problem", role: "alert" },
    h("h3", {}, title),
    detail && h("p", {}, sentence(detail)),
    error.defects?.length ? defectsList(error.defects) : null,
    error.id && error.status >= 500 && h("p", { class: "small muted" }, `Request ${error.id}`),
    buttons(error, again));
}

function buttons(error, again) {
  const isOfKey = error.status === 401 || error.code === "forbidden";
  const other = isOfKey && h("button", { class: "button small", type: "button", onclick: async () => { if (await askForKey(authorization())) again?.(); } }, "Use another key");
  const retry = again && h("button", { class: "button small", type: "button", onclick: again }, "Try again");
  return (other || retry) && h("div", { class: "row" }, retry, other);
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
