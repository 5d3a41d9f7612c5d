import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

import "./english.js";
import { createStorage } from "../js/base/storage.js";
import { modelHint, modelsOf } from "../js/speak/model-chooser.js";
import { changedFrom, slidersFor } from "../js/speak/parameters.js";
import { added, BUILT_IN, parse, presetsFor } from "../js/speak/presets.js";
import { marked, newWords } from "../js/speak/preview.js";
import { createSending, newKey } from "../js/speak/sending.js";
import { asCurl, asPython, shellQuoted } from "../js/speak/snippets.js";
import { fakeBrowser } from "./fakes.js";

const storage = () => {
  const tab = fakeBrowser().openTab();
  return createStorage(tab.backing, tab);
};

test("a model has sliders for what it obeys, beginning at its own values", () => {
  const sliders = slidersFor([{ name: "top_p", default: 0.95 }, { name: "temperature", default: 0.8 }, { name: "unknown", default: 1 }, { name: "top_k", default: 5000 }]);
  assert.deepEqual(sliders.map(({ name }) => name), ["temperature", "top_p", "top_k"]);
  assert.equal(sliders[0].default, 0.8);
  assert.equal(sliders[2].most, 5000, "a model's own value is always within reach");
});

test("only what the model obeys and does not do anyway is sent", () => {
  const sliders = slidersFor([{ name: "temperature", default: 0.8 }, { name: "top_p", default: 0.95 }]);
  assert.deepEqual(changedFrom(sliders, { temperature: 0.8, top_p: 0.5, cfg_weight: 0.2 }), { top_p: 0.5 });
  assert.deepEqual(changedFrom(sliders, { temperature: 99, top_p: "0.1" }), { temperature: 2 });
});

test("the default model comes first, and servers that describe one have one", () => {
  assert.deepEqual(modelsOf({ models: [{ name: "a" }, { name: "b", default: true }] }).map(({ name }) => name), ["b", "a"]);
  assert.deepEqual(modelsOf({ type: "turbo", supported_languages: { en: "English" } })[0].languages, ["en"]);
  assert.deepEqual(modelsOf(null), []);
  assert.match(modelHint({ state: "failed", error: "no memory" }), /no memory/);
});

test("presets are offered where the model speaks their language and knows their tags", () => {
  const names = (model) => presetsFor(model).map(({ name }) => name);
  assert.ok(!names({ languages: ["en"] }).includes("Laughter"));
  assert.ok(names({ languages: ["en"], available_paralinguistic_tags: ["laugh"] }).includes("Laughter"));
  assert.deepEqual(names({ languages: ["de"] }), ["Hafen"]);
  assert.ok(BUILT_IN.every(({ text }) => text.length > 20));
});

test("a saved preset replaces the one of its name, and damaged ones are left out", () => {
  const one = { name: "a", text: "1" };
  assert.deepEqual(added([{ name: "a", text: "0" }, { name: "b", text: "2" }], one), [one, { name: "b", text: "2" }]);
  assert.deepEqual(parse([one, null, { name: "" , text: "x" }, { name: "c" }, 7]), [one]);
  assert.deepEqual(parse("nonsense"), []);
});

test("words that normalisation changed are marked, the others are not", () => {
  const words = (text) => text.split(" ");
  assert.deepEqual(newWords(words("I owe $12 today"), words("I owe twelve dollars today")), [false, false, true, true, false]);
  const chunks = [{ text: "Hi Doctor Lee.", characters: 14, pause: "sentence" }, { text: "It is five.", characters: 11, pause: "end" }];
  assert.deepEqual(marked("Hi Dr. Lee. It is 5.", chunks).map(({ runs }) => runs), [
    [{ text: "Hi", changed: false }, { text: "Doctor", changed: true }, { text: "Lee.", changed: false }],
    [{ text: "It is", changed: false }, { text: "five.", changed: true }],
  ]);
});

test("a text too long to compare is shown without marks", () => {
  const many = Array.from({ length: 2000 }, (_, i) => String(i));
  assert.ok(newWords(many, ["new"]).every((isNew) => !isNew));
});

const REQUEST = { text: "It's \"5 o'clock\" \\ $HOME\nnext — 🎵", voice_mode: "predefined", output_format: "flac", seed: 4, split_text: true };

test("a text in single quotes is what the shell reads", () => {
  const read = spawnSync("sh", ["-c", `printf %s ${shellQuoted(REQUEST.text)}`], { encoding: "utf8" });
  assert.equal(read.stdout, REQUEST.text);
});

test("the command asks for the request in JSON and names the file after its format", () => {
  const command = asCurl("http://localhost:8004", REQUEST);
  const echoed = spawnSync("sh", ["-c", `curl() { for word; do printf '%s\\0' "$word"; done; }\n${command}`], { encoding: "utf8" });
  const words = echoed.stdout.split("\0");
  assert.deepEqual(JSON.parse(words[words.indexOf("-d") + 1]), REQUEST);
  assert.equal(words[words.indexOf("-o") + 1], "speech.flac");
  assert.ok(words.includes("http://localhost:8004/tts"));
});

test("the Python program holds the same request", (context) => {
  const program = asPython("http://localhost:8004", REQUEST).split("def ask")[0];
  const run = spawnSync("python3", ["-c", `${program}\nprint(json.dumps(request))`], { encoding: "utf8" });
  if (run.error) return context.skip("python3 is not installed");
  assert.deepEqual(JSON.parse(run.stdout), REQUEST, run.stderr);
});

test("a key is a version 4 UUID and new each time", () => {
  assert.match(newKey(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(newKey(), newKey());
});

test("the same request keeps its key until it is answered; another one gets another", () => {
  let made = 0;
  let time = 0;
  const sending = createSending(storage(), { now: () => time, key: () => `key${(made += 1)}` });
  const first = sending.begin({ text: "a" });
  assert.equal(sending.begin({ text: "a" }), first);
  assert.deepEqual(sending.left(), { text: "a" });
  const second = sending.begin({ text: "b" });
  assert.notEqual(second, first);
  sending.end(first);
  assert.deepEqual(sending.left(), { text: "b" }, "an older answer does not end a newer request");
  time = 3600_000;
  assert.equal(sending.left(), null, "what is old is not sent by itself");
  sending.end(second);
  assert.notEqual(sending.begin({ text: "b" }), second, "the same text on purpose is a new job");
});

test("a request whose sender knows that no answer came is not sent by itself, and keeps its key", () => {
  const sending = createSending(storage());
  const key = sending.begin({ text: "a" });
  sending.told(key);
  assert.equal(sending.left(), null);
  assert.equal(sending.begin({ text: "a" }), key);
});
