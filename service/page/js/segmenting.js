// One scan segmented: the request, and its answer taken apart.

import { sendForm } from "./api.js";
import { bytes, duration } from "./words.js";

const WORDS = { read: "reading", queue: "waiting", preprocess: "preparing", network: "network", postprocess: "finishing", write: "writing" };

/** How it is asked for; what is left empty is left out. */
export function queryOf({ model, format, tta, overlap, roi, beside, series, geometry }) {
  const asked = { model, format, tta: tta ? "true" : "", overlap, roi, beside, series, geometry };
  return new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
}

/**
 * Segment a scan; `told(share, words)` says how far it is. Gives {model, backend, series, notes, stages, mask, summary,
 * uncertainty} with blobs of NIfTI, and throws `Problem`, or `AbortError` when it was stopped.
 */
export async function segment(scan, wishes, { signal, told }) {
  const asked = { ...wishes, format: "nifti", beside: "summary,uncertainty" };
  const answer = await ask(scan, asked, { signal, told });
  const form = await answer.formData();
  return {
    model: answer.headers.get("X-Skipseg-Model"),
    backend: answer.headers.get("X-Skipseg-Backend"),
    series: answer.headers.get("X-Skipseg-Series") ?? "", // of DICOM: which one was read
    notes: answer.headers.get("X-Skipseg-Notes") ?? "",
    stages: stagesOf(answer.headers.get("Server-Timing") ?? ""),
    mask: form.get("mask"),
    summary: JSON.parse(await form.get("summary").text()),
    uncertainty: form.get("uncertainty"),
  };
}

/** The mask alone, in a format that the server writes: {blob, name}. */
export async function written(scan, wishes, format, { signal, told }) {
  const answer = await ask(scan, { ...wishes, format }, { signal, told });
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "mask";
  return { blob: await answer.blob(), name };
}

async function ask(scan, asked, { signal, told }) {
  const parts = await scan.parts(({ done, total }) => told(0.2 * (done / total), `Packing file ${done + 1} of ${total}`));
  const form = new FormData();
  for (const part of parts) form.append("scan", part, "scan"); // no name of a patient travels
  const clock = new Clock((seconds) => told(null, `The server reads, segments and writes it: ${duration(seconds)}`));
  const watch = ({ sent, total }) => {
    if (sent < total) told(sent / total, `Sending ${bytes(sent)} of ${bytes(total)}`);
    else clock.start();
  };
  try {
    return await sendForm("POST", `/v1/segmentations?${queryOf(asked)}`, form, { signal, watch });
  } finally {
    clock.stop();
  }
}

/** Tells every half second how long it has been. */
class Clock {
  constructor(tell) { this.tell = tell; }

  start() {
    if (this.timer) return;
    const began = performance.now();
    this.tell(0);
    this.timer = setInterval(() => this.tell((performance.now() - began) / 1000), 500);
  }

  stop() { clearInterval(this.timer); }
}

function stagesOf(header) {
  return [...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => ({ name: WORDS[name] ?? name, seconds: ms / 1000 }));
}
