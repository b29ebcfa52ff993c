// Files as one zip archive, stored as they are: DICOM slices hardly get smaller, and packing them would take long.

const TABLE = new Uint32Array(256).map((_, byte) => {
  for (let bit = 0; bit < 8; bit += 1) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});
const MOST_BYTES = 0xffffffff; // what an archive without the extension zip64 can hold
const MOST_FILES = 0xffff;

/** A zip of these files, called by their number: names of slices say nothing, and those of patients should not travel. */
export async function zipOf(files, watch = () => {}) {
  const bytes = files.reduce((sum, file) => sum + file.size + 200, 0);
  if (bytes > MOST_BYTES || files.length > MOST_FILES) throw tooLarge();
  const local = [], central = [];
  let offset = 0;
  for (const [number, file] of files.entries()) {
    watch({ done: number, total: files.length });
    const content = new Uint8Array(await file.arrayBuffer());
    const name = new TextEncoder().encode(`${String(number + 1).padStart(5, "0")}.dcm`);
    const about = { crc: crc32(content), size: content.length, name };
    local.push(header(0x04034b50, about), name, file);
    central.push(header(0x02014b50, about, offset), name);
    offset += 30 + name.length + content.length;
  }
  const length = central.reduce((sum, part) => sum + part.length, 0);
  return new Blob([...local, ...central, end(files.length, length, offset)], { type: "application/zip" });
}

function crc32(content) {
  let crc = 0xffffffff;
  for (let i = 0; i < content.length; i += 1) crc = TABLE[(crc ^ content[i]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** A local header, or with an offset one of the directory (APPNOTE 4.3.7 and 4.3.12). */
function header(signature, { crc, size, name }, offset = null) {
  const isCentral = offset !== null, shift = isCentral ? 2 : 0;
  const view = new DataView(new ArrayBuffer(isCentral ? 46 : 30));
  view.setUint32(0, signature, true);
  view.setUint16(4, 20, true);
  if (isCentral) view.setUint16(6, 20, true);
  view.setUint16(12 + shift, 0x21, true); // the first of January 1980: no time travels
  view.setUint32(14 + shift, crc, true);
  view.setUint32(18 + shift, size, true);
  view.setUint32(22 + shift, size, true);
  view.setUint16(26 + shift, name.length, true);
  if (isCentral) view.setUint32(42, offset, true);
  return new Uint8Array(view.buffer);
}

function end(count, length, offset) {
  const view = new DataView(new ArrayBuffer(22));
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, count, true);
  view.setUint16(10, count, true);
  view.setUint32(12, length, true);
  view.setUint32(16, offset, true);
  return new Uint8Array(view.buffer);
}

function tooLarge() {
  return Object.assign(new Error("too large"), { title: "These files are too many for one scan", detail: "Choose the folder of one series, at most 4 GB and 65,535 files." });
}
