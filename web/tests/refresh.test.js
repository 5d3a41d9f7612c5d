import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { ApiError, Unreachable } from "../js/base/api.js";
import { createHistory, entryFor } from "../js/jobs/recent.js";
import { refreshHistory } from "../js/jobs/refresh.js";
import { createStorage } from "../js/base/storage.js";
import { fakeTimers, settle } from "./fakes.js";

/** A list with these entries, refreshed from a server with these answers by job id. */
function refreshed(entries, answers, followedId = null) {
  const history = createHistory(createStorage(null, {}), () => {});
  for (const [id, status] of Object.entries(entries)) history.add({ ...entryFor(id, {}, 0), status });
  const timers = fakeTimers();
  const asked = [];
  refreshHistory({
    history,
    timers,
    random: () => 0,
    followedId: () => followedId,
    async fetchStatus(id) {
      asked.push(id);
      if (answers[id] instanceof Error) throw answers[id];
      return { status: answers[id] };
    },
  });
  const statuses = () => Object.fromEntries(history.entries().map(({ id, status }) => [id, status]));
  return { timers, asked, statuses };
}

test("every entry is checked once, then only those under way", async () => {
  const { timers, asked } = refreshed({ done: "completed", busy: "running" }, { done: "completed", busy: "running" });
  await settle();
  assert.deepEqual(asked.splice(0).sort(), ["busy", "done"]);
  await timers.pass(3000);
  assert.deepEqual(asked, ["busy"]);
});

test("an entry that the server no longer has is shown as expired", async () => {
  const { statuses } = refreshed({ old: "completed" }, { old: new ApiError(404, "no job") });
  await settle();
  assert.deepEqual(statuses(), { old: "expired" });
});

test("a server that does not answer changes nothing and is asked again", async () => {
  const answers = { a: new Unreachable(null) };
  const { timers, statuses } = refreshed({ a: "running" }, answers);
  await settle();
  assert.deepEqual(statuses(), { a: "running" });
  assert.deepEqual(timers.pending, [1000]);
  answers.a = "completed";
  await timers.pass(1000);
  assert.deepEqual(statuses(), { a: "completed" });
});

test("the job that is followed anyway is not asked for twice", async () => {
  const { asked } = refreshed({ mine: "running", other: "queued" }, { other: "queued" }, "mine");
  await settle();
  assert.deepEqual(asked, ["other"]);
});
