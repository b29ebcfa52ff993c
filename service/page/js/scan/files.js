// From what was dropped or chosen to the parts of a request: files of channels in order, or one zip of a DICOM series.

import { zipOf } from "./zip.js";
import { plural } from "../words.js";

const SCANS = [".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff"];
const ZIP = ".zip";
/** Names of what systems and discs leave in folders. */
export const NO_SCAN = /^(\.|dicomdir$|thumbs\.db$|desktop\.ini$)/i;

/** All files of a drop, with those of dropped folders. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (!some.length) return (await Promise.all(found.map(filesIn))).flat();
    found.push(...some);
  }
}

/**
 * What files are together: {kind: "volume" | "picture" | "dicom", files, title, parts(watch)}, where `parts` gives the
 * blobs to send. Throws an Error in words for files that are no scan.
 */
export function scanOf(given) {
  const files = given.filter((file) => !NO_SCAN.test(file.name) && file.size > 0).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  if (!files.length) throw wrong("There is no file to read here", "Choose a scan that is not empty: NIfTI, NRRD, MHA, PNG, TIFF or DICOM.");
  if (files.every((file) => ends(file, SCANS))) return ofScans(files);
  if (files.length === 1) return { kind: "dicom", files, title: files[0].name, parts: async () => files };
  const slices = files.filter((file) => !ends(file, [...SCANS, ZIP]));
  if (slices.length < files.length) throw wrong("Files of different kinds were chosen together", "Choose either the channels of one scan (NIfTI, NRRD, MHA, PNG or TIFF), or one folder or zip of a DICOM series.");
  return { kind: "dicom", files, title: `DICOM series of ${plural(files.length, "file")}`, parts: async (watch) => [await zipOf(files, watch)] };
}

function ofScans(files) {
  const isPicture = files.every((file) => ends(file, [".png", ".tif", ".tiff"]));
  const title = files.length === 1 ? files[0].name : `${files[0].name} and ${plural(files.length - 1, "more channel")}`;
  return { kind: isPicture ? "picture" : "volume", files, title, parts: async () => files };
}

function ends(file, suffixes) {
  return suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix));
}

function wrong(title, detail) {
  return Object.assign(new Error(title), { title, detail });
}
