// The mask in every format that the server writes.

import { h } from "../dom.js";
import { saveAs } from "../api.js";
import { field, select } from "../components/field.js";
import { written } from "../segmenting.js";
import { runner } from "./run.js";

const TITLES = { nifti: "NIfTI", nrrd: "NRRD", mha: "MetaImage (MHA)", png: "PNG", tiff: "TIFF", json: "JSON: sizes and trust",
  "dicom-seg": "DICOM segmentation", "dicom-seg-labelmap": "DICOM segmentation, as a label map", "dicom-sr": "DICOM measurement report", rtstruct: "DICOM RT structure set" };

/** A choice of formats and a button; NIfTI and JSON are here already, for others the server segments once more. */
export function downloads(hand, formats) {
  const known = formats.filter((format) => hand.scan.kind === "dicom" || !/^(dicom|rtstruct)/.test(format));
  const format = select(known.map((name) => [name, TITLES[name] ?? name]), known[0]);
  const run = runner("Download", async (watch) => {
    const { blob, name } = await fileOf(hand, format.value, watch);
    saveAs(blob, name);
  });
  return h("section", { class: "card stack" }, h("h2", {}, "Download"),
    field("Format", format, "NIfTI and JSON are at hand; for another one the server segments the scan once more."), run.element);
}

async function fileOf({ scan, wishes, result }, format, watch) {
  if (format === "nifti") return { blob: result.mask, name: "mask.nii.gz" };
  if (format === "json") return { blob: new Blob([JSON.stringify(result.summary, null, 2)], { type: "application/json" }), name: "mask.json" };
  return written(scan, { ...wishes, model: result.model }, format, watch);
}
