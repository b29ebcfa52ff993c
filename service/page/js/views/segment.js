// A scan in, its mask out: choose, look, download.

import { get } from "../api.js";
import { dropZone, takeDrops } from "../components/drop.js";
import { problemCard } from "../components/problem.js";
import { h, fill } from "../dom.js";
import { scanOf } from "../scan/files.js";
import { segment } from "../segmenting.js";
import { downloads } from "../segment/downloads.js";
import { versions } from "../segment/models.js";
import { orderForm } from "../segment/order.js";
import { madeBy, sizesTable, trustCard } from "../segment/result.js";
import { runner } from "../segment/run.js";
import { hand, take } from "../session.js";
import { bytes } from "../words.js";

export async function show(root) {
  const [models, info] = await Promise.all([versions(), get("/v1/info")]);
  const side = h("div", { class: "stack" }), stage = h("div", { class: "stack" });
  fill(root,
    h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Segment"), h("p", {}, "Drop a scan, and see what a model finds in it."))),
    models.length ? h("div", { class: "beside" }, side, stage) : noModels());
  if (!models.length) return null;

  const order = await orderForm(models, hand.wishes, () => {});
  const run = runner("Segment", async (watch) => {
    hand.wishes = order.wishes();
    hand.model = order.model();
    hand.result = await segment(hand.scan, hand.wishes, watch);
    draw();
  });

  function got(files) {
    try {
      run.stop();
      take(scanOf(files));
      run.rest();
      draw();
    } catch (error) {
      fill(stage, problemCard(error), emptyStage(got));
    }
  }

  function draw() {
    const isChosen = hand.scan !== null;
    fill(side,
      isChosen && h("section", { class: "card stack" }, h("h2", {}, "Scan"), scanLine(hand.scan), again(got)),
      h("section", { class: "card stack" }, h("h2", {}, "Model"), order.element, isChosen && run.element));
    stage.classList.toggle("first-when-narrow", !isChosen);
    fill(stage, hand.result ? results(info) : isChosen ? waiting() : emptyStage(got));
  }
  takeDrops(root, got);
  draw();
  return () => run.stop();
}

function results(info) {
  const colours = new Map(hand.model.labels.map((label) => [label.value, label.colour]));
  return [
    trustCard(hand.result.summary.trust),
    h("section", { class: "card stack" }, h("h2", {}, "What was found"), sizesTable(hand.result.summary, colours), madeBy(hand.result)),
    downloads(hand, info.formats),
  ];
}

function scanLine(scan) {
  const size = scan.files.reduce((sum, file) => sum + file.size, 0);
  return h("p", { class: "file-name" }, scan.title, " ", h("small", {}, bytes(size)));
}

function again(got) {
  return h("details", {}, h("summary", {}, "Another scan"), dropZone({ title: "Drop it anywhere here", words: "or", got }));
}

function emptyStage(got) {
  return dropZone({ title: "Drop a scan here", words: "NIfTI, NRRD, MHA, PNG, TIFF, or a DICOM folder or zip. Several channels: drop them together.", got });
}

function waiting() {
  return h("div", { class: "empty" }, h("h2", {}, "Ready"), h("p", {}, "Press Segment to have its mask made. The scan goes to this server alone."));
}

function noModels() {
  return h("div", { class: "empty" }, h("h2", {}, "There is no model yet"), h("p", {}, "Train one, or add a bundle with: skipseg models add FOLDER --name NAME"));
}
