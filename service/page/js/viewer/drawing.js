// Painting on the slices of a viewer. A drawing holds places (labels.js) in the order of the viewer; `places()` turns them back.

import { colormap } from "./labels.js";

/** Begin to draw on a viewer, from `places` in the order of the file. `changed()` is told of every stroke. */
export function drawOn(viewer, labels, places, changed) {
  const { nv } = viewer;
  nv.opts.maxDrawUndoBitmaps = 32;
  nv.setDrawingEnabled(true);
  nv.createEmptyDrawing();
  each(nv.volumes[0], (mine, theirs) => { nv.drawBitmap[mine] = places[theirs]; });
  nv.drawClearAllUndoBitmaps();
  nv.drawAddUndoBitmap();
  nv.setDrawColormap(colormap(labels));
  nv.setDrawOpacity(0.5);
  nv.refreshDrawing(true);
  nv.onDrawingChanged = () => changed();
  return new Drawing(viewer, nv, changed);
}

class Drawing {
  constructor(viewer, nv, changed) { Object.assign(this, { viewer, nv, changed, pen: 1 }); }

  /** Paint with the label at this place; 0 erases, null only looks. */
  use(place) {
    this.pen = place;
    this.nv.opts.drawingEnabled = place !== null;
    if (place !== null) this.nv.opts.penValue = place;
    this.nv.drawScene();
  }

  size(voxels) { this.nv.opts.penSize = voxels; }

  opacity(share) { this.nv.setDrawOpacity(share); }

  undo() { this.nv.drawUndo(); }

  /** Paint at the cross, for those who do not use a mouse. */
  dot() {
    if (this.pen === null) return;
    const [x, y, z] = this.nv.frac2vox(this.nv.scene.crosshairPos);
    this.nv.drawPenAxCorSag = 0;
    this.nv.drawPt(x, y, z, this.pen);
    this.nv.drawAddUndoBitmap();
    this.nv.refreshDrawing(true);
    this.changed();
  }

  /** The drawing in the order of the file. */
  places() {
    const found = new Uint8Array(this.nv.drawBitmap.length);
    each(this.nv.volumes[0], (mine, theirs) => { found[theirs] = this.nv.drawBitmap[mine]; });
    return found;
  }
}

/** Every voxel: where the viewer has it, and where the file has it. */
function each(volume, visit) {
  const { dimsRAS, img2RASstart: start, img2RASstep: step } = volume, origin = start[0] + start[1] + start[2];
  let mine = 0;
  for (let z = 0; z < dimsRAS[3]; z += 1) {
    for (let y = 0; y < dimsRAS[2]; y += 1) {
      let theirs = origin + y * step[1] + z * step[2];
      for (let x = 0; x < dimsRAS[1]; x += 1, mine += 1, theirs += step[0]) visit(mine, theirs);
    }
  }
}
