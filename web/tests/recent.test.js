import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { createCurrentJob } from "../js/jobs/current-job.js";
import { clearEnded, createHistory, entryFor, forget, parse, patchFrom, remember, update } from "../js/jobs/recent.js";
import { createStorage } from "../js/base/storage.js";
import { fakeBrowser } from "./fakes.js";

const entry = (id, status = "completed") => ({ ...entryFor(id, { text: `text ${id}`, predefined_voice_id: "hum", output_format: "flac" }, 1000), status });
const ids = (entries) => entries.map(({ id }) => id);

test("the newest job is first, and the list ends at twenty", () => {
  let entries = [];
  for (let i = 1; i <= 25; i += 1) entries = remember(entries, entry(`j${i}`));
  assert.equal(entries.length, 20);
  assert.equal(entries[0].id, "j25");
  assert.equal(entries.at(-1).id, "j6");
});

test("a job is listed once, however often it is remembered", () => {
  assert.deepEqual(ids(remember([entry("a"), entry("b")], entry("b"))), ["b", "a"]);
});

test("only the beginning of a text is kept", () => {
  const long = entryFor("j", { text: "word ".repeat(10_000) }, 0);
  assert.ok(long.text.length <= 140);
  assert.ok(long.text.endsWith("…"));
});

test("a status reply becomes what the list shows", () => {
  assert.deepEqual(
    patchFrom({ status: "completed", progress: 100, duration_sec: 12.5, file_size_bytes: 99, output_format: "flac", seed: 7 }),
    { status: "completed", progress: 100, durationSec: 12.5, bytes: 99, format: "flac", seed: 7 },
  );
  assert.equal(patchFrom({ status: "failed", error: "no" }).error, "no");
});

test("an update that changes nothing returns the same list", () => {
  const entries = [entry("a")];
  assert.equal(update(entries, "a", { status: "completed" }), entries);
  assert.equal(update(entries, "unknown", { status: "failed" }), entries);
  assert.notEqual(update(entries, "a", { status: "expired" }), entries);
  assert.equal(forget(entries, "unknown"), entries);
  assert.deepEqual(forget(entries, "a"), []);
});

test("clearing leaves the jobs that are still under way", () => {
  assert.deepEqual(ids(clearEnded([entry("a"), entry("b", "running"), entry("c", "failed"), entry("d", "queued")])), ["b", "d"]);
});

test("what is damaged in storage is left out, the rest is kept", () => {
  assert.deepEqual(parse("nonsense"), []);
  assert.deepEqual(parse(null), []);
  assert.deepEqual(ids(parse([null, 3, { id: "" }, { id: "a" }, { id: "ok", status: "completed" }])), ["ok"]);
});

test("two tabs add jobs without losing each other's, and each hears of the other", () => {
  const browser = fakeBrowser();
  const heard = { first: 0, second: 0 };
  const open = (name) => {
    const tab = browser.openTab();
    return createHistory(createStorage(tab.backing, tab), () => { heard[name] += 1; });
  };
  const first = open("first");
  const second = open("second");
  first.add(entry("a"));
  second.add(entry("b"));
  first.update("a", { status: "expired" });
  assert.deepEqual(ids(first.entries()), ["b", "a"]);
  assert.deepEqual(first.entries(), second.entries());
  assert.deepEqual(heard, { first: 3, second: 3 });
});

test("a tab whose job ended leaves the newer job of another tab alone", () => {
  const browser = fakeBrowser();
  const open = () => createCurrentJob(createStorage(browser.openTab().backing, {}));
  const first = open();
  const second = open();
  first.save("old", { text: "one" });
  second.save("new", { text: "two" });
  first.release("old");
  assert.deepEqual(second.load(), { id: "new", params: { text: "two" } });
  second.release("new");
  assert.equal(first.load(), null);
  assert.equal(browser.data.size, 0);
});

test("the current job survives under the names that clients of the queue know", () => {
  const browser = fakeBrowser();
  createCurrentJob(createStorage(browser.openTab().backing, {})).save("j1", { text: "hello" });
  assert.equal(browser.data.get("tts_current_job_id"), "j1");
  assert.equal(browser.data.get("tts_job_params"), '{"text":"hello"}');
});

test("a current job without readable parameters is still followed", () => {
  const browser = fakeBrowser();
  browser.data.set("tts_current_job_id", "j1");
  browser.data.set("tts_job_params", "{broken");
  assert.deepEqual(createCurrentJob(createStorage(browser.openTab().backing, {})).load(), { id: "j1", params: {} });
});

test("forbidden or full storage makes the page forgetful, not broken", () => {
  const refuse = () => { throw new Error("QuotaExceededError"); };
  for (const backing of [null, { getItem: refuse, setItem: refuse, removeItem: refuse }]) {
    const storage = createStorage(backing, {});
    assert.equal(storage.get("key"), null);
    storage.set("key", "value");
    assert.equal(storage.get("key"), "value");
    storage.set("key", null);
    assert.equal(storage.get("key"), null);
  }
});
