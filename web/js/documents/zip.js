// Reads a ZIP archive: its directory, and single files out of it, through the browser's own inflate. Sizes are bounded, so
// that a small file that claims to be a huge one costs nothing. Format: PKWARE's APPNOTE 4.3.

const END = 0x06054b50;
const DIRECTORY = 0x02014b50;
const LOCAL = 0x04034b50;
/** The end record is within the last 64 kB, where its comment may be. */
const TAIL = 65_557;
const MOST_ENTRIES = 5000;
const MOST_BYTES = 64e6;

/** What is wrong with a document; the message is a key of the tables. */
export class DocumentError extends Error {}

/**
 * @param {ArrayBuffer} buffer
 * @returns {Map<string, {offset: number, size: number, packed: number, method: number}>} by name
 */
export function directory(buffer) {
  const view = new DataView(buffer);
  let end = -1;
  for (let at = buffer.byteLength - 22; at >= Math.max(0, buffer.byteLength - TAIL); at -= 1) {
    if (view.getUint32(at, true) === END) {
      end = at;
      break;
    }
  }
  if (end < 0) throw new DocumentError("document.not-zip");
  const count = view.getUint16(end + 10, true);
  if (count > MOST_ENTRIES) throw new DocumentError("document.too-many");
  const entries = new Map();
  let at = view.getUint32(end + 16, true);
  try {
    for (let i = 0; i < count; i += 1) {
      if (view.getUint32(at, true) !== DIRECTORY) throw new DocumentError("document.not-zip");
      const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
      entries.set(new TextDecoder().decode(new Uint8Array(buffer, at + 46, name)), {
        method: view.getUint16(at + 10, true),
        packed: view.getUint32(at + 20, true),
        size: view.getUint32(at + 24, true),
        offset: view.getUint32(at + 42, true),
      });
      at += 46 + name + extra + comment;
    }
  } catch (error) {
    if (error instanceof RangeError) throw new DocumentError("document.not-zip", { cause: error });
    throw error;
  }
  return entries;
}

/** The bytes of one entry. @returns {Promise<Uint8Array>} */
export async function extract(buffer, entry) {
  if (entry.size > MOST_BYTES) throw new DocumentError("document.too-large");
  const view = new DataView(buffer);
  if (entry.offset + 30 > buffer.byteLength || view.getUint32(entry.offset, true) !== LOCAL) throw new DocumentError("document.not-zip");
  const start = entry.offset + 30 + view.getUint16(entry.offset + 26, true) + view.getUint16(entry.offset + 28, true);
  if (start + entry.packed > buffer.byteLength) throw new DocumentError("document.not-zip");
  const packed = new Uint8Array(buffer, start, entry.packed);
  if (entry.method === 0) return packed;
  if (entry.method !== 8) throw new DocumentError("document.not-zip");
  return inflated(packed, entry.size);
}

async function inflated(packed, size) {
  const bytes = new Uint8Array(size);
  let filled = 0;
  try {
    for await (const chunk of chunksOf(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")))) {
      // More than was promised is a lie, not a longer file.
      if (filled + chunk.length > size) throw new DocumentError("document.not-zip");
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
  } catch (error) {
    if (error instanceof DocumentError) throw error;
    throw new DocumentError("document.not-zip", { cause: error });
  }
  return bytes.subarray(0, filled);
}

/** Streams cannot be iterated in every browser. */
async function* chunksOf(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
