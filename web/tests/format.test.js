import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { ago, bytes, characters, clock, count, roughly, snippet, speed } from "../js/base/format.js";

test("durations read like a clock", () => {
  assert.deepEqual([0, 9.9, 65, 3600, 3725].map(clock), ["0:00", "0:09", "1:05", "1:00:00", "1:02:05"]);
  assert.deepEqual([NaN, Infinity, -1].map(clock), ["0:00", "0:00", "0:00"]);
});

test("rough durations use one unit that fits", () => {
  assert.deepEqual([0.2, 8, 59.4, 59.6, 200, 3600, 4800].map(roughly), ["1 sec", "8 sec", "59 sec", "1 min", "3 min", "1 hr", "1 hr 20 min"]);
  assert.equal(roughly(NaN), "");
});

test("sizes never show four digits", () => {
  assert.deepEqual([0, 999, 1000, 1536, 99_600, 999_600, 172_800_044].map(bytes), ["0.0 kB", "1.0 kB", "1.0 kB", "1.5 kB", "100 kB", "1.0 MB", "173 MB"]);
  assert.equal(bytes(NaN), "");
});

test("counts are grouped and speeds have two digits", () => {
  assert.equal(count(1234567), "1,234,567");
  assert.equal(speed(1.5), "1.50×");
});

test("recent times are relative, older ones are dates", () => {
  const now = Date.UTC(2026, 10, 24, 12);
  const before = (seconds) => ago(now - seconds * 1000, now);
  assert.deepEqual([5, 50, 300, 3569, 3600, 7200].map(before), ["now", "1 min. ago", "5 min. ago", "59 min. ago", "1 hr. ago", "2 hr. ago"]);
  assert.equal(before(3 * 86400), "Nov 21");
  assert.equal(ago(NaN, now), "");
});

test("a snippet is one line, cut between words where one is near", () => {
  assert.equal(snippet("  a\n\tb  ", 10), "a b");
  assert.equal(snippet("one two three four", 10), "one two…");
  assert.equal(snippet("Wait, what is it", 6), "Wait…");
  assert.equal(snippet("unbreakable", 6), "unbre…");
  assert.equal([...snippet("🎵".repeat(50), 10)].length, 10);
});

test("characters are counted as people and the server count them", () => {
  assert.equal(characters(""), 0);
  assert.equal(characters("naïve"), 5);
  assert.equal(characters("🎵a🎵"), 3);
  assert.equal(characters("\ud83c"), 1, "half a pair counts as one");
  assert.equal(characters("\ud83ca\udfb5"), 3);
});
