// What is asked of a segmentation: the model, and how carefully it looks.

import { h, fill } from "../dom.js";
import { check, field, select } from "../components/field.js";
import { detailsOf } from "./models.js";

/**
 * A form; `element` to show, `wishes()` what it says, `model()` the details of
 * the chosen one, `suit(scan)` shows what goes with a scan. `chosen()` is told of a change.
 */
export async function orderForm(versions, before, chosen) {
  const about = h("p", { class: "small muted" });
  const model = select(versions.map((one) => [one.reference, one.title]), before?.model ?? versions[0].reference, () => describe());
  const tta = check("Look at mirrored views too", { checked: before?.tta ?? false, hint: "Slower, often a little better; only for models that were trained with mirrored scans." });
  const overlap = h("input", { type: "number", min: "0", max: "0.94", step: "0.05", inputmode: "decimal", placeholder: "as the model has it", value: before?.overlap ?? "" });
  const roi = h("input", { type: "text", spellcheck: "false", placeholder: "all of it", value: before?.roi ?? "" });
  const series = h("input", { type: "text", spellcheck: "false", placeholder: "the only one there is", value: before?.series ?? "" });
  const geometry = check("Interpolate slices onto a regular grid", { checked: before?.geometry === "resample", hint: "For series with a gap, a tilt or uneven spacing, which are refused otherwise. The mask then lies on the new grid." });
  const ofDicom = h("div", { class: "stack", hidden: true }, geometry.row, field("Series", series, "The Series Instance UID, where a study has several series."));
  let details = null;

  async function describe() {
    details = await detailsOf(versions.find((one) => one.reference === model.value));
    fill(about, inputWords(details));
    chosen(details);
  }
  await describe();
  const dicomWishes = () => (ofDicom.hidden ? {} : { series: series.value.trim(), geometry: geometry.control.checked ? "resample" : "" });
  return {
    element: h("div", { class: "stack" },
      h("div", { class: "stack tight" }, field("Model", model), about),
      h("details", {}, h("summary", {}, "Options"), h("div", { class: "stack" },
        tta.row,
        field("Overlap of tiles", overlap, "The share of a tile that its neighbour covers again, 0 to 0.94. More is slower and smoother."),
        field("Only this box", roi, "x0:x1,y0:y1,z0:z1 in voxels of the scan as it is stored, such as 10:90,:,5:40"), ofDicom))),
    wishes: () => ({ model: model.value, tta: tta.control.checked, overlap: overlap.value.trim(), roi: roi.value.trim(), ...dicomWishes() }),
    suit: (scan) => { ofDicom.hidden = scan?.kind !== "dicom"; },
    model: () => details,
  };
}

function inputWords(details) {
  const { channels, dimensions } = details.input;
  const needs = channels.length === 1 ? `one ${dimensions}D channel (${channels[0]})` : `${channels.length} channels of ${dimensions}D, in this order: ${channels.join(", ")}`;
  const finds = details.labels.filter((label) => label.value).map((label) => label.name).join(", ");
  return [h("span", {}, `Takes ${needs}. `), h("span", {}, `Finds ${finds}.`)];
}
