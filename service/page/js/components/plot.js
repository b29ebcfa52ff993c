// Small line plots in SVG. Colours and sizes come from css/work.css.

import { h } from "../dom.js";
import { number } from "../words.js";

const WIDTH = 320, HEIGHT = 132, LEFT = 44, RIGHT = 8, TOP = 10, BOTTOM = 22;

/**
 * A plot with its title: `lines` are [{points: [[x, y], ...], kind}] (kinds: line, good, faint), `x` and `y` turn numbers
 * into words, `words` says in a sentence what is to be seen. `from` is the lowest y that is always shown, `along` the x
 * that are (plots beside one another have the same).
 */
export function plot({ title, lines, words, x = number, y = number, from = null, to = null, along = [] }) {
  const all = lines.flatMap((line) => line.points);
  const picture = all.length > 1 ? drawn(lines, all, { x, y, from, to, along }) : h("p", { class: "plot-empty muted small" }, "Nothing to draw yet.");
  return h("figure", { class: "plot" }, h("figcaption", {}, h("strong", {}, title), " ", h("span", { class: "muted small" }, words)), picture);
}

function drawn(lines, all, { x, y, from, to, along }) {
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
    const path = points.map(([each, value], index) => `${index ? "L" : "M"}${px(each).toFixed(1)} ${py(value).toFixed(1)}`).join("");
    svg.append(s("path", { class: `plot-${kind}`, d: path }));
    if (points.length <= 40 && kind !== "faint") for (const [each, value] of points) svg.append(s("circle", { class: `plot-dot plot-${kind}`, cx: px(each), cy: py(value), r: 2 }));
  }
  return svg;
}

function range(values, from, to) {
  const low = Math.min(...values, from ?? Infinity), high = Math.max(...values, to ?? -Infinity);
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
