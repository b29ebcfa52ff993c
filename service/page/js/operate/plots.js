// What a server did in the last minutes, as small plots.

import { plot } from "../components/plot.js";
import { bytes, duration, number, percent, plural, quick } from "../words.js";
import { MINUTE_S, SHOWN_S } from "./history.js";

const LATELY = { along: [-SHOWN_S, 0], dots: false, x: (seconds) => (seconds ? `${-seconds / 60} min ago` : "now"), from: 0 };

/** The plots of a history that has a reading, as a list of figures. */
export function plotsOf(history) {
  return [busyPlot(history), tilesPlot(history), scansPlot(history), memoryPlot(history), requestsPlot(history), secondsPlot(history)];
}

/** How busy the device was for scans, 0 to 1; null until that can be told. */
export function busyShare(history, index) {
  const rate = history.rate(({ busy }) => busy, index);
  return rate === null ? null : Math.min(rate, 1); // the two clocks differ a little
}

function busyPlot(history) {
  return plot({ ...LATELY, title: "Device busy", to: 1, y: percent, words: `${percent(busyShare(history))} of the time`, lines: [{ points: history.points((_, index) => busyShare(history, index)) }] });
}

function tilesPlot(history) {
  const tiles = (index) => history.rate((reading) => reading.tiles, index);
  return plot({ ...LATELY, title: "Tiles a second", to: 1, words: number(tiles()), lines: [{ points: history.points((_, index) => tiles(index)) }] });
}

function scansPlot(history) {
  const { taken, flying, places } = history.last.scans;
  return plot({ ...LATELY, title: "Scans in hand", to: 1, words: `${taken} of at most ${places}, ${flying} on the device`, lines: [
    { name: "in hand", points: history.points(({ scans }) => scans.taken) },
    { name: "on the device", kind: "second", points: history.points(({ scans }) => scans.flying) }] });
}

function memoryPlot(history) {
  const { memory } = history.last;
  const lines = [["scans", "line"], ["models", "second"], ["gpu", "third"]].filter(([name]) => memory[name][1]);
  const named = (name) => (name === "gpu" ? "the whole GPU" : name);
  return plot({ ...LATELY, title: "Memory, of its budget", to: 1, y: percent,
    words: lines.map(([name]) => `${named(name)} ${bytes(memory[name][0])} of ${bytes(memory[name][1])}`).join(", "),
    lines: lines.map(([name, kind]) => ({ name: named(name), kind, points: history.points((reading) => reading.memory[name][0] / reading.memory[name][1]) })) });
}

function requestsPlot(history) {
  const kinds = [["answered", "line"], ["refused", "warn"], ["failed", "bad"]];
  const grown = (kind, index) => history.grown(({ requests }) => requests[kind], index);
  return plot({ ...LATELY, title: "Requests in a minute", to: 1, words: `${kinds.map(([kind]) => `${number(grown(kind))} ${kind}`).join(", ")} in ${lately(history)}`,
    lines: kinds.map(([name, kind]) => ({ name, kind, points: history.points((_, index) => grown(name, index)) })) });
}

function secondsPlot(history) {
  const whole = (index) => sum(history.last.stages.map(({ name }) => history.mean(name, index)));
  const scans = history.grown(({ stages }) => stages.find(({ name }) => name === "network").scans);
  return plot({ ...LATELY, title: "Seconds a scan", words: scans ? `${quick(whole())}, network ${quick(history.mean("network"))}: ${plural(scans, "scan")} in ${lately(history)}` : `no scan in ${lately(history)}`, lines: [
    { name: "all stages", points: history.points((_, index) => whole(index)) },
    { name: "network", kind: "second", points: history.points((_, index) => history.mean("network", index)) }] });
}

/** The minute that was seen, or what was seen of it since the view was opened. */
function lately(history) {
  return history.seen < MINUTE_S - 5 ? `the last ${duration(history.seen)}` : "the last minute";
}

function sum(means) {
  const told = means.filter((mean) => mean !== null);
  return told.length ? told.reduce((total, mean) => total + mean, 0) : null;
}
