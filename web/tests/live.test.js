import assert from "node:assert/strict";
import test from "node:test";

import { createLiveSound } from "../js/jobs/live-sound.js";
import { createWavReader } from "../js/jobs/wav-stream.js";
import { wavFile } from "../js/voices/wav.js";
import { settle } from "./fakes.js";

const RATE = 1000;

/** A WAV as a stream has it: a head of the largest length there is. */
function wav(samples, rate = RATE) {
  const file = wavFile([Float32Array.from(samples, (sample) => sample / 32767)], rate);
  const view = new DataView(file);
  view.setUint32(4, 0xffffffff, true);
  view.setUint32(40, 0xffffffff, true);
  return new Uint8Array(file);
}

test("a WAV is read in pieces of any size, and odd bytes wait for their other half", () => {
  const samples = Array.from({ length: 100 }, (_, i) => i * 300 - 15000);
  const bytes = wav(samples, 24000);
  for (const size of [1, 3, 7, 45, 1000]) {
    const reader = createWavReader();
    const heard = [];
    for (let at = 0; at < bytes.length; at += size) heard.push(...reader.push(bytes.subarray(at, at + size)));
    assert.deepEqual(heard, samples, `in pieces of ${size}`);
    assert.equal(reader.sampleRate, 24000);
  }
});

test("what stands behind the samples of a finished WAV is no sound", () => {
  const bytes = wav([1, 2, 3]);
  new DataView(bytes.buffer).setUint32(40, 4, true);
  assert.deepEqual([...createWavReader().push(bytes)], [1, 2]);
});

test("what is no WAV of ours is refused", () => {
  assert.throws(() => createWavReader().push(new Uint8Array(50)), /no WAV/);
  const stereo = wav([1]);
  new DataView(stereo.buffer).setUint16(22, 2, true);
  assert.throws(() => createWavReader().push(stereo), /another kind/);
});

/** An audio clock that a test turns, and what was handed to it: [when, first sample, how many]. */
function fakeContext() {
  const played = [];
  let isRunning = false;
  return {
    currentTime: 0,
    played,
    destination: {},
    get state() {
      return isRunning ? "running" : "suspended";
    },
    refuses: false,
    createBuffer: (_channels, length) => ({ length, data: new Float32Array(length), getChannelData() { return this.data; } }),
    createBufferSource: () => ({
      connect() {},
      start(time) {
        played.push([Math.round(time * RATE), Math.round(this.buffer.data[0] * 32768), this.buffer.length]);
      },
      stop() {
        played.push("stopped");
      },
    }),
    async resume() {
      if (this.refuses) await new Promise(() => {});
      isRunning = true;
    },
    async suspend() {
      isRunning = false;
    },
    async close() {
      isRunning = false;
    },
  };
}

/** A stream that a test feeds, and may break. */
function fakeStream() {
  const waiting = [];
  const ready = [];
  const give = (outcome) => (waiting.length ? waiting.shift()(outcome) : ready.push(outcome));
  return {
    read: () => new Promise((resolve, reject) => {
      const take = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome));
      if (ready.length) take(ready.shift());
      else waiting.push(take);
    }),
    feed: (value) => give({ done: false, value }),
    end: () => give({ done: true }),
    fail: (error) => give(error),
  };
}

function listening(options = {}) {
  const context = fakeContext();
  const streams = [];
  const ended = [];
  let tick = null;
  const timers = {
    setInterval: (callback) => { tick = callback; return 1; },
    clearInterval() { tick = null; },
    setTimeout: (callback, ms) => setTimeout(callback, ms > 400 ? 20 : 0),
    clearTimeout,
  };
  const sound = createLiveSound({
    open: async () => {
      const stream = fakeStream();
      streams.push(stream);
      return stream;
    },
    context, timers, random: () => 0, onChange() {}, onEnd: (error) => ended.push(error), ...options,
  });
  return { sound, context, streams, ended, tick: () => tick?.() };
}

const ramp = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);

test("the first block is played when it comes, and the next ones follow without a gap", async () => {
  const { sound, context, streams } = listening();
  await settle();
  await sound.play();
  assert.ok(sound.waiting);
  streams[0].feed(wav(ramp(200)));
  await settle();
  streams[0].feed(new Uint8Array(new Int16Array(ramp(300, 200)).buffer));
  await settle();
  assert.deepEqual(context.played, [[20, 0, 200], [220, 200, 300]]);
  context.currentTime = 0.12;
  assert.equal(sound.position, 0.1);
  assert.equal(sound.received, 0.5);
  sound.stop();
});

