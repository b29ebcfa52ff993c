// A new batch: files, a model, and off it goes.

import { h, fill } from "../dom.js";
import { dropZone, takeDrops } from "../components/drop.js";
import { check, field, select } from "../components/field.js";
import { askBeforeLeaving } from "../components/leaving.js";
import { problemCard } from "../components/problem.js";
import { go } from "../router.js";
import { runner } from "../segment/run.js";
import { bytes } from "../words.js";
import { batchOf, Sending } from "./batch.js";

const FORMATS = { nifti: "NIfTI", nrrd: "NRRD", mha: "MetaImage (MHA)", png: "PNG", tiff: "TIFF", "dicom-seg": "DICOM segmentation" };

/** The card where a batch is put together; drops anywhere in `root` are taken. `leave()` stops what is under way. */
export function newBatch(root, models, info) {
  const element = h("section", { class: "card stack", "aria-labelledby": "new-title" });
  const model = select(models.map((one) => [one.reference, one.title]), models[0].reference);
  const format = select([["", "the scan's own"], ...info.formats.filter((name) => FORMATS[name]).map((name) => [name, FORMATS[name]])], "");
  const tta = check("Look at mirrored views too", { hint: "Slower, often a little better; only for models that were trained with mirrored scans." });
  const reuse = check("Take masks that are there already", { hint: "Of an earlier job with the same scan, model and options." });
  let batch = null, sending = null, isSending = false;

  const run = runner("Segment them", async (watch) => {
    sending ??= new Sending(batch);
    isSending = true;
    try {
      const job = await sending.job(order(), watch);
      sending = null;
      go("jobs", job.id);
    } finally {
      isSending = false;
    }
  });
  const order = () => ({ model: model.value, format: format.value || null, tta: tta.control.checked, reuse: reuse.control.checked });

  function got(files) {
    if (isSending) return;
    forget();
    try {
      batch = batchOf(files);
      run.rest();
      draw();
      run.element.querySelector("button").focus({ preventScroll: true });
    } catch (error) {
      batch = null;
      draw(problemCard(error));
    }
  }

  function forget() {
    sending?.drop();
    sending = null;
    batch = null;
  }

  function draw(problem = null) {
    const zone = dropZone({ title: "Drop scans here", words: "Several files, or one zip of scans. DICOM: a folder or a zip, every series is a scan.", got });
    zone.classList.add("compact");
    fill(element, h("h2", { id: "new-title" }, "New batch"), problem, batch ? chosen(batch, () => { run.stop(); forget(); draw(); }) : zone,
      batch && [field("Model", model),
        h("details", {}, h("summary", {}, "Options"), h("div", { class: "stack" }, field("Format of the masks", format), tta.row, reuse.row)),
        run.element]);
  }

  const stopAsking = askBeforeLeaving(() => batch !== null); // what was chosen is not sent yet, or not all of it
  takeDrops(root, got);
  draw();
  return { element, leave() { stopAsking(); run.stop(); forget(); } };
}

function chosen(batch, putDown) {
  return h("div", { class: "row spread" },
    h("p", { class: "file-name" }, batch.title, " ", h("small", {}, bytes(batch.size))),
    h("button", { class: "button small", type: "button", onclick: putDown }, "Choose others"));
}
