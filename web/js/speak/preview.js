// What becomes of a text before it is spoken, as values: which words normalisation changed, chunk by chunk.

/** Beyond this many words nothing is compared; the chunks are shown all the same. */
const MOST_WORDS = 1500;

const words = (text) => text.split(/\s+/).filter(Boolean);

/**
 * Marks the words of `after` that are not in `before`, by the longest common subsequence.
 * @param {string[]} before
 * @param {string[]} after
 * @returns {boolean[]} per word of `after`: whether it is new
 */
export function newWords(before, after) {
  if (before.length > MOST_WORDS || after.length > MOST_WORDS) return after.map(() => false);
  const width = after.length + 1;
  const longest = new Uint16Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = before[i] === after[j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const isNew = after.map(() => true);
  for (let i = 0, j = 0; i < before.length && j < after.length;) {
    if (before[i] === after[j]) {
      isNew[j] = false;
      i += 1;
      j += 1;
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return isNew;
}

/**
 * The chunks as runs of words, each run changed or not.
 * @param {string} text as it was written
 * @param {{text: string, characters: number, pause: string}[]} chunks as they would be spoken
 * @returns {{characters: number, pause: string, runs: {text: string, changed: boolean}[]}[]}
 */
export function marked(text, chunks) {
  const isNew = newWords(words(text), chunks.flatMap((chunk) => words(chunk.text)));
  let at = 0;
  return chunks.map((chunk) => {
    const runs = [];
    for (const word of words(chunk.text)) {
      const changed = isNew[at];
      at += 1;
      const last = runs.at(-1);
      if (last && last.changed === changed) last.text += ` ${word}`;
      else runs.push({ text: word, changed });
    }
    return { characters: chunk.characters, pause: chunk.pause, runs };
  });
}
