// One look at the server: what `/metrics` told, and when.

import { call, get } from "../api.js";
import { byLabel, samplesOf, valueIn } from "./prometheus.js";

const STAGES = { read: "Reading", queue: "Waiting", preprocess: "Preparing", network: "Network", postprocess: "Finishing", write: "Writing" };

/** A reading; `at` is in seconds of this page's clock, everything that only grows counts from the server's start. */
export async function reading(signal) {
  const answer = await call("/metrics", { signal });
  const at = performance.now() / 1000, now = Date.parse(answer.headers.get("Date")) || Date.now();
  const samples = samplesOf(await answer.text());
  const told = (name) => valueIn(samples, `skipseg_${name}`);
  const started = valueIn(samples, "process_start_time_seconds"); // told on Linux alone
  return {
    at,
    started,
    up: started === null ? null : Math.max(now / 1000 - started, 0), // both by the server's clock
    busy: told("device_busy_seconds_total"),
    tiles: told("tiles_total"),
    scans: { taken: told("queue_length"), places: told("queue_limit"), flying: told("scans_in_flight") },
    memory: {
      scans: [told("scan_memory_bytes"), told("scan_memory_limit_bytes")],
      models: [told("model_memory_bytes"), told("model_memory_limit_bytes")],
      gpu: [told("gpu_memory_used_bytes"), told("gpu_memory_bytes")],
      process: valueIn(samples, "process_resident_memory_bytes"),
    },
    requests: requestsIn(samples),
    stages: stagesIn(samples),
    jobs: byLabel(samples, "skipseg_jobs", "state"),
    deliveries: byLabel(samples, "skipseg_deliveries", "state"),
    errors: (samples.skipseg_errors_total ?? []).filter(({ value }) => value).map(({ labels, value }) => ({ ...labels, count: value })),
    modelsChanged: JSON.stringify([samples.skipseg_model_loads_total, told("models_loaded"), told("models_failed"), told("model_memory_bytes")]),
  };
}

/** Whether it segments, and why not; who has no key is told as well. */
export async function readiness(signal) {
  try {
    return { isReady: true, ...(await get("/readyz", { signal })) };
  } catch (error) {
    if (error.status !== 503) throw error;
    return { isReady: false, why: error.detail, failed: [] };
  }
}

/** Requests for the API by what came of them; those that fetch this page or watch the server are not counted. */
function requestsIn(samples) {
  const counts = { answered: 0, refused: 0, failed: 0 };
  for (const { labels: { route, status }, value } of samples.skipseg_requests_total ?? []) {
    if (route.startsWith("/v1/") || route === "unmatched") counts[status < 400 ? "answered" : status < 500 ? "refused" : "failed"] += value;
  }
  return counts;
}

function stagesIn(samples) {
  const sums = byLabel(samples, "skipseg_stage_seconds_sum", "stage"), counts = byLabel(samples, "skipseg_stage_seconds_count", "stage");
  return Object.entries(STAGES).map(([name, title]) => ({ name, title, seconds: sums[name] ?? 0, scans: counts[name] ?? 0 }));
}
