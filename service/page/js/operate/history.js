// The readings of the last minutes, and what they say of the time between them.

export const SHOWN_S = 300, MINUTE_S = 60;
const RATE_S = 10; // rates are of so many seconds
const GAP_S = 12; // without a reading: the tab was hidden, the server away, or the view paused

export class History {
  constructor() {
    this.readings = [];
  }

  get last() {
    return this.readings.at(-1) ?? null;
  }

  /** Keep a reading; a server that started anew begins a new history. */
  add(reading) {
    if (this.last && (reading.started !== this.last.started || reading.busy < this.last.busy)) this.readings = [];
    this.readings.push(reading);
    this.readings = this.readings.filter(({ at }) => at >= reading.at - SHOWN_S - MINUTE_S);
  }

  /** Points [seconds before the last reading, `of(reading, index)`] of what is shown; a gap is a point of null. */
  points(of) {
    const points = [];
    this.readings.forEach((reading, index) => {
      const ago = reading.at - this.last.at, before = this.readings[index - 1];
      if (ago < -SHOWN_S) return;
      if (before && reading.at - before.at > GAP_S) points.push([ago, null]);
      points.push([ago, of(reading, index)]);
    });
    return points;
  }

  /** What grew, by the second, in the `RATE_S` before a reading; null without an earlier one. */
  rate(of, index = this.readings.length - 1) {
    const reading = this.readings[index], first = this.#first(index, RATE_S);
    return first === reading ? null : (of(reading) - of(first)) / (reading.at - first.at);
  }

  /** By how much it grew in the minute before a reading, as far as that was seen. */
  grown(of, index = this.readings.length - 1) {
    return of(this.readings[index]) - of(this.#first(index, MINUTE_S));
  }

  /** Seconds that a stage took a scan in the minute before a reading; null when none came through it. */
  mean(stage, index = this.readings.length - 1) {
    const of = (field) => (reading) => reading.stages.find(({ name }) => name === stage)[field];
    const scans = this.grown(of("scans"), index);
    return scans ? this.grown(of("seconds"), index) / scans : null;
  }

  /** How much of the last minute was seen, in seconds. */
  get seen() {
    return this.last.at - this.#first(this.readings.length - 1, MINUTE_S).at;
  }

  #first(index, seconds) {
    return this.readings.find(({ at }) => at >= this.readings[index].at - seconds);
  }
}
