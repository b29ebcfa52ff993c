// Numbers, sizes and times as people read them.

/** 1536 -> "1.5 KB" */
export function bytes(count) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${unit && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

/** Three significant digits, thousands apart: 1234.5 -> "1,230" is not wanted of counts, so whole numbers stay whole. */
export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
}

/** Seconds -> "0.8 s", "12 s", "3 min 20 s", "2 h 5 min", "12 d 3 h" */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  if (hours < 1) return `${minutes} min ${whole % 60} s`;
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Seconds of something quick -> "0.55 ms", "12.3 ms", "0.26 s", "12 s" */
export function quick(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.1) return `${number(1000 * seconds)} ms`;
  return seconds < 10 ? `${number(seconds)} s` : duration(seconds);
}

/** An ISO time -> the reader's own "27 Nov, 21:05"; of another year "27 Nov 2024, 21:05" */
export function when(iso) {
  if (!iso) return "–";
  const time = new Date(iso);
  const year = time.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return time.toLocaleString("en-GB", { ...year, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

/** plural(1, "scan") -> "1 scan"; plural(2, "scan") -> "2 scans" */
export function plural(count, word, many = `${word}s`) {
  return `${number(count)} ${count === 1 ? word : many}`;
}

/** A share, 0 to 1, as "87 %" */
export function percent(share) {
  return share === null || share === undefined ? "–" : `${Math.round(100 * share)} %`;
}
