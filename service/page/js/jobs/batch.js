// Many scans, sent one by one, and the order to segment them.

import { send, sendForm } from "../api.js";
import { NO_SCAN } from "../scan/files.js";
import { zipOf } from "../scan/zip.js";
import { bytes, plural } from "../words.js";

const SCANS = [".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff"];

/**
 * What files are as a batch: {title, size, parts(watch)} where `parts` gives [{blob, name}], one zip or a scan each. Throws an
 * Error in words for what cannot be one.
 */
export function batchOf(given) {
  const files = given.filter((file) => !NO_SCAN.test(file.name) && file.size > 0).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const zips = files.filter((file) => ends(file, [".zip"]));
  const scans = files.filter((file) => ends(file, SCANS));
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (!files.length) throw wrong("There is nothing to segment here", "Choose files that are not empty: scans, or one zip of scans.");
  if (files.length === 1) return { title: files[0].name, size, parts: async () => named(files) };
  if (zips.length) throw wrong("A zip came together with other files", "Drop one zip alone, or scans without a zip.");
  if (scans.length === files.length) return { title: plural(files.length, "scan"), size, parts: async () => named(files) };
  if (scans.length) throw wrong("Files of different kinds were chosen together", "Choose scans (NIfTI, NRRD, MHA, PNG, TIFF), or files of DICOM, not both.");
  return { title: `${plural(files.length, "file")} of DICOM`, size, parts: async (watch) => [{ blob: await zipOf(files, watch), name: "dicom.zip" }] };
}

/** Sends a batch; called again after a failure, it goes on where it was, and never makes two jobs of one. */
export class Sending {
  constructor(batch) {
    Object.assign(this, { batch, parts: null, uploads: [], key: newKey() });
  }

  /** Upload what is not there yet, and order the job; `told(share, words)` says how far it is. Gives the job. */
  async job(order, { signal, told }) {
    this.parts ??= await this.batch.parts(({ done, total }) => told(null, `Packing file ${done + 1} of ${total}`));
    const count = this.parts.length;
    while (this.uploads.length < count) {
      const at = this.uploads.length;
      const watch = ({ sent, total }) => told((at + sent / total) / count, count > 1 ? `Sending scan ${at + 1} of ${count}` : `Sending ${bytes(sent)} of ${bytes(total)}`);
      this.uploads.push(await uploaded(this.parts[at], { signal, watch }));
    }
    told(null, "Ordering the job");
    const inputs = count === 1 ? { upload: this.uploads[0] } : { uploads: this.uploads };
    return send("POST", "/v1/jobs", { kind: "segment", inputs, ...order }, { signal, headers: { "Idempotency-Key": `${this.key}-${digest(order)}` } });
  }

  /** Nobody wants it any more: what was sent is deleted. */
  async drop() {
    const ids = this.uploads.splice(0);
    await Promise.allSettled(ids.map((id) => send("DELETE", `/v1/uploads/${id}`)));
  }
}

/** A file kept by the server for a later call; its id. */
export async function uploaded({ blob, name }, watching) {
  const form = new FormData();
  form.append("file", blob, name);
  return (await (await sendForm("POST", "/v1/uploads", form, watching)).json()).id;
}

function named(files) {
  return files.map((file) => ({ blob: file, name: file.name }));
}

function newKey() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(16)).join("");
}

/** Another order is another job: a short word for this one. */
function digest(order) {
  return [...JSON.stringify(order)].reduce((sum, letter) => (Math.imul(sum, 31) + letter.codePointAt(0)) >>> 0, 7).toString(16);
}

function ends(file, suffixes) {
  return suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix));
}

function wrong(title, detail) {
  return Object.assign(new Error(title), { title, detail });
}
