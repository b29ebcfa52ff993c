// A new dataset of a zip: sent once, however often its name has to be changed.

import { send } from "../api.js";
import { dropZone, takeDrops } from "../components/drop.js";
import { field } from "../components/field.js";
import { askBeforeLeaving } from "../components/leaving.js";
import { problemCard } from "../components/problem.js";
import { say } from "../components/said.js";
import { h, fill } from "../dom.js";
import { uploaded } from "../jobs/batch.js";
import { go } from "../router.js";
import { runner } from "../segment/run.js";
import { bytes, plural } from "../words.js";

const NAME = "[a-z0-9][a-z0-9_\\-]{0,62}";
const NO_ZIP = { title: "This is no zip of a dataset", detail: "Choose one zip, with images and labels in it (and a dataset.json or labels.json, where there is one)" };

/** The card where one is made; drops anywhere in `root` are taken. `leave()` stops what is under way. */
export function newDataset(root) {
  const element = h("section", { class: "card stack", "aria-labelledby": "new-title" });
  const name = h("input", { type: "text", pattern: NAME, maxlength: "63", spellcheck: "false", autocomplete: "off", required: true });
  let file = null, upload = null, isSending = false;

  const run = runner("Make the dataset", async (watch) => {
    if (!name.checkValidity()) throw { title: "This is no name of a dataset", detail: "Use lower-case letters, digits, - and _, at most 63" };
    isSending = true;
    try {
      upload ??= await uploaded({ blob: file, name: "dataset.zip" }, { signal: watch.signal, watch: ({ sent, total }) => watch.told(sent / total, `Sending ${bytes(sent)} of ${bytes(total)}`) });
      watch.told(null, "The server unpacks it and looks at every case");
      const made = await send("POST", "/v1/datasets", { name: name.value, upload }, { signal: watch.signal }).catch((error) => { throw known(error); });
      forget();
      say(`The dataset ${made.name} has ${plural(made.case_count, "case")}.`);
      go("datasets", made.name);
    } finally {
      isSending = false;
    }
  });
  /** What was sent is the server's by then: it makes the dataset, whoever waits for it. */
  function known(error) {
    return error.name === "AbortError" && upload ? { title: "Nobody waits for it now", detail: "The server had the whole zip already, and may make the dataset all the same: look at the list in a moment" } : error;
  }

  function got([first, ...others]) {
    if (isSending) return;
    forget();
    if (others.length || !first.name.toLowerCase().endsWith(".zip") || !first.size) return draw(problemCard(NO_ZIP));
    file = first;
    name.value = nameOf(first);
    run.rest();
    draw();
    name.focus({ preventScroll: true });
    return null;
  }

  function forget() {
    if (upload) send("DELETE", `/v1/uploads/${upload}`).catch(() => {}); // else it goes when its time is over
    file = upload = null;
  }

  function draw(problem = null) {
    const zone = dropZone({ title: "Drop a zip here", words: "In the layout of MSD or nnU-Net, or two folders, images and labels, with files of the same names.", got, folders: false });
    zone.classList.add("compact");
    fill(element, h("h2", { id: "new-title" }, "New dataset"), problem, file ? chosen(file, () => { run.stop(); forget(); draw(); }) : zone,
      file && [field("Its name", name, "Lower-case letters, digits, - and _. Names of files become names of cases: let none be a patient's."), run.element]);
  }

  const stopAsking = askBeforeLeaving(() => file !== null); // what was chosen is not sent yet
  takeDrops(root, got);
  draw();
  return { element, leave() { stopAsking(); run.stop(); forget(); } };
}

function nameOf(file) {
  return file.name.toLowerCase().replace(/\.zip$/, "").replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|-+$/g, "").slice(0, 63);
}

function chosen(file, putDown) {
  return h("div", { class: "row spread" },
    h("p", { class: "file-name" }, file.name, " ", h("small", {}, bytes(file.size))),
    h("button", { class: "button small", type: "button", onclick: putDown }, "Choose another"));
}
