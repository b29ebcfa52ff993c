// A mask mended by hand, and taught: paint, erase, save as a case of a dataset.

import { askBeforeLeaving } from "../components/leaving.js";
import { problemCard } from "../components/problem.js";
import { say } from "../components/said.js";
import { drawingTools } from "../correct/tools.js";
import { drafts, forget, keep } from "../correct/drafts.js";
import { saveCard } from "../correct/save.js";
import { fill, h } from "../dom.js";
import { link } from "../router.js";
import { scanOf } from "../scan/files.js";
import { countsOf, readNifti } from "../scan/nifti.js";
import { hand, maskInHand, thisTab } from "../session.js";
import { drawOn } from "../viewer/drawing.js";
import { labelsOf, placesOf } from "../viewer/labels.js";
import { viewerPanel } from "../viewer/panel.js";
import { when } from "../words.js";

const QUIET_MS = 600; // after a stroke, before the drawing is kept

export async function show(root) {
  fill(root, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Correct and teach"), h("p", {}, "Mend a mask by hand, and save it for the next model to learn from."))));
  const kept = await drafts().catch(() => []); // a browser that keeps nothing draws all the same
  const mine = kept.find((draft) => draft.id === thisTab());
  if (!maskInHand() && mine) restore(mine);
  if (!maskInHand()) { root.append(nothing(kept, () => show(root))); return null; }
  const view = new CorrectView(root, mine && isOfHand(mine) ? mine.places : null);
  await view.begin();
  return () => view.leave();
}

function isOfHand(draft) {
  return draft.title === hand.scan.title && draft.model.name === hand.model.name && draft.bytes === maskInHand().size && Boolean(draft.result) === Boolean(hand.result);
}

function restore(draft) {
  Object.assign(hand, { scan: scanOf(draft.files), model: draft.model, wishes: draft.wishes, result: draft.result, image: draft.image, blank: draft.blank ?? null });
}

class CorrectView {
  constructor(root, places) {
    Object.assign(this, { places, timer: 0, changes: 0, keptChanges: 0, isKept: Promise.resolve() });
    this.side = h("div", { class: "stack" });
    this.picture = h("section", { class: "card viewer", "aria-label": "Viewer" });
    this.note = h("div");
    root.append(h("div", { class: "beside" }, this.side, h("div", { class: "stack" }, this.note, this.picture)));
    this.onKey = (event) => { if (this.key(event)) event.preventDefault(); };
  }

  async begin() {
    const labels = labelsOf(hand.model.labels);
    this.viewer = await viewerPanel(this.picture, hand.image, hand.scan.kind === "picture");
    if (!this.viewer) return;
    const isRestored = this.places !== null;
    this.places ??= placesOf((await readNifti(maskInHand())).data, labels);
    if (!isRestored || this.places.some(Boolean)) this.viewer.centre(this.places);
    this.drawing = drawOn(this.viewer, labels, this.places, () => this.changed());
    this.tools = drawingTools(this.drawing, labels);
    this.tools.sizes(countsOf(this.places));
    if (isRestored) fill(this.note, restoredNote(() => this.discard()));
    fill(this.side, h("section", { class: "card stack" }, h("h2", {}, hand.scan.title), this.tools.element, keysHelp()));
    document.addEventListener("keydown", this.onKey);
    this.stopAsking = askBeforeLeaving(() => this.changes !== this.keptChanges);
    this.viewer.onKey = (event) => this.key(event, true);
    try {
      this.side.append(await saveCard(hand, this.drawing, () => this.saved()));
    } catch (error) {
      this.side.append(h("section", { class: "card stack" }, h("h2", {}, "Teach"), problemCard(error)));
    }
  }

  /** Whether a key was meant for the drawing; `inPicture`: pressed while the picture has the focus. */
  key(event, inPicture = false) {
    const isField = event.target.matches?.("input:not([type=radio], [type=range], [type=checkbox]), select, textarea");
    const isUndo = (event.ctrlKey || event.metaKey) && event.key === "z" && !isField;
    if (isUndo) this.drawing.undo();
    if (inPicture && event.key === " ") this.drawing.dot();
    return isUndo || (inPicture && event.key === " ");
  }

  changed() {
    this.changes += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), QUIET_MS);
  }

  keep() {
    clearTimeout(this.timer);
    this.timer = 0;
    const places = this.drawing.places(), { changes } = this;
    this.tools.sizes(countsOf(places));
    const { scan, model, wishes, result, image, blank } = hand;
    this.isKept = keep({ id: thisTab(), title: scan.title, bytes: maskInHand().size, files: scan.files, model, wishes, result, image, blank, places }).then(() => { this.keptChanges = changes; }, () => {
      fill(this.note, h("div", { class: "notice warn" }, h("p", {}, "This browser keeps no drawing (its storage is full or closed): save the case before you reload or close the page.")));
    });
  }

  async saved() {
    clearTimeout(this.timer);
    this.timer = 0;
    await this.isKept;
    this.keptChanges = this.changes;
    await forget(thisTab()).catch(() => {});
    fill(this.note);
  }

  async discard() {
    await this.saved();
    say(hand.result ? "The drawing is discarded; this is the model's mask again." : "The drawing is discarded; the mask is empty again.");
    window.dispatchEvent(new Event("hashchange"));
  }

  leave() {
    document.removeEventListener("keydown", this.onKey);
    this.stopAsking?.();
    if (this.timer) this.keep();
    this.viewer?.close();
  }
}

function restoredNote(discard) {
  return h("div", { class: "notice", role: "status" }, h("p", {}, "This is your drawing, which was not saved as a case yet."),
    h("div", { class: "row" }, h("button", { class: "button small", type: "button", onclick: discard }, "Discard it")));
}

function keysHelp() {
  return h("p", { class: "small muted" }, "Drag to paint on any plane. Ctrl+Z takes a stroke back. In the picture, arrow keys and page up and down move the cross, and space paints there.");
}

function nothing(kept, again) {
  const others = kept.filter((draft) => draft.id !== thisTab());
  return h("div", { class: "stack" },
    h("div", { class: "empty" }, h("h2", {}, "No mask is in hand"), h("p", {}, "Segment a scan first, or paint one by hand; its mask comes here to be corrected."), h("a", { class: "button main-action", href: link("segment") }, "Segment a scan")),
    others.map((draft) => h("div", { class: "card row spread" }, h("p", {}, `A drawing on ${draft.title} of ${when(new Date(draft.kept).toISOString())} was not saved.`),
      h("div", { class: "row" },
        h("button", { class: "button", type: "button", onclick: async () => { restore(draft); await keep({ ...draft, id: thisTab() }); await forget(draft.id); again(); } }, "Go on with it"),
        h("button", { class: "button danger", type: "button", onclick: async () => { await forget(draft.id); again(); } }, "Discard it")))));
}
