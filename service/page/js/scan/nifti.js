// NIfTI files taken apart and put together: enough for label volumes, which stay bit for bit on their grid.

import { rest } from "../rest.js";

const TYPES = { 2: Uint8Array, 256: Int8Array, 4: Int16Array, 512: Uint16Array, 8: Int32Array, 768: Uint32Array, 16: Float32Array, 64: Float64Array };
const CODES = new Map([[Uint8Array, 2], [Uint16Array, 512]]);
const RGB24 = 128;
const BUSY_MS = 30; // without a pause for what else the page has to do

/** {bytes, view, offset, little, dims: [x, y, z, channels], data}: `data` as it is stored, without slope and intercept. */
export async function readNifti(blob) {
  const bytes = await unpacked(blob);
  const view = new DataView(bytes.buffer);
  const little = view.getInt32(0, true) === 348 || view.getInt32(0, true) === 540;
  const isTwo = view.getInt32(0, little) === 540;
  if (!isTwo && view.getInt32(0, little) !== 348) throw new Error("This is no NIfTI file");
  const dim = (i) => Math.max(isTwo ? Number(view.getBigInt64(16 + 8 * i, little)) : view.getInt16(40 + 2 * i, little), 1);
  const axes = dim(0);
  const dims = [1, 2, 3, 4].map((axis) => (axis <= axes ? dim(axis) : 1));
  if (axes === 5) dims[3] = dim(5);
  const code = view.getInt16(isTwo ? 12 : 70, little);
  const offset = isTwo ? Number(view.getBigInt64(168, little)) : view.getFloat32(108, little);
  return { bytes, view, offset, little, isTwo, dims, code, data: valuesOf(bytes, offset, dims, code, little) };
}

/** The bytes of a NIfTI file, unpacked; throws an Error for one that is cut short or none. */
export async function wholeNifti(blob) {
  const bytes = await unpacked(blob), view = new DataView(bytes.buffer), size = view.getInt32(0, true);
  const little = size === 348 || size === 540, isTwo = view.getInt32(0, little) === 540;
  if (!isTwo && view.getInt32(0, little) !== 348) throw new Error("This is no NIfTI file");
  const dim = (i) => (isTwo ? Number(view.getBigInt64(16 + 8 * i, little)) : view.getInt16(40 + 2 * i, little));
  let voxels = 1;
  for (let axis = 1; axis <= dim(0); axis += 1) voxels *= Math.max(dim(axis), 1);
  const offset = isTwo ? Number(view.getBigInt64(168, little)) : view.getFloat32(108, little);
  if (bytes.length < offset + (voxels * view.getInt16(isTwo ? 14 : 72, little)) / 8) throw new Error("This NIfTI file ends before its last voxel");
  return bytes;
}

async function unpacked(blob) {
  const start = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  const isPacked = start[0] === 0x1f && start[1] === 0x8b;
  return isPacked ? whole(blob.stream().pipeThrough(new DecompressionStream("gzip"))) : new Uint8Array(await blob.arrayBuffer());
}

/** All of a stream; the page answers meanwhile, which it would not if one piece followed the other without a pause. */
async function whole(stream) {
  const reader = stream.getReader(), parts = [];
  let rested = performance.now(), length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    if (performance.now() - rested < BUSY_MS) continue;
    await rest();
    rested = performance.now();
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) { bytes.set(part, offset); offset += part.length; }
  return bytes;
}

function valuesOf(bytes, offset, dims, code, little) {
  const kind = TYPES[code], count = dims.reduce((product, length) => product * length, 1);
  if (!kind) throw new Error("This NIfTI file has a type of values that the page does not read");
  if (bytes.length < offset + count * kind.BYTES_PER_ELEMENT) throw new Error("This NIfTI file ends before its last voxel");
  const stored = bytes.slice(offset, offset + count * kind.BYTES_PER_ELEMENT);
  if (!little) for (let i = 0; i < stored.length; i += kind.BYTES_PER_ELEMENT) stored.subarray(i, i + kind.BYTES_PER_ELEMENT).reverse();
  return new kind(stored.buffer);
}

/** The same file with other voxels (Uint8Array or Uint16Array) as a blob: its grid is not touched. */
export function withVoxels(nifti, data) {
  return rebuilt(nifti, CODES.get(data.constructor), 8 * data.BYTES_PER_ELEMENT, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** A label volume of nothing on the grid of an image, whose channels are left out, as a blob. */
export function blank(nifti) {
  const [x, y, z] = nifti.dims;
  return rebuilt(nifti, CODES.get(Uint8Array), 8, new Uint8Array(x * y * z), [3, x, y, z, 1, 1, 1, 1]);
}

function rebuilt(nifti, code, bits, content, dims = null) {
  const header = nifti.bytes.slice(0, nifti.isTwo ? 544 : 352), view = new DataView(header.buffer), { little, isTwo } = nifti;
  view.setInt16(isTwo ? 12 : 70, code, little);
  view.setInt16(isTwo ? 14 : 72, bits, little);
  if (isTwo) { view.setBigInt64(168, 544n, little); view.setFloat64(176, 1, little); view.setFloat64(184, 0, little); }
  else { view.setFloat32(108, 352, little); view.setFloat32(112, 1, little); view.setFloat32(116, 0, little); }
  header.fill(0, header.length - 4); // no extensions follow
  if (dims) dims.forEach((length, i) => (isTwo ? view.setBigInt64(16 + 8 * i, BigInt(length), little) : view.setInt16(40 + 2 * i, length, little)));
  return new Blob([header, content]);
}

/** A blob, packed to be sent. */
export async function packed(blob) {
  return new Response(blob.stream().pipeThrough(new CompressionStream("gzip"))).blob();
}

/**
 * A picture for the viewer: rows run downwards, as everybody looks at pictures, and three channels of bytes are a colour.
 * The file is for looking at alone; what is sent to the server keeps its own grid.
 */
export async function asPicture(blob) {
  const nifti = await readNifti(blob), { view, little, isTwo, dims, data, code } = nifti;
  const row = isTwo ? 400 + 32 : 280 + 16, size = isTwo ? 8 : 4;
  const put = (at, value) => (isTwo ? view.setFloat64(at, value, little) : view.setFloat32(at, value, little));
  for (let i = 0; i < 4; i += 1) put(row + size * i, i === 1 ? -1 : i === 3 ? dims[1] - 1 : 0);
  if (dims[3] !== 3 || code !== 2) return new Blob([nifti.bytes]);
  const pixels = dims[0] * dims[1] * dims[2], colours = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i += 1) for (let c = 0; c < 3; c += 1) colours[3 * i + c] = data[c * pixels + i];
  return rebuilt(nifti, RGB24, 24, colours, [3, dims[0], dims[1], dims[2], 1]);
}

/** Voxels of each value: Map of value to count, without 0. */
export function countsOf(data) {
  const counts = new Map();
  for (let i = 0; i < data.length; i += 1) if (data[i]) counts.set(data[i], (counts.get(data[i]) ?? 0) + 1);
  return counts;
}
