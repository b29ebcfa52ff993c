// Small line plots in SVG. Colours and sizes come from css/work.css.

import { h } from "../dom.js";
import { number } from "../words.js";

const WIDTH = 320, HEIGHT = 132, LEFT = 44, RIGHT = 8, TOP = 10, BOTTOM = 22;

/**
 * A plot with its title: `lines` are [{points: [[x, y], ...], kind, name}] (kinds: line, second, third, good, warn, bad,
 * faint; a y of null is a gap; names make a legend), `x` and `y` turn numbers into words, `words` says in a sentence what is
 * to be seen. `from` and `to` are y that are always shown, `along` the x that are (plots beside one another have the same);
 * `dots` marks the points of lines that have few.
 */
export function plot({ title, lines, words, x = number, y = number, from = null, to = null, along = [], dots = true }) {
  const all = lines.flatMap((line) => line.points).filter(([, value]) => value !== null);
  const picture = all.length > 1 || along.length ? drawn(lines, all, { x, y, from, to, along, dots }) : h("p", { class: "plot-empty muted small" }, "Nothing to draw yet.");
  return h("figure", { class: "plot" }, h("figcaption", {}, h("strong", {}, title), " ", h("span", { class: "plot-says muted small" }, words)), picture, legend(lines));
}

function legend(lines) {
  const named = lines.filter(({ name }) => name);
  if (named.length < 2) return null;
  return h("ul", { class: "plot-legend", "aria-hidden": "true" }, named.map(({ name, kind = "line" }) => {
    const stroke = s("svg", { viewBox: "0 0 28 8", class: "plot-key" });
    stroke.append(s("path", { class: `plot-${kind}`, d: "M1 4H27" }));
    return h("li", {}, stroke, name);
  }));
}

function drawn(lines, all, { x, y, from, to, along, dots }) {
  const across = range([...all.map(([value]) => value), ...along], null, null);
  const up = range(all.map(([, value]) => value), from, to);
  const px = (value) => LEFT + ((value - across.low) / across.span) * (WIDTH - LEFT - RIGHT);
  const py = (value) => HEIGHT - BOTTOM - ((value - up.low) / up.span) * (HEIGHT - TOP - BOTTOM);
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", class: "plot-picture" });
  for (const value of [up.low, up.low + up.span / 2, up.low + up.span]) {
    svg.append(s("line", { class: "plot-grid", x1: LEFT, x2: WIDTH - RIGHT, y1: py(value), y2: py(value) }));
    svg.append(text(y(value), { x: LEFT - 6, y: py(value) + 4, "text-anchor": "end" }));
  }
  svg.append(text(x(across.low), { x: LEFT, y: HEIGHT - 6 }), text(x(across.low + across.span), { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }));
  for (const { points, kind = "line" } of lines) {
    const isSeen = (index) => points[index]?.[1] !== null && points[index] !== undefined;
    const path = points.map(([each, value], index) => (value === null ? "" : `${isSeen(index - 1) ? "L" : "M"}${px(each).toFixed(1)} ${py(value).toFixed(1)}`)).join("");
    svg.append(s("path", { class: `plot-${kind}`, d: path }));
    const isAlone = (index) => !isSeen(index - 1) && !isSeen(index + 1); // a point that no line shows
    points.forEach(([each, value], index) => { if (isSeen(index) && (isAlone(index) || (dots && kind !== "faint" && points.length <= 40))) svg.append(s("circle", { class: `plot-dot plot-${kind}`, cx: px(each), cy: py(value), r: 2 })); });
  }
  return svg;
}

function range(values, from, to) {
  const low = Math.min(...values, from ?? Infinity), high = Math.max(...values, to ?? -Infinity, from ?? -Infinity);
  return { low, span: high - low || Math.abs(high) || 1 };
}

function s(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function text(words, attributes) {
  const element = s("text", { class: "plot-words", ...attributes });
  element.textContent = words;
  return element;
}
