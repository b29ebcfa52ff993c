// What is in hand in this tab, so that going to another view and back loses nothing.

/**
 * `scan` (scan/files.js), `model` (its details), `wishes`, `result` (segmenting.js), `image` (a File of NIfTI), `blank` (an empty mask
 * to paint on, where no model was asked).
 */
export const hand = { scan: null, model: null, wishes: null, result: null, image: null, blank: null };

/** Take another scan in hand; what belonged to the one before is put down. */
export function take(scan) {
  Object.assign(hand, { scan, result: null, image: null, blank: null });
}

/** The mask that is corrected, or null. */
export function maskInHand() {
  return hand.result?.mask ?? hand.blank;
}

/** A name for this tab, which a reload does not change. */
export function thisTab() {
  const kept = sessionStorage.getItem("skipseg-tab") ?? String(crypto.getRandomValues(new Uint32Array(2)).join("-"));
  sessionStorage.setItem("skipseg-tab", kept);
  return kept;
}
