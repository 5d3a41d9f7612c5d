// When which sentence is heard, as the server tells it: lines with times in seconds, and the line of a moment.

/**
 * @typedef {object} Line
 * @property {string} text as it was sent
 * @property {number} start
 * @property {number|null} end null where nobody knows yet
 * @property {number} chunk from 1
 */

/** @param {object|null} captions the server's JSON; of a job under way with `next`, the chunk being spoken @returns {Line[]} */
export function linesOf(captions) {
  const lines = (captions?.chunks ?? []).flatMap((chunk, index) =>
    chunk.sentences.map(({ text, written, start_ms: start, end_ms: end }) => ({ text: written ?? text, start: start / 1000, end: end / 1000, chunk: index + 1 })));
  const next = captions?.next;
  if (next) lines.push({ text: next.written ?? next.text, start: next.start_ms / 1000, end: null, chunk: captions.chunks.length + 1 });
  return lines;
}

/** The line that is heard at a moment; in a pause the one before it. -1 before the first. */
export function lineAt(lines, seconds) {
  let low = 0;
  let high = lines.length;
  // A hair early: whoever goes to a line's beginning lands on it, not before it.
  const moment = seconds + 0.01;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].start <= moment) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Which lines to show of many: all of a few, else those around the one that is heard, in steps so that it seldom changes. */
export function windowOf(count, current, most = 400) {
  if (count <= most) return { first: 0, end: count };
  const step = most / 4;
  const middle = Math.round(Math.max(0, current) / step) * step;
  const first = Math.max(0, Math.min(count - most, middle - most / 2));
  return { first, end: first + most };
}
