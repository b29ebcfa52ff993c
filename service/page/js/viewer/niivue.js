// NiiVue, fetched when the first scan is looked at: most of the page's weight is in it.

const FILE = "../../vendor/niivue-0.69.0/niivue.umd.js";
let loading = null;

/** What NiiVue exports. */
export function niivue() {
  loading ??= import(FILE).then(() => globalThis.niivue);
  return loading;
}

/** Whether this browser can draw volumes. */
export function canDraw() {
  return document.createElement("canvas").getContext("webgl2") !== null;
}
