import assert from "node:assert/strict";
import test from "node:test";

import { lineAt, linesOf, windowOf } from "../js/jobs/captions.js";
import { createPlace } from "../js/jobs/place.js";
import { shapeSoFar } from "../js/jobs/waveform.js";

const CHUNK = { text: "One. Two.", start_ms: 0, end_ms: 1900, sentences: [{ text: "One.", start_ms: 0, end_ms: 900 }, { text: "Two.", start_ms: 1010, end_ms: 1900 }] };

test("captions become lines in seconds, and a chunk under way is one line without an end", () => {
  assert.deepEqual(linesOf({ chunks: [CHUNK], next: { text: "Three. Four.", start_ms: 2100 } }), [
    { text: "One.", start: 0, end: 0.9, chunk: 1 },
    { text: "Two.", start: 1.01, end: 1.9, chunk: 1 },
    { text: "Three. Four.", start: 2.1, end: null, chunk: 2 },
  ]);
  assert.deepEqual(linesOf(null), []);
});

test("lines show what was written and not what was made of it", () => {
  const sentence = { text: "Five dollars.", written: "$5.", start_ms: 0, end_ms: 900 };
  const lines = linesOf({ chunks: [{ ...CHUNK, sentences: [sentence] }], next: { text: "Six.", written: "6.", start_ms: 900 } });
  assert.deepEqual(lines.map(({ text }) => text), ["$5.", "6."]);
});

test("the line of a moment is the one that began last, also in a pause and at its very beginning", () => {
  const lines = linesOf({ chunks: [CHUNK] });
  assert.deepEqual([0, 0.5, 0.95, 1.01, 5].map((moment) => lineAt(lines, moment)), [0, 0, 0, 1, 1]);
  assert.equal(lineAt([], 1), -1);
  assert.equal(lineAt([{ start: 1 }], 0.5), -1);
});

test("of a book only the lines around the one that is heard are shown", () => {
  assert.deepEqual(windowOf(400, 0), { first: 0, end: 400 });
  assert.deepEqual(windowOf(5000, -1), { first: 0, end: 400 });
  for (const current of [0, 399, 2500, 4999]) {
    const { first, end } = windowOf(5000, current);
    assert.equal(end - first, 400);
    assert.ok(first <= current && current < end, `${current} in ${first}..${end}`);
  }
  assert.deepEqual(windowOf(5000, 2500), windowOf(5000, 2520), "it seldom moves");
});

test("the shape of a sound that is coming is silent where it has not come yet", () => {
  assert.deepEqual([...shapeSoFar([1, 0.5], 2, 2)], [1, 0.5, 0, 0]);
  assert.equal(shapeSoFar([1, 1, 1], 2, 0).length, 3);
});

test("the place in what was heard belongs to one job, and nonsense in storage is none", () => {
  const data = new Map();
  const place = createPlace({ getJson: (key) => data.get(key) ?? null, setJson: (key, value) => data.set(key, value) });
  assert.equal(place.of("a"), 0);
  place.set({ id: "a", seconds: 7 });
  assert.deepEqual([place.of("a"), place.of("b")], [7, 0]);
  for (const nonsense of [{ id: "a", seconds: "7" }, { id: 3, seconds: 1 }, "x", { id: "a", seconds: -1 }]) {
    data.set([...data.keys()][0], nonsense);
    assert.equal(place.get(), null);
  }
});
