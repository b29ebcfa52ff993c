// A control with its label and a hint.

import { h } from "../dom.js";

let count = 0;

/** field("Minutes", h("input", {type: "number"}), "at most 600"): label, control and hint, tied together. */
export function field(label, control, hint = null) {
  const id = control.id || `field-${++count}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: id }, label), control, hint && h("span", { class: "hint", id: `${id}-hint` }, hint));
}

/** A checkbox with its label beside it. */
export function check(label, { checked = false, onchange = null, hint = null } = {}) {
  const control = h("input", { type: "checkbox", id: `field-${++count}`, checked, onchange });
  const row = h("div", { class: "check" }, control, h("label", { for: control.id }, label));
  if (hint) control.setAttribute("aria-describedby", `${control.id}-hint`);
  return { control, row: hint ? h("div", { class: "field" }, row, h("span", { class: "hint", id: `${control.id}-hint` }, hint)) : row };
}

/** A select of [value, label] pairs. */
export function select(options, value, onchange = null) {
  return h("select", { onchange }, options.map(([each, label]) => h("option", { value: each, selected: each === value }, label)));
}
