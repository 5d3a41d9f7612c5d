// A WAV that is still being made, read as it comes: its head, then its samples. Its head gives a length that nobody knew yet,
// so the end is where the bytes end.

const RIFF = 0x52494646;
const WAVE = 0x57415645;
const FMT = 0x666d7420;
const DATA = 0x64617461;
const PCM = 1;
const HEAD = 12;
const CHUNK_HEAD = 8;
/** A head longer than this is none of ours: tags stand behind the samples. */
const MAX_HEAD = 64 * 1024;

/** Takes the bytes of a mono WAV of 16-bit samples, in pieces of any size. */
export function createWavReader() {
  let unread = new Uint8Array(0);
  let sampleRate = null;
  let inSamples = false;
  /** Samples still to come by the head's account; what stands behind them is no sound. */
  let left = Infinity;

  /** Goes through the head as far as it is there. */
  function readHead() {
    const view = new DataView(unread.buffer, unread.byteOffset, unread.byteLength);
    if (view.byteLength < HEAD) return;
    if (view.getUint32(0) !== RIFF || view.getUint32(8) !== WAVE) throw new Error("no WAV");
    let at = HEAD;
    while (at + CHUNK_HEAD <= view.byteLength) {
      const name = view.getUint32(at);
      const length = view.getUint32(at + 4, true);
      const body = at + CHUNK_HEAD;
      if (name === DATA) {
        if (sampleRate === null) throw new Error("a WAV without a format");
        inSamples = true;
        left = Math.floor(length / 2);
        unread = unread.slice(body);
        return;
      }
      if (body + length > view.byteLength) break;
      if (name === FMT) {
        const isOurs = view.getUint16(body, true) === PCM && view.getUint16(body + 2, true) === 1 && view.getUint16(body + 14, true) === 16;
        if (!isOurs) throw new Error("a WAV of another kind");
        sampleRate = view.getUint32(body + 4, true);
      }
      at = body + length + (length % 2);
    }
    if (unread.length > MAX_HEAD) throw new Error("a WAV without samples");
  }

  return {
    /** Hz; null until the head was read. */
    get sampleRate() {
      return sampleRate;
    },
    /** @param {Uint8Array} bytes @returns {Int16Array} the samples in them */
    push(bytes) {
      const joined = new Uint8Array(unread.length + bytes.length);
      joined.set(unread);
      joined.set(bytes, unread.length);
      unread = joined;
      if (!inSamples) readHead();
      if (!inSamples) return new Int16Array(0);
      const count = Math.min(left, Math.floor(unread.length / 2));
      const view = new DataView(unread.buffer, unread.byteOffset, unread.byteLength);
      const samples = Int16Array.from({ length: count }, (_, i) => view.getInt16(2 * i, true));
      left -= count;
      unread = left > 0 ? unread.slice(2 * count) : new Uint8Array(0);
      return samples;
    },
  };
}
