// Where scans are dropped, or chosen with the keyboard.

import { h, icon } from "../dom.js";
import { dropped } from "../scan/files.js";

/** A place to drop files and folders; `got(files)` is given what came. */
export function dropZone({ title, words, got, folders = true }) {
  const files = h("input", { type: "file", multiple: true, hidden: true, onchange: () => pass(files) });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, onchange: () => pass(folder) });
  const pass = (input) => { const chosen = [...input.files]; input.value = ""; if (chosen.length) got(chosen); };
  const zone = h("div", { class: "drop" },
    icon("upload"), h("h2", {}, title), h("p", { class: "muted" }, words),
    h("div", { class: "row" },
      h("button", { class: "button main-action", type: "button", onclick: () => files.click() }, "Choose files"),
      folders && h("button", { class: "button", type: "button", onclick: () => folder.click() }, "Choose a DICOM folder")),
    files, folder);
  takeDrops(zone, got);
  return zone;
}

/** Let files be dropped onto an element. */
export function takeDrops(element, got) {
  let depth = 0; // of elements inside that are dragged over
  const over = (change) => { depth = Math.max(depth + change, 0); element.classList.toggle("over", depth > 0); };
  element.addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
  element.addEventListener("dragleave", () => over(-1));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    over(0);
    const files = await dropped(event.dataTransfer);
    if (files.length) got(files);
  });
}
