import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { waits } from "../js/status/report.js";
import { changesOf, FIELDS, isWaiting, parsed, valueOf } from "../js/status/settings.js";

const SHOWN = {
  now: { generation_defaults: { temperature: null, seed: 0, split_text: true, speed_factor: 1 }, audio_output: { format: "wav" }, tts_engine: { default_voice_id: null } },
  saved: { generation_defaults: { seed: 7 } },
};
const field = (path) => FIELDS.find((one) => one.path === path);

test("a field shows what was saved, else what holds, and says when it waits for a start", () => {
  assert.equal(valueOf(SHOWN, "generation_defaults.seed"), 7);
  assert.equal(valueOf(SHOWN, "audio_output.format"), "wav");
  assert.equal(valueOf(SHOWN, "text.normalize"), null);
  assert.ok(isWaiting(SHOWN, "generation_defaults.seed"));
  assert.ok(!isWaiting(SHOWN, "audio_output.format"));
  assert.ok(!isWaiting({ now: { a: { b: 1 } }, saved: { a: { b: 1 } } }, "a.b"));
});

test("only what was changed is saved, in the sections of the file", () => {
  assert.deepEqual(changesOf(SHOWN, {
    "generation_defaults.seed": "7", "generation_defaults.temperature": "0,7", "generation_defaults.split_text": false,
    "audio_output.format": "wav", "tts_engine.default_voice_id": "ada",
  }), { changes: { generation_defaults: { temperature: 0.7, split_text: false }, tts_engine: { default_voice_id: "ada" } }, wrong: [] });
});

test("what cannot be a setting is named, and nothing means the model's own where that makes sense", () => {
  assert.deepEqual(changesOf(SHOWN, { "generation_defaults.speed_factor": "fast", "generation_defaults.seed": "" }).wrong, ["generation_defaults.speed_factor", "generation_defaults.seed"]);
  assert.equal(parsed(field("generation_defaults.temperature"), " "), null);
  assert.equal(parsed(field("generation_defaults.temperature"), "3"), undefined);
  assert.equal(parsed(field("generation_defaults.chunk_size"), "120.5"), undefined);
  assert.equal(parsed(field("generation_defaults.chunk_size"), "120"), 120);
});

test("waits are told oldest first, of jobs that have begun", () => {
  assert.deepEqual(waits([{ created_at: 9, started_at: 11 }, { created_at: 8 }, { created_at: 5, started_at: 5.5 }]), [0.5, 2]);
});
