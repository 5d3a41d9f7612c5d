import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { barCount, peaks } from "../js/jobs/waveform.js";

test("the loudest stretch is one, whatever its sign, and the others are in proportion", () => {
  assert.deepEqual([...peaks([0, 0.1, -0.5, 0.2, 0.25, 0], 3)], [0.2, 1, 0.5].map(Math.fround));
});

test("silence and nothing are flat, not NaN", () => {
  assert.deepEqual([...peaks([0, 0, 0, 0], 2)], [0, 0]);
  assert.deepEqual([...peaks([], 3)], [0, 0, 0]);
});

test("fewer samples than bars still fill every bar", () => {
  assert.deepEqual([...peaks([1, 0.5], 4)], [1, 1, 0.5, 0.5]);
});

test("no sample is lost between two stretches", () => {
  for (let loud = 0; loud < 101; loud += 1) {
    const samples = new Float32Array(101);
    samples[loud] = 1;
    assert.equal(peaks(samples, 7).filter((peak) => peak === 1).length, 1, `sample ${loud}`);
  }
});

test("peaks of peaks are the peaks, so a resize needs no samples", () => {
  const samples = Array.from({ length: 1200 }, (_, i) => Math.sin(i * i) * (i % 97));
  assert.deepEqual(peaks(peaks(samples, 120), 12), peaks(samples, 12));
});

test("bars fit the width, and there is always one", () => {
  assert.equal(barCount(100), 20);
  assert.equal(barCount(98), 20);
  assert.equal(barCount(97), 19);
  assert.equal(barCount(0), 1);
});
