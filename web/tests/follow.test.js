import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { ApiError, Unreachable } from "../js/base/api.js";
import { followJob } from "../js/jobs/follow.js";
import { backoff } from "../js/base/loop.js";
import { fakeTimers, settle } from "./fakes.js";

/** Follows a job whose server gives these answers in turn, repeating the last. Errors are thrown. */
function follow(answers) {
  const timers = fakeTimers();
  const events = [];
  let asked = 0;
  const handle = followJob("j1", {
    timers,
    random: () => 0,
    onEvent: (event) => events.push(event),
    async fetchStatus(id) {
      assert.equal(id, "j1");
      const answer = answers[Math.min(asked, answers.length - 1)];
      asked += 1;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  return { handle, timers, events, asked: () => asked };
}

const running = { status: "running", progress: 10 };

test("a running job is asked for again, ever more calmly, up to once a second", async () => {
  const { timers, asked } = follow([running]);
  const waits = [];
  for (let i = 0; i < 6; i += 1) {
    await settle();
    waits.push(timers.pending[0]);
    await timers.pass(timers.pending[0]);
  }
  assert.deepEqual(waits, [200, 300, 500, 700, 1000, 1000]);
  assert.equal(asked(), 7);
});

for (const status of ["completed", "failed", "cancelled"]) {
  test(`a ${status} job is not asked for again`, async () => {
    const { timers, events } = follow([running, { status }]);
    await settle();
    await timers.pass(200);
    assert.deepEqual(events.map((event) => event.status.status), ["running", status]);
    assert.deepEqual(timers.pending, []);
  });
}

test("failed questions wait 1, 2, 3, 5, then 10 seconds, and never give the job up", async () => {
  const { timers, events } = follow([new Unreachable(new TypeError("refused"))]);
  const waits = [];
  for (let i = 0; i < 40; i += 1) {
    await settle();
    waits.push(timers.pending[0]);
    await timers.pass(timers.pending[0]);
  }
  assert.deepEqual(waits.slice(0, 7), [1000, 2000, 3000, 5000, 10_000, 10_000, 10_000]);
  assert.equal(waits.length, 40);
  assert.ok(events.every((event) => event.type === "retrying"));
});

test("only 404 ends the job: 500, 502, 429 and 403 are retried", async () => {
  const { timers, events } = follow([
    new ApiError(500, "oops"), new ApiError(502, "bad gateway"), new ApiError(429, "slow down"), new ApiError(403, "no"),
    new ApiError(404, "no job j1"),
  ]);
  for (const wait of [0, 1000, 2000, 3000, 5000]) {
    await timers.pass(wait);
  }
  assert.deepEqual(events.map((event) => event.type), ["retrying", "retrying", "retrying", "retrying", "lost"]);
  assert.equal(events.at(-1).message, "no job j1");
  assert.deepEqual(timers.pending, []);
});

test("one good answer makes the next failure wait a second again", async () => {
  const down = new Unreachable(null);
  const { timers, events } = follow([down, down, running, down]);
  await settle();
  await timers.pass(1000);
  await timers.pass(2000);
  await timers.pass(200);
  assert.deepEqual(events.map((event) => event.failures), [1, 2, undefined, 1]);
  assert.deepEqual(timers.pending, [1000]);
});

test("a nudge asks at once instead of waiting, and never twice at a time", async () => {
  const { handle, timers, asked } = follow([new Unreachable(null), running]);
  handle.nudge();
  await settle();
  assert.equal(asked(), 1, "the first question was still under way");
  handle.nudge();
  await settle();
  assert.equal(asked(), 2);
  assert.deepEqual(timers.pending, [200]);
});

test("stopping drops an answer that is under way", async () => {
  const { handle, timers, events } = follow([running]);
  handle.stop();
  await settle();
  assert.deepEqual(events, []);
  assert.deepEqual(timers.pending, []);
  handle.nudge();
  await settle();
  assert.deepEqual(events, []);
});

test("jitter only ever shortens a wait, by up to a quarter", () => {
  assert.equal(backoff(1, () => 0), 1000);
  assert.equal(backoff(1, () => 1), 750);
  assert.equal(backoff(99, () => 0), 10_000);
  assert.equal(backoff(99, () => 1), 7500);
});
