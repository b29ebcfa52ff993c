// Prometheus' text format, read: what `/metrics` answers.

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/; // a label may hold "}", as routes do: the last one ends them
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

/** Text -> samples by name: {skipseg_tiles_total: [{labels: {}, value: 17}], ...} */
export function samplesOf(text) {
  const found = {};
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (name) (found[name] ??= []).push({ labels: labelsOf(labels), value: valueOf(value) });
  }
  return found;
}

/** The value of a metric that has one sample alone; null where there is none. */
export function valueIn(samples, name) {
  return samples[name]?.[0]?.value ?? null;
}

/** A metric by the value of a label, samples that share one added up: {network: 3.2, ...} */
export function byLabel(samples, name, label) {
  const sums = {};
  for (const { labels, value } of samples[name] ?? []) sums[labels[label]] = (sums[labels[label]] ?? 0) + value;
  return sums;
}

function labelsOf(text) {
  const unescaped = (value) => value.replace(/\\[n"\\]/g, (each) => ESCAPED[each]);
  return Object.fromEntries([...text.matchAll(LABEL)].map(([, name, value]) => [name, unescaped(value)]));
}

function valueOf(text) {
  return Number(text.replace("Inf", "Infinity"));
}
