// A scan in, its mask out: choose, look, download.

import { get } from "../api.js";
import { dropZone, takeDrops } from "../components/drop.js";
import { problemCard } from "../components/problem.js";
import { fill, h } from "../dom.js";
import { scanOf } from "../scan/files.js";
import { asServerReads, imageOf } from "../scan/image.js";
import { versions } from "../segment/models.js";
import { orderForm } from "../segment/order.js";
import { paintByHand } from "../segment/paint.js";
import { resultCards, showResult } from "../segment/results.js";
import { runner } from "../segment/run.js";
import { segment } from "../segmenting.js";
import { hand, take } from "../session.js";
import { viewerPanel } from "../viewer/panel.js";
import { bytes } from "../words.js";

export async function show(root) {
  const [models, info] = await Promise.all([versions(), get("/v1/info")]);
  fill(root, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Segment"), h("p", {}, "Drop a scan, and see what a model finds in it."))));
  if (!models.length) { root.append(noModels()); return null; }
  const view = new SegmentView(root, models, info);
  await view.begin();
  return () => view.leave();
}

class SegmentView {
  constructor(root, models, info) {
    Object.assign(this, { models, info, viewer: null, leaving: new AbortController() });
    this.side = h("div", { class: "stack" });
    this.picture = h("section", { class: "card viewer", "aria-label": "Viewer", hidden: true });
    this.cards = h("div", { class: "stack" });
    this.stage = h("div", { class: "stack" }, this.picture, this.cards);
    root.append(h("div", { class: "beside" }, this.side, this.stage));
    takeDrops(root, (files) => this.got(files));
  }

  async begin() {
    this.order = await orderForm(this.models, hand.wishes, () => {});
    this.run = runner("Segment", (watch) => this.segment(watch));
    this.paint = paintByHand(this.order);
    this.draw();
    if (hand.scan) await this.look();
  }

  async segment(watch) {
    const wishes = this.order.wishes(), model = this.order.model();
    const result = await segment(hand.scan, wishes, watch);
    Object.assign(hand, { wishes: { ...wishes, ...(result.series && { series: result.series }) }, model, result, blank: null });
    this.draw();
    if (matchMedia("(max-width: 56rem)").matches) this.stage.scrollIntoView(); // it is below, not beside
    if (this.isUnseen || this.isOther(result)) {
      hand.image = null; // which series is read, and onto which grid, is known now
      await this.look();
    } else if (this.viewer) {
      await showResult(hand, this.viewer);
    }
  }

  /** Whether the mask is of something else than what is shown: another series of a study, or another grid. */
  isOther(result) {
    const { series = "", geometry = "" } = this.shown ?? {};
    return hand.scan.kind === "dicom" && ((hand.wishes.geometry ?? "") !== geometry || (series !== "" && series !== result.series));
  }

  got(files) {
    try {
      const scan = scanOf(files);
      this.run.stop();
      this.paint.stop();
      take(scan);
      this.run.rest();
      this.draw();
      this.look();
    } catch (error) {
      fill(this.cards, problemCard(error), hand.scan ? null : this.drop());
    }
  }

  /** Show the scan, and the mask when there is one; that it cannot be drawn stops nothing else. */
  async look() {
    const { scan } = hand;
    this.viewer?.close();
    this.viewer = null;
    this.isUnseen = false;
    this.picture.hidden = false;
    fill(this.picture, h("p", { class: "muted", role: "status" }, "Opening the scan…"));
    try {
      hand.image ??= await imageOf(scan, { signal: this.leaving.signal, wishes: hand.result ? hand.wishes : this.order.wishes() });
      this.shown = hand.result ? hand.wishes : this.order.wishes();
      const viewer = await this.open(scan);
      if (hand.scan !== scan || this.leaving.signal.aborted) return viewer?.close();
      this.viewer = viewer;
      if (hand.result) this.draw();
      if (hand.result && viewer) await showResult(hand, viewer);
    } catch (error) {
      if (error.name === "AbortError" || hand.scan !== scan) return null;
      this.isUnseen = true;
      fill(this.picture, problemCard(error.title ? error : unseen(error), () => this.look()));
    }
    return null;
  }

  async open(scan) {
    const isPicture = scan.kind === "picture";
    try {
      return await viewerPanel(this.picture, hand.image, isPicture);
    } catch (error) {
      if (hand.image !== scan.files[0]) throw error;
      hand.image = await asServerReads(scan, { signal: this.leaving.signal }); // NIfTI that the viewer cannot read: the server knows more, or says why
      return viewerPanel(this.picture, hand.image, isPicture);
    }
  }

  draw() {
    const isChosen = hand.scan !== null;
    this.order.suit(hand.scan);
    fill(this.side,
      isChosen && h("section", { class: "card stack" }, h("h2", {}, "Scan"), scanLine(hand.scan), h("details", {}, h("summary", {}, "Another scan"), this.drop())),
      h("section", { class: "card stack" }, h("h2", {}, "Model"), this.order.element, isChosen && this.run.element, isChosen && !hand.result && this.paint.element));
    this.stage.classList.toggle("first-when-narrow", !isChosen);
    fill(this.cards, hand.result ? resultCards(hand, this.info, this.viewer, this.models) : isChosen ? null : this.drop());
  }

  drop() {
    return dropZone({ title: "Drop a scan here", words: "NIfTI, NRRD, MHA, PNG, TIFF, or a DICOM folder or zip. Several channels: drop them together.", got: (files) => this.got(files) });
  }

  leave() {
    this.leaving.abort();
    this.run.stop();
    this.paint.stop();
    this.viewer?.close();
  }
}

function scanLine(scan) {
  const size = scan.files.reduce((sum, file) => sum + file.size, 0);
  return h("p", { class: "file-name" }, scan.title, " ", h("small", {}, bytes(size)));
}

function unseen(error) {
  return { title: "The scan cannot be shown", detail: `It can be segmented all the same, if the server reads it. The viewer says: ${error.message}` };
}

function noModels() {
  return h("div", { class: "empty" }, h("h2", {}, "There is no model yet"), h("p", {}, "Train one, or add a bundle with: skipseg models add FOLDER --name NAME"));
}