test("a speaker that does not keep up makes one longer gap, not many short ones", async () => {
  const { sound, context, streams, tick } = listening();
  await settle();
  await sound.play();
  streams[0].feed(wav(ramp(200)));
  await settle();
  context.currentTime = 0.5;
  tick();
  assert.ok(sound.waiting);
  assert.equal(sound.position, 0.2, "it stands where the sound ended");
  streams[0].feed(new Uint8Array(new Int16Array(ramp(300, 200)).buffer));
  await settle();
  assert.equal(context.played.length, 1, "not yet enough to go on");
  streams[0].feed(new Uint8Array(new Int16Array(ramp(800, 500)).buffer));
  await settle();
  assert.deepEqual(context.played[1], [520, 200, 300]);
  sound.stop();
});

test("a line that breaks is taken up again, and nothing is heard twice", async () => {
  const { sound, context, streams, ended, tick } = listening();
  await settle();
  await sound.play();
  streams[0].feed(wav(ramp(200)));
  await settle();
  streams[0].fail(new Error("line lost"));
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(streams.length, 2);
  streams[1].feed(wav(ramp(150)));
  streams[1].feed(new Uint8Array(new Int16Array(ramp(250, 150)).buffer));
  streams[1].end();
  await settle();
  assert.deepEqual(context.played, [[20, 0, 200], [220, 200, 200]]);
  context.currentTime = 1;
  tick();
  assert.deepEqual(ended, [null], "all was heard");
});

test("a job that is no more ends the listening with the reason", async () => {
  const gone = Object.assign(new Error("cancelled"), { status: 410 });
  const { ended } = listening({ open: async () => { throw gone; } });
  await settle();
  assert.deepEqual(ended, [gone]);
});

test("a place further back is heard again, and one that has not come yet is the last that has", async () => {
  const { sound, context, streams } = listening();
  await settle();
  streams[0].feed(wav(ramp(500)));
  await settle();
  await sound.play();
  sound.seek(0.1);
  assert.deepEqual(context.played.slice(-2), ["stopped", [20, 100, 400]]);
  sound.seek(9);
  assert.equal(sound.position, 0.5);
  sound.stop();
});

test("listening begins where a page that was loaded anew had been", async () => {
  const { sound, context, streams } = listening({ from: 0.3 });
  await settle();
  await sound.play();
  assert.equal(sound.position, 0.3);
  streams[0].feed(wav(ramp(200)));
  await settle();
  assert.equal(context.played.length, 0);
  streams[0].feed(new Uint8Array(new Int16Array(ramp(400, 200)).buffer));
  await settle();
  assert.deepEqual(context.played, [[20, 300, 300]]);
  sound.stop();
});

test("where the browser wants a press first it stays paused, with what came kept", async () => {
  const { sound, context, streams } = listening();
  context.refuses = true;
  await settle();
  streams[0].feed(wav(ramp(500)));
  await sound.play();
  assert.equal(sound.playing, false);
  assert.equal(sound.position, 0);
  context.refuses = false;
  await sound.play();
  assert.ok(sound.playing);
  assert.equal(context.played.length, 1);
  sound.stop();
});

test("leave to sound that comes late is taken, and what is shown is what is heard", async () => {
  let allow = null;
  const { sound, context, streams } = listening();
  const resume = context.resume;
  context.resume = () => new Promise((resolve) => { allow = () => resume.call(context).then(resolve); });
  await settle();
  streams[0].feed(wav(ramp(500)));
  await sound.play();
  assert.equal(sound.playing, false);
  await allow();
  await settle();
  assert.ok(sound.playing);
  sound.stop();
});

test("the shape grows with the sound", async () => {
  const { sound, streams } = listening();
  await settle();
  streams[0].feed(wav([...Array(100).fill(0), ...Array(100).fill(-16384)]));
  await settle();
  assert.deepEqual(sound.shape, [0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5].slice(0, sound.shape.length));
  assert.equal(sound.shape.length, 10);
  sound.stop();
});
