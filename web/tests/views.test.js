import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";
import { extended, isBusy, pageOf, passes, refreshed } from "../js/history/jobs.js";
import { metaOf } from "../js/history/job-row.js";
import { rowsInSight } from "../js/history/virtual-list.js";
import { CONNECTING, viewOf } from "../js/server/server.js";
import { median, report, speeds } from "../js/status/report.js";
import { matches, ordered } from "../js/voices/listing.js";
import { nameFrom } from "../js/voices/add-voice.js";
import { adviceOf, overall, verdicts } from "../js/voices/quality.js";
import { wavFile } from "../js/voices/wav.js";

const job = (id, at, more = {}) => ({ job_id: id, created_at: at, status: "completed", ...more });
const ids = (jobs) => jobs.map((one) => one.job_id).join("");

test("jobs are found by any of their words and by their state", () => {
  const one = job("x", 1, { text: "The Harbour", voice: "ada", status: "running" });
  assert.ok(passes(one, { status: "open", search: "harb ada" }));
  assert.ok(!passes(one, { status: "completed", search: "" }));
  assert.ok(!passes(one, { status: "", search: "harbour max" }));
});

test("a fresh page replaces what it covers, and what it lacks there is gone", () => {
  const known = [job("d", 4), job("c", 3), job("b", 2), job("a", 1)];
  assert.equal(ids(refreshed(known, [job("e", 5), job("d", 4), job("b", 2)], false)), "edba");
  assert.equal(ids(refreshed(known, [job("d", 4)], true)), "d");
  assert.equal(ids(extended(known, [job("a", 1), job("z", 0)])), "dcbaz");
  assert.deepEqual(pageOf([1]), { jobs: [1], next: null });
  assert.deepEqual(pageOf({ jobs: [1], next_cursor: "n" }), { jobs: [1], next: "n" });
  assert.ok(!isBusy(known) && isBusy([job("q", 1, { status: "queued" })]));
});

test("a row tells what its state calls for", () => {
  const meta = (more) => metaOf(job("x", 0, { voice: "v", ...more }), () => "Ada", 300_000);
  assert.equal(meta({ duration_sec: 65, output_format: "wav" }), "Ada · 1:05 · WAV · 5 min. ago");
  assert.equal(meta({ status: "failed", error: "device lost" }), "Ada · device lost · 5 min. ago");
  assert.equal(meta({ status: "queued", queue_position: 3 }), "Ada · Waiting, 2 jobs ahead · 5 min. ago");
});

test("only rows in sight and a few more exist, however long the list", () => {
  const { first, end } = rowsInSight({ scrolled: 62 * 2500, height: 620, rowHeight: 62, count: 5000 });
  assert.ok(first > 2480 && end < 2530 && end - first < 40);
  assert.deepEqual(rowsInSight({ scrolled: 0, height: 620, rowHeight: 62, count: 3 }), { first: 0, end: 3 });
  assert.deepEqual(rowsInSight({ scrolled: 9999, height: 620, rowHeight: 62, count: 0 }), { first: 0, end: 0 });
});

test("the check-up says what is wrong, in the words of the server", () => {
  const grades = (known) => report({ voices: [{ id: "a" }], ready: { jobs: {} }, notReady: null, ...known }).map(({ grade }) => grade);
  const info = { loaded: true, name: "pico", version: "1", device: "CPU", models: [] };
  assert.ok(grades({ server: viewOf(info) }).every((grade) => grade === "good"));
  assert.deepEqual(grades({ server: { kind: "unreachable", info: null } }), ["poor"]);
  assert.equal(report({ server: CONNECTING, voices: [], ready: null, notReady: null })[0].text, "Connecting…");
  const broken = report({ server: viewOf({ ...info, loaded: false, state: "failed", error: "no memory" }), voices: [], ready: null, notReady: "It is not." });
  assert.ok(broken.some(({ grade, text }) => grade === "poor" && text === "It is not."));
  assert.ok(broken.some(({ grade, text }) => grade === "poor" && text.includes("no memory")));
});

test("speed is audio per work of finished jobs, oldest first, and the middle is told", () => {
  const measured = speeds([job("b", 2, { elapsed_sec: 2, duration_sec: 8 }), job("f", 2, { status: "failed" }), job("a", 1, { elapsed_sec: 1, duration_sec: 2 })]);
  assert.deepEqual(measured, [{ id: "a", speed: 2 }, { id: "b", speed: 4 }]);
  assert.deepEqual([median([3, 1, 2]), median([1, 2]), median([])], [2, 1.5, null]);
});

test("voices are found by words in any order, favourites first", () => {
  const voices = [{ id: "a", name: "Ada", gender: "female", language: "en" }, { id: "b", name: "Bo" }];
  assert.ok(matches(voices[0], "EN ada") && !matches(voices[0], "male bo") && matches(voices[1], ""));
  assert.deepEqual(ordered(voices, { has: (id) => id === "b" }).map(({ id }) => id), ["b", "a"]);
});

test("a clip's numbers become grades, and the worst one counts", () => {
  const good = { loudness_lufs: -20, clipped: 0, signal_to_noise_db: 40, bandwidth_hz: 12_000 };
  assert.equal(overall(verdicts(good)), "good");
  assert.equal(overall(verdicts({ ...good, signal_to_noise_db: 18 })), "fair");
  assert.equal(overall(verdicts({ ...good, clipped: 0.01, signal_to_noise_db: 18 })), "poor");
  assert.equal(overall(verdicts({ ...good, loudness_lufs: null })), "poor");
  assert.equal(overall(verdicts({ ...good, signal_to_noise_db: null })), "good", "no pause to measure noise in is no fault");
  assert.deepEqual(adviceOf({ models: [{ advice: ["a", "b"] }, { advice: ["b"] }, {}] }), ["a", "b"]);
});

test("a name is suggested from the file's", () => {
  assert.deepEqual(["My_Voice.v2.wav", "plain", ".wav"].map(nameFrom), ["My Voice.v2", "plain", ""]);
});

test("recorded samples become a WAV file of 16 bits, without overflow", () => {
  const file = wavFile([new Float32Array([0, 0.5]), new Float32Array([2, -2])], 48_000);
  const view = new DataView(file);
  assert.equal(file.byteLength, 44 + 8);
  assert.equal(new TextDecoder().decode(new Uint8Array(file, 0, 4)), "RIFF");
  assert.equal(view.getUint32(24, true), 48_000);
  assert.equal(view.getUint32(40, true), 8);
  assert.deepEqual([44, 46, 48, 50].map((at) => view.getInt16(at, true)), [0, 16384, 32767, -32767]);
});
