// Samples as a WAV file: 16 bits, one channel. What a microphone gives is kept without loss, because a voice is learned
// from it.

const HEADER = 44;

/** @param {Float32Array[]} blocks samples in −1..1 @param {number} rate Hz @returns {ArrayBuffer} */
export function wavFile(blocks, rate) {
  const samples = blocks.reduce((sum, block) => sum + block.length, 0);
  const file = new ArrayBuffer(HEADER + samples * 2);
  const view = new DataView(file);
  const text = (offset, word) => [...word].forEach((letter, i) => view.setUint8(offset + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER - 8 + samples * 2, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, samples * 2, true);
  let offset = HEADER;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(offset, Math.round(Math.min(1, Math.max(-1, sample)) * 32767), true);
      offset += 2;
    }
  }
  return file;
}
