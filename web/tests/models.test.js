import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";
import { languagesText, pullText } from "../js/models/model-card.js";
import { isPulling, joined, memoryNeeded, memoryOf, pullShare, speedOf } from "../js/models/models.js";

const listed = [
  { name: "nano", state: "missing" },
  { name: "turbo", state: "installed" },
  { name: "original", state: "partial", partial_bytes: 5, pull: { state: "cancelled" } },
  { name: "v3", state: "partial", pull: { state: "running", phase: "downloading", bytes_done: 1, bytes_total: 4 } },
  { name: "own", state: "damaged", problem: "a file is gone" },
];

test("what can be installed and what can speak are one list, by name", () => {
  const models = joined(listed, { models: [{ name: "pico", state: "ready" }, { name: "turbo", state: "unloaded" }] });
  assert.deepEqual(models.map(({ name, kind }) => `${name} ${kind}`), [
    "pico ready", "turbo unloaded", "nano missing", "original partial", "v3 pulling", "own damaged",
  ]);
  assert.equal(models[0].listed, null);
});

test("only a pull that runs is one", () => {
  assert.deepEqual(listed.filter(isPulling).map(({ name }) => name), ["v3"]);
  assert.equal(pullShare({ bytes_done: 1, bytes_total: 4 }), 0.25);
  assert.equal(pullShare({ bytes_done: 0, bytes_total: 0 }), null);
});

test("a pull tells phase, bytes, speed and time, or why it waits", () => {
  assert.equal(pullText({ phase: "downloading", bytes_done: 1e9, bytes_total: 2e9, bytes_per_second: 8e6, seconds_left: 125 }),
    "Downloading · 1.0 GB of 2.0 GB · 8.0 MB per second · about 2 min left");
  assert.equal(pullText({ phase: "resolving", bytes_total: 0 }), "Asking what there is");
  assert.equal(pullText({ phase: "downloading", bytes_total: 0, waiting: "the hub is busy" }), "the hub is busy");
});

test("memory is what loaded models take", () => {
  const { used, budget } = memoryOf({ memory_budget_mb: 100, models: [{ state: "ready", memory_mb: 30 }, { state: "unloaded", memory_mb: 60 }] });
  assert.deepEqual([used, budget], [30, 100]);
  assert.deepEqual(memoryOf(null), { used: 0, budget: null, loaded: [] });
});

test("a few languages are named, many are counted", () => {
  assert.equal(languagesText(["en"]), "English");
  assert.equal(languagesText(["ar", "da", "de", "el", "en"]), "5 languages");
});

test("what was heard counts for more than what was reckoned", () => {
  const listed = { real_time_factor: 0.5, real_time_factor_is: "estimated", memory_bytes: 1000 };
  assert.deepEqual(speedOf({ listed, described: null }), { speed: 2, measured: false });
  assert.deepEqual(speedOf({ listed, described: { real_time_factor: 0.25 } }), { speed: 4, measured: true });
  assert.equal(speedOf({ listed: null, described: {} }), null);
  assert.equal(memoryNeeded({ listed, described: null }), 1000);
  assert.equal(memoryNeeded({ listed, described: { memory_mb: 2 } }), 2097152);
});
