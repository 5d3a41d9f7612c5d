import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { ApiError, createApi, detailOf, Unreachable } from "../js/base/api.js";
import { bannerText, held, modelFacts, modelTitle, viewOf, watchServer } from "../js/server/server.js";
import { toggled } from "../js/base/theme.js";
import { languageName } from "../js/base/format.js";
import { chooseVoice, usableVoices, voiceFacts } from "../js/speak/voice-picker.js";
import { fakeTimers, settle } from "./fakes.js";

const reply = (status, body) => async () => new Response(typeof body === "string" ? body : JSON.stringify(body), { status });

test("a server that refuses is quoted in its own words", async () => {
  const api = createApi(reply(422, { detail: "speed_factor must be between 0.25 and 4" }));
  await assert.rejects(api.enqueue({}), (error) =>
    error instanceof ApiError && error.status === 422 && error.message === "speed_factor must be between 0.25 and 4");
});

test("an error page that is no JSON still gives its status", async () => {
  await assert.rejects(createApi(reply(502, "<h1>Bad gateway</h1>")).status("j"), /status 502/);
});

test("a success that is no JSON is an error, not a crash", async () => {
  await assert.rejects(createApi(reply(200, "<html>")).status("j"), /could not be read/);
});

test("a refused connection is told apart from an answer", async () => {
  const api = createApi(async () => { throw new TypeError("Failed to fetch"); });
  await assert.rejects(api.status("j"), Unreachable);
});

test("ids from storage cannot leave their place in an address", async () => {
  const paths = [];
  const api = createApi(async (path) => { paths.push(path); return new Response("{}"); });
  await api.status("../api/model-info?x=");
  await api.cancel("a/b");
  assert.deepEqual(paths, ["/tts/..%2Fapi%2Fmodel-info%3Fx%3D/status", "/tts/a%2Fb"]);
});

test("lists of problems become one sentence", () => {
  assert.equal(detailOf({ detail: [{ loc: ["body", "seed"], msg: "too large" }, { msg: "bad" }] }, 422), "seed: too large; bad");
  assert.equal(detailOf({ detail: [] }, 422), "The server answered with status 422.");
  assert.equal(detailOf(null, 500), "The server answered with status 500.");
});

test("the model is loading until it is loaded or has failed", () => {
  assert.equal(viewOf({ loaded: false }).kind, "loading");
  assert.equal(viewOf({ loaded: false, error: null }).kind, "loading");
  assert.equal(viewOf({ loaded: true }).kind, "ready");
  assert.equal(viewOf({ loaded: false, state: "unloaded" }).kind, "ready");
  assert.deepEqual(viewOf({ loaded: false, error: "tensor x is missing" }).kind, "failed");
  assert.match(bannerText(viewOf({ loaded: false, error: "tensor x is missing" })), /tensor x is missing/);
  assert.equal(bannerText(viewOf({ loaded: true })), null);
});

test("a queue that is held is told, also while the model loads", () => {
  assert.equal(held(viewOf({ loaded: true, queue: "running" })), null);
  assert.equal(held(viewOf({ loaded: true })), null);
  for (const [queue, sentence] of [["paused", /queue is paused/], ["draining", /takes no jobs/]]) {
    for (const loaded of [true, false]) {
      const view = viewOf({ loaded, queue });
      assert.equal(held(view), queue);
      assert.match(bannerText(view), sentence);
    }
  }
  assert.match(bannerText(viewOf({ loaded: false, error: "no file", queue: "paused" })), /no file/);
});

test("the model is named with its device, and unknown facts are left out", () => {
  assert.equal(modelTitle({ name: "pico", device: "CPU (8 threads)" }), "pico on CPU (8 threads)");
  assert.equal(modelTitle({ type: "turbo" }), "turbo");
  assert.deepEqual(modelFacts({ name: "pico", sample_rate: 24000 }), [["Model", "pico"], ["Sample rate", "24 kHz"]]);
  assert.deepEqual(modelFacts(null), []);
});

test("the server is asked every second while it loads, calmly when it is ready, and with back-off when it is gone", async () => {
  const answers = [{ loaded: false }, { loaded: true }, new Unreachable(null), new Unreachable(null), { loaded: true }];
  const timers = fakeTimers();
  const kinds = [];
  watchServer({
    timers,
    random: () => 0,
    onView: (view) => kinds.push(view.kind),
    async modelInfo() {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  const waits = [];
  for (let i = 0; i < 5; i += 1) {
    await settle();
    waits.push(timers.pending[0]);
    if (i < 4) await timers.pass(timers.pending[0]);
  }
  assert.deepEqual(kinds, ["loading", "ready", "unreachable", "unreachable", "ready"]);
  assert.deepEqual(waits, [1000, 30_000, 1000, 2000, 30_000]);
});

test("the voice from before is chosen while the model has it, else the server's default", () => {
  const voices = [{ id: "a" }, { id: "b", default: true }];
  assert.equal(chooseVoice(voices, "a"), "a");
  assert.equal(chooseVoice(voices, "gone"), "b");
  assert.equal(chooseVoice([{ id: "a" }], null), "a");
  assert.equal(chooseVoice([], "a"), null);
});

test("voices that only other models can speak with are not offered", () => {
  const voices = [{ id: "a", usable: true }, { id: "b", usable: false }, { id: "c" }];
  assert.deepEqual(usableVoices(voices).map((voice) => voice.id), ["a", "c"]);
});

test("a voice's facts read as words", () => {
  assert.equal(voiceFacts({ gender: "female", language: "en-US" }), "Female, American English");
  assert.equal(voiceFacts({ gender: null, language: "en" }), "English");
  assert.equal(voiceFacts({}), "");
  assert.equal(languageName("not a code"), "not a code");
});

test("choosing what the system prefers hands the theme back to the system", () => {
  assert.equal(toggled(null, "light"), "dark");
  assert.equal(toggled("dark", "light"), null);
  assert.equal(toggled(null, "dark"), "light");
  assert.equal(toggled("light", "dark"), null);
  assert.equal(toggled("dark", "dark"), "light");
});
