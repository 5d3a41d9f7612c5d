// A voice as one file to keep or to give away: a ZIP of the clip as it was added, and a note of its name, language and consent.
// Stored, not packed: sound does not get smaller.

import { directory, extract } from "../documents/zip.js";

const NOTE = "voice.json";
const END = 0x06054b50;
const DIRECTORY = 0x02014b50;
const LOCAL = 0x04034b50;
/** 1 January 1980, the first day that the format knows: the same voice makes the same file. */
const DAY = 0x0021;
const UTF8 = 0x0800;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** CRC-32 as in ZIP. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = TABLE[(rest ^ byte) & 0xff] ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}

function record(size, fill) {
  const bytes = new Uint8Array(size);
  fill(new DataView(bytes.buffer));
  return bytes;
}

/** @param {[string, Uint8Array][]} files @returns {Uint8Array[]} parts of the archive */
function zip(files) {
  const parts = [];
  const entries = [];
  let at = 0;
  for (const [name, bytes] of files) {
    const encoded = new TextEncoder().encode(name);
    // What the two heads of a file have in common.
    const common = (view, from) => {
      view.setUint16(from, 20, true);
      view.setUint16(from + 2, UTF8, true);
      view.setUint16(from + 8, DAY, true);
      view.setUint32(from + 10, crc32(bytes), true);
      view.setUint32(from + 14, bytes.length, true);
      view.setUint32(from + 18, bytes.length, true);
      view.setUint16(from + 22, encoded.length, true);
    };
    const offset = at;
    const head = record(30, (view) => {
      view.setUint32(0, LOCAL, true);
      common(view, 4);
    });
    const entry = record(46, (view) => {
      view.setUint32(0, DIRECTORY, true);
      view.setUint16(4, 20, true);
      common(view, 6);
      view.setUint32(42, offset, true);
    });
    parts.push(head, encoded, bytes);
    entries.push(entry, encoded);
    at += head.length + encoded.length + bytes.length;
  }
  const size = entries.reduce((sum, part) => sum + part.length, 0);
  const end = record(22, (view) => {
    view.setUint32(0, END, true);
    view.setUint16(8, files.length, true);
    view.setUint16(10, files.length, true);
    view.setUint32(12, size, true);
    view.setUint32(16, at, true);
  });
  return [...parts, ...entries, end];
}

/**
 * @param {{name: string, language: string|null, clip: {file_name: string, consent: string|null}}} voice
 * @param {ArrayBuffer} clip
 */
export function packVoice(voice, clip) {
  const { name, language, clip: { file_name: file, consent } } = voice;
  const note = new TextEncoder().encode(JSON.stringify({ declaim: "voice", version: 1, name, language, consent, file }, null, 2));
  return new Blob(zip([[NOTE, note], [file, new Uint8Array(clip)]]), { type: "application/zip" });
}

/** Whether it may be such a file. */
export function isVoiceFile(fileName) {
  return /\.zip$/i.test(fileName);
}

/**
 * What is in such a file; null where it is none.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<{name: string, language: string|null, consent: string|null, file: string, clip: Uint8Array}|null>}
 */
export async function unpackVoice(buffer) {
  try {
    const entries = directory(buffer);
    const note = JSON.parse(new TextDecoder().decode(await extract(buffer, entries.get(NOTE))));
    if (note.declaim !== "voice" || typeof note.file !== "string" || !entries.has(note.file)) return null;
    const text = (value) => (typeof value === "string" ? value : null);
    return { name: text(note.name) ?? "", language: text(note.language), consent: text(note.consent), file: note.file, clip: await extract(buffer, entries.get(note.file)) };
  } catch {
    return null;
  }
}
