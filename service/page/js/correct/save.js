// A corrected mask saved as a case of a dataset, from which models learn.

import { get, send, sendForm } from "../api.js";
import { field, select } from "../components/field.js";
import { fill, h } from "../dom.js";
import { link } from "../router.js";
import { packed, readNifti, withVoxels } from "../scan/nifti.js";
import { runner } from "../segment/run.js";
import { maskInHand } from "../session.js";
import { labelsOf, valuesOf } from "../viewer/labels.js";
import { bytes, plural } from "../words.js";

const NEW = "";
const CASE = "[A-Za-z0-9_\\-]{1,64}";

/** A card with the form; `saved(words)` is told when the server has it. */
export async function saveCard(hand, drawing, saved) {
  const labels = labelsOf(hand.model.labels);
  const datasets = await get("/v1/datasets");
  const fitting = datasets.filter((one) => fits(one, labels, hand.model.input.channels));
  const dataset = select([...fitting.map((one) => [one.name, `${one.name} (${plural(one.case_count, "case")})`]), [NEW, "A new dataset…"]], fitting[0]?.name ?? NEW, () => draw());
  const name = h("input", { type: "text", value: `${hand.model.name}-corrected`, maxlength: "63", spellcheck: "false" });
  const case_ = h("input", { type: "text", value: `case-${stamp()}`, pattern: CASE, maxlength: "64", spellcheck: "false", required: true });
  const naming = h("div", {}, field("Its name", name, "Lower-case letters, digits and dashes."));
  const done = h("div");
  const run = runner("Save as a case", async ({ signal, told }) => {
    if (!case_.checkValidity()) throw { title: "This is no name of a case", detail: "Use 1 to 64 letters, digits, - and _. Take no name of a patient" };
    if (dataset.value === NEW) await make();
    const answer = await put(dataset.value, case_.value, signal, told).catch((error) => { throw known(error); });
    fill(done, h("div", { class: "notice good", role: "status" }, h("p", {}, `${answer.isNew ? "Saved" : "Replaced"}: case ${case_.value} of the dataset `, h("a", { href: link("datasets", dataset.value) }, dataset.value), ". A model that is trained on it learns from this correction.")));
    saved();
  });
  /** A scan that is there already is one case, whatever it is called: its name is put in, to replace its mask. */
  function known(error) {
    const there = /^the case (\S+) has the same image/.exec(error.detail ?? "");
    if (!there || error.code !== "dataset_conflict") return error;
    [, case_.value] = there;
    return { title: "This scan is in the dataset already", detail: `It is the case ${there[1]}, whose name is filled in now. Save once more to replace its mask` };
  }

  const draw = () => { naming.hidden = dataset.value !== NEW; };

  async function make() {
    const body = { name: name.value.trim(), labels: Object.fromEntries(labels.map((label) => [String(label.value), label.name])), channels: hand.model.input.channels };
    await send("POST", "/v1/datasets", body);
    dataset.prepend(h("option", { value: body.name }, body.name));
    dataset.value = body.name;
    draw();
  }

  async function put(to, name_, signal, told) {
    const form = new FormData();
    for (const part of imagesOf(hand)) form.append("image", part, "image");
    form.append("label", await label(), "label.nii.gz");
    const watch = ({ sent, total }) => told(sent < total ? sent / total : null, sent < total ? `Sending ${bytes(sent)} of ${bytes(total)}` : "The server looks at it");
    const answer = await sendForm("PUT", `/v1/datasets/${encodeURIComponent(to)}/cases/${encodeURIComponent(name_)}`, form, { signal, watch });
    return { isNew: answer.status === 201 };
  }

  async function label() {
    return packed(withVoxels(await readNifti(maskInHand()), valuesOf(drawing.places(), labels)));
  }

  draw();
  return h("section", { class: "card stack" }, h("h2", {}, "Teach"),
    h("p", { class: "small muted" }, "Scan and corrected mask go into a dataset on this server, on the scan's own grid."),
    field("Dataset", dataset, fitting.length < datasets.length ? "Datasets with other labels or channels are not listed." : null), naming,
    field("Name of the case", case_, "No name of a patient: it is told to all who use the dataset."), run.element, done);
}

/** What is kept as the image: the files themselves; of DICOM, what was read of it. */
function imagesOf(hand) {
  return hand.scan.kind === "dicom" ? [hand.image] : hand.scan.files;
}

function fits(dataset, labels, channels) {
  const named = new Map(dataset.labels.map((label) => [label.value, label.name]));
  return dataset.channels.length === channels.length && labels.every((label) => named.get(label.value) === label.name);
}

function stamp() {
  return new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
}
