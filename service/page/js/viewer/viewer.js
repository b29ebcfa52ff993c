// A scan on the screen, with what lies over it: NiiVue in a frame that a keyboard reaches.

import { h } from "../dom.js";
import { rest } from "../rest.js";
import { asPicture, wholeNifti } from "../scan/nifti.js";
import { colormap, dense } from "./labels.js";
import { niivue } from "./niivue.js";
import { drawn, thrifty } from "./thrift.js";

const HELP = "Arrow keys move left, right, forward and back; page up and down move through the slices.";
const MOVES = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
const SCAN_IN_3D = [0.1, 180, 20]; // the plane that cuts the scan open in 3D, so that labels inside are seen
const MOST_BESIDE = 16e6; // voxels that are drawn in 3D beside the planes; without a GPU more would make every move slow
const TYPES = { axial: "AXIAL", coronal: "CORONAL", sagittal: "SAGITTAL", planes: "MULTIPLANAR", render: "RENDER" };

/** Open a viewer in `root` on a blob of NIfTI. `told(text)` is given what lies under the cross. */
export async function openViewer(root, image, { isPicture = false, told = () => {}, layout = "planes" } = {}) {
  const kit = await niivue();
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": `The scan. ${HELP}` });
  const frame = h("div", { class: "canvas-frame" }, canvas);
  root.replaceChildren(frame);
  const nv = new kit.Niivue({ show3Dcrosshair: true, multiplanarShowRender: kit.SHOW_RENDER.NEVER, multiplanarLayout: kit.MULTIPLANAR_TYPE.GRID, multiplanarPadPixels: 4, crosshairWidth: 0.5, crosshairWidthUnit: "percent", dragAndDropEnabled: false, showLegend: false,
    loadingText: "", logLevel: "error", crosshairColor: [1, 0.85, 0.3, 0.9], backColor: [0.02, 0.03, 0.04, 1], isAntiAlias: false, isResizeCanvas: true });
  await nv.attachToCanvas(canvas);
  thrifty(nv);
  nv.onLocationChange = (place) => told(place);
  const viewer = new Viewer(kit, nv, canvas, isPicture);
  frame.addEventListener("keydown", (event) => onKey(viewer, event), { capture: true });
  await viewer.showScan(image);
  viewer.layout(isPicture ? "axial" : layout);
  return viewer;
}

function onKey(viewer, event) {
  if (event.key === "Tab") return;
  event.stopPropagation(); // NiiVue has keys of its own, some with surprises
  if (viewer.onKey(event)) { event.preventDefault(); return; }
  const move = MOVES[event.key];
  if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  viewer.nv.moveCrosshairInVox(...move);
}

class Viewer {
  constructor(kit, nv, canvas, isPicture) {
    Object.assign(this, { kit, nv, canvas, isPicture, labels: [], hidden: new Set(), over: new Map(), shares: new Map(), onKey: () => false });
  }

  async showScan(image) {
    await this.#load(this.isPicture ? await asPicture(image) : image, "scan", {});
    const [volume] = this.nv.volumes;
    this.channels = volume.nFrame4D ?? 1;
    this.isFlat = volume.dimsRAS[3] === 1;
    const voxels = volume.dimsRAS[1] * volume.dimsRAS[2] * volume.dimsRAS[3];
    if (voxels <= MOST_BESIDE) this.nv.opts.multiplanarShowRender = this.kit.SHOW_RENDER.ALWAYS;
    if (this.isPicture) Object.assign(this.nv.opts, { isNearestInterpolation: true, isOrientationTextVisible: false });
    else this.nv.setClipPlane(SCAN_IN_3D);
    this.nv.setInterpolation(true); // voxels as they are, not smoothed
    this.nv.createOnLocationChange();
  }

  /** Lay a mask over the scan, in the place of the one before. */
  async showMask(mask, labels, opacity) {
    this.labels = labels;
    const blob = await dense(mask, labels);
    await this.#lay("mask", this.isPicture ? await asPicture(blob) : blob, { opacity }, (volume) => this.#colour(volume));
  }

  /** Show or hide one label. */
  toggle(value, isShown) {
    if (isShown) this.hidden.delete(value);
    else this.hidden.add(value);
    if (!this.over.has("mask")) return;
    this.#colour(this.over.get("mask"));
    this.nv.updateGLVolume();
  }

  /** Lay the uncertainty over the scan, or take it away (null). */
  async showUncertainty(blob, opacity = 0.7) {
    if (blob === null) return this.#remove("uncertainty");
    return this.#lay("uncertainty", this.isPicture ? await asPicture(blob) : blob, { opacity, colormap: "inferno", cal_min: 0.05, cal_max: 0.9 });
  }

  /** How much of what lies over the scan is seen: "mask" or "uncertainty", 0 to 1; of many in a row some are left out. */
  async opacity(name, share) {
    const isUnderWay = this.shares.size > 0;
    this.shares.set(name, share);
    if (isUnderWay) return;
    while (this.shares.size) {
      for (const [each, now] of this.shares) if (this.over.has(each)) this.nv.setOpacity(this.nv.volumes.indexOf(this.over.get(each)), now);
      const done = [...this.shares];
      await drawn(this.nv.gl);
      for (const [each, now] of done) if (this.shares.get(each) === now) this.shares.delete(each);
    }
  }

  layout(name) { this.nv.setSliceType(this.kit.SLICE_TYPE[TYPES[name]]); }

  channel(number) { this.nv.setFrame4D(this.nv.volumes[0].id, number); }

  /** Put the cross where most of a mask is. */
  centre(places) {
    const { dimsRAS, img2RASstart: start, img2RASstep: step } = this.nv.volumes[0];
    const sums = [0, 0, 0]; let count = 0, i;
    for (let z = 0; z < dimsRAS[3]; z += 1) for (let y = 0; y < dimsRAS[2]; y += 1) for (let x = 0; x < dimsRAS[1]; x += 1) {
      i = start[0] + start[1] + start[2] + x * step[0] + y * step[1] + z * step[2];
      if (places[i]) { sums[0] += x; sums[1] += y; sums[2] += z; count += 1; }
    }
    if (!count) return;
    this.nv.scene.crosshairPos = this.nv.vox2frac(sums.map((sum) => Math.round(sum / count)));
    this.nv.createOnLocationChange();
    this.nv.drawScene();
  }

  close() {
    this.nv.cleanup();
    this.nv.gl?.getExtension("WEBGL_lose_context")?.loseContext(); // browsers keep few of them
    this.canvas.parentElement?.remove();
  }

  async #load(blob, name, options, prepare = () => {}) {
    const { buffer } = await wholeNifti(blob); // NiiVue would throw where nobody catches it
    const volume = await this.kit.NVImage.loadFromUrl({ url: buffer, name: `${name}.nii`, ...options });
    prepare(volume);
    await rest(); // what follows takes as long again
    this.nv.addVolume(volume);
    return volume;
  }

  async #lay(name, blob, options, prepare) {
    this.#remove(name);
    this.over.set(name, await this.#load(blob, name, options, prepare));
  }

  #remove(name) {
    if (this.over.has(name)) this.nv.removeVolume(this.over.get(name));
    this.over.delete(name);
  }

  #colour(volume) { volume.setColormapLabel(colormap(this.labels, this.hidden)); }
}
