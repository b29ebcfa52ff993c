// What one paints with: a label or the eraser, the size of the brush, undo.

import { fill, h, icon } from "../dom.js";
import { field } from "../components/field.js";
import { swatch } from "../segment/result.js";

/** The tools for a drawing; `element` to show, `sizes(counts)` shows how much each label has. */
export function drawingTools(drawing, labels) {
  const counts = new Map(labels.map((label, i) => [i + 1, h("span", { class: "small muted count" })]));
  const choices = [
    ...labels.map((label, i) => choice(i + 1, [swatch(label.colour), label.name, counts.get(i + 1)])),
    choice(0, [icon("eraser"), "Erase"]),
    choice(null, [icon("eye"), "Only look"]),
  ];
  const width = h("output", {}, "3 voxels");
  const size = h("input", { type: "range", min: "1", max: "25", step: "2", value: "3", oninput: () => resize() });
  const opacity = h("input", { type: "range", min: "0.1", max: "1", step: "0.05", value: "0.5", oninput: () => drawing.opacity(Number(opacity.value)) });
  const resize = () => { drawing.size(Number(size.value)); width.value = `${size.value} ${size.value === "1" ? "voxel" : "voxels"}`; };

  function choice(place, content) {
    const radio = h("input", { type: "radio", name: "pen", checked: place === 1, onchange: () => drawing.use(place) });
    return h("label", { class: "pen" }, radio, content);
  }
  drawing.use(1);
  resize();
  return {
    element: h("div", { class: "stack" },
      h("fieldset", { class: "stack tight" }, h("legend", {}, "Paint with"), choices),
      h("div", { class: "stack tight" }, field("Brush", size), h("span", { class: "small muted" }, width)),
      field("Opacity", opacity),
      h("button", { class: "button", type: "button", onclick: () => drawing.undo() }, icon("undo"), "Undo")),
    sizes: (found) => counts.forEach((element, place) => fill(element, `${(found.get(place) ?? 0).toLocaleString("en")} voxels`)),
  };
}
