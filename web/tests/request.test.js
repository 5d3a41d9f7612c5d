import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { buildRequest, fieldOf, insertTag, optionsSummary, parseSeed } from "../js/speak/request.js";

const form = (changes = {}) => ({ text: "Hello.", voice: "hum", speed: 1, format: "wav", seed: "", ...changes });
const problemFields = (changes, limits) => buildRequest(form(changes), limits).problems?.map(({ field }) => field);

test("a filled form becomes the request of the queue, without a seed unless one was given", () => {
  assert.deepEqual(buildRequest(form()), {
    request: { text: "Hello.", voice_mode: "predefined", predefined_voice_id: "hum", output_format: "wav", speed_factor: 1 },
  });
  assert.equal(buildRequest(form({ seed: " 42 " })).request.seed, 42);
});

test("text is sent as it was written, spaces and all", () => {
  assert.equal(buildRequest(form({ text: "  a\n\nb " })).request.text, "  a\n\nb ");
});

test("blank text, a missing voice and a strange seed are each named", () => {
  assert.deepEqual(problemFields({ text: " \n", voice: null, seed: "x" }), ["text", "voice", "seed"]);
});

test("a text is too long from one character over the limit, counted as the server counts", () => {
  assert.equal(problemFields({ text: "🎵🎵🎵" }, { maxCharacters: 3 }), undefined);
  assert.deepEqual(problemFields({ text: "🎵🎵🎵🎵" }, { maxCharacters: 3 }), ["text"]);
  assert.match(buildRequest(form({ text: "abcde" }), { maxCharacters: 3 }).problems[0].message, /2 characters too long/);
});

test("seeds are whole numbers that survive JSON", () => {
  assert.equal(parseSeed(""), null);
  assert.equal(parseSeed("0"), 0);
  assert.equal(parseSeed("9007199254740991"), 9007199254740991);
  for (const bad of ["-1", "1.5", "1e3", "9007199254740993", "seven"]) assert.ok(Number.isNaN(parseSeed(bad)), bad);
});

test("the closed options tell what differs", () => {
  assert.equal(optionsSummary(form({ autoplay: true })), "WAV");
  assert.equal(optionsSummary(form({ speed: 1.25, format: "flac", seed: "7", autoplay: false })), "1.25× · FLAC · seed 7 · does not play by itself");
});

test("the field that a server's message speaks of is found", () => {
  assert.equal(fieldOf("speed_factor must be between 0.25 and 4"), "speed");
  assert.equal(fieldOf("text is empty"), "text");
  assert.equal(fieldOf("predefined_voice_id: there is no voice \"x\""), "voice");
  assert.equal(fieldOf("seed: too large"), "seed");
  assert.equal(fieldOf("the queue is full"), null);
  assert.equal(fieldOf("the context was lost"), null);
});

test("a tag goes in at the cursor, apart from the words beside it", () => {
  assert.deepEqual(insertTag("Ha ha.", 2, 2, "laugh"), { text: "Ha [laugh] ha.", cursor: 10 });
  assert.deepEqual(insertTag("", 0, 0, "sigh"), { text: "[sigh] ", cursor: 7 });
  assert.deepEqual(insertTag("No.", 2, 2, "sigh"), { text: "No [sigh].", cursor: 9 });
  assert.deepEqual(insertTag("a bad b", 2, 5, "cough"), { text: "a [cough] b", cursor: 9 });
});
