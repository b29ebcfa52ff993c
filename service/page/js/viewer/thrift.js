// What NiiVue does anew whenever anything is drawn anew, done once: without a GPU a large scan would take a minute otherwise.

const LOOK_MS = 20;

/** Let the scan be coloured only when it, or how it is seen, has changed; no light in 3D; one texture a purpose. */
export function thrifty(nv) {
  const { TEXTURE0, TEXTURE2, TEXTURE6, TEXTURE8 } = nv.gl, rgbaTex = nv.rgbaTex.bind(nv), refreshLayers = nv.refreshLayers.bind(nv);
  const held = { [TEXTURE0]: "volumeTexture", [TEXTURE2]: "overlayTexture" }; // NiiVue leaves the ones before to the garbage collector
  let before = "", wasCovered = false;

  /** Light needs the gradient at every voxel, two thirds of all work. It is off here: its textures are one voxel wide, and so is the work. */
  nv.rgbaTex = (texture, unit, dims, isEmpty) => {
    const isOfLight = unit === TEXTURE6 || unit === TEXTURE8;
    return rgbaTex(texture ?? nv[held[unit]] ?? null, unit, isOfLight ? [dims[0], 1, 1, dims[3]] : dims, isEmpty);
  };
  nv.refreshLayers = (volume, layer) => {
    if (layer > 0) return refreshLayers(volume, layer);
    const now = JSON.stringify([volume.id, volume.cal_min, volume.cal_max, volume.colormap, volume.frame4D, volume.opacity]);
    const isCovered = nv.volumes.length > 1, isUncovered = wasCovered && !isCovered; // that nothing lies over it any more is told with the scan
    wasCovered = isCovered;
    if (now === before && !isUncovered) return undefined;
    before = now;
    return refreshLayers(volume, layer);
  };
}

/** Once everything that was asked for is drawn. */
export async function drawn(gl) {
  const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  do {
    await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
  } while (!gl.isContextLost() && gl.getSyncParameter(fence, gl.SYNC_STATUS) !== gl.SIGNALED);
  gl.deleteSync(fence);
}
