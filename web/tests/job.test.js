import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { advance, chunkOf, elapsedSeconds, isActive, phaseText, remainingSeconds, startJob } from "../js/jobs/job.js";

const T0 = 1_000_000;
const status = (fields) => ({ type: "status", status: { status: "running", ...fields } });

/** A job after these events, one per second. */
function after(...events) {
  return events.reduce((job, event, i) => advance(job, event, T0 + i * 1000), startJob("j1", { text: "hello" }, T0));
}

test("progress never goes back, whatever the server says", () => {
  const job = after(status({ progress: 40 }), status({ progress: 30 }), status({}));
  assert.equal(job.progress, 40);
});

test("a completed job shows 100 percent and needs no following", () => {
  const job = after(status({ progress: 40 }), status({ status: "completed", progress: 100 }));
  assert.equal(job.phase, "completed");
  assert.equal(job.progress, 100);
  assert.equal(isActive(job), false);
});

test("a failed job says why, even if the server does not", () => {
  assert.equal(after(status({ status: "failed", error: "the device failed" })).message, "the device failed");
  assert.match(after(status({ status: "failed" })).message, /without saying why/);
});

test("trouble with the connection keeps the job and its progress, and ends with the next answer", () => {
  const troubled = after(status({ progress: 40 }), { type: "retrying", failures: 2, waitMs: 2000 });
  assert.equal(troubled.phase, "running");
  assert.equal(troubled.progress, 40);
  assert.deepEqual(troubled.trouble, { failures: 2, retryAt: T0 + 3000 });
  assert.equal(advance(troubled, status({ progress: 50 }), T0 + 3000).trouble, null);
});

test("a cancellation stays on show until the server confirms it", () => {
  const cancelling = after(status({}), { type: "cancelling" }, status({ progress: 60 }));
  assert.equal(cancelling.phase, "cancelling");
  assert.equal(advance(cancelling, status({ status: "cancelled" }), T0).phase, "cancelled");
});

test("a cancellation that failed goes back to what the job was doing and says so", () => {
  const running = after(status({}), { type: "cancelling" }, { type: "cancel-failed", message: "offline" });
  assert.equal(running.phase, "running");
  assert.equal(running.message, "offline");
  assert.equal(after({ type: "cancelling" }, { type: "cancel-failed", message: "offline" }).phase, "queued");
});

test("a job that the server does not know is lost, and waits for no answer any more", () => {
  const lost = after({ type: "lost", message: "no job j1" });
  assert.equal(lost.phase, "lost");
});

test("the waiting line tells how many are ahead", () => {
  const waiting = (position) => phaseText(after(status({ status: "queued", queue_position: position })));
  assert.equal(waiting(1), "Waiting to start");
  assert.equal(waiting(2), "Waiting, 1 job ahead");
  assert.equal(waiting(4), "Waiting, 3 jobs ahead");
  assert.equal(waiting(undefined), "Waiting to start");
});

test("chunks are named only where there are several, and counted from one", () => {
  assert.equal(chunkOf({ current_chunk: 1, total_chunks: 1 }), null);
  assert.deepEqual(chunkOf({ current_chunk: 0, total_chunks: 3 }), { chunk: 1, total: 3 });
  assert.deepEqual(chunkOf({ current_chunk: 3, total_chunks: 3 }), { chunk: 3, total: 3 });
  assert.equal(chunkOf({ total_chunks: null }), null);
  assert.equal(chunkOf(null), null);
});

test("elapsed time goes on between two answers, and only while the job runs", () => {
  const job = after(status({ elapsed_sec: 5 }));
  assert.equal(elapsedSeconds(job, T0 + 2500), 7.5);
  assert.equal(elapsedSeconds(after(status({ status: "queued", elapsed_sec: 0 })), T0), null);
});

test("the remaining time is only told once the pace is known", () => {
  assert.equal(remainingSeconds(after(status({ elapsed_sec: 1, progress: 50 })), T0), null);
  assert.equal(remainingSeconds(after(status({ elapsed_sec: 10, progress: 2 })), T0), null);
  const job = after(status({ elapsed_sec: 10, progress: 25 }));
  assert.equal(remainingSeconds(job, T0), 30);
  assert.equal(remainingSeconds(job, T0 + 4000), 26);
  assert.equal(remainingSeconds(job, T0 + 60_000), 0);
});

test("progress between two answers only counts for a job that runs, and never goes back", () => {
  const running = advance(startJob("a", {}, 0), { type: "status", status: { status: "running", progress: 20, current_chunk: 1, total_chunks: 3 } }, 0);
  const further = advance(running, { type: "progress", progress: 50, chunk: 2 }, 1);
  assert.deepEqual([further.progress, chunkOf(further.status)], [50, { chunk: 2, total: 3 }]);
  assert.equal(advance(further, { type: "progress", progress: 30, chunk: 2 }, 2).progress, 50);
  const queued = advance(startJob("a", {}, 0), { type: "status", status: { status: "queued" } }, 0);
  assert.equal(advance(queued, { type: "progress", progress: 50, chunk: 2 }, 1), queued);
});

test("the server's estimate goes before one's own, and is told in the queue too", () => {
  const queued = advance(startJob("a", {}, 0), { type: "status", status: { status: "queued", eta_sec: 40, queue_position: 3 } }, 0);
  assert.equal(remainingSeconds(queued, 10_000), 30);
  assert.equal(phaseText(queued), "Waiting, 2 jobs ahead");
  const loading = advance(queued, { type: "status", status: { status: "queued", waiting_for: "the model turbo is being loaded" } }, 0);
  assert.equal(phaseText(loading), "Waiting: the model turbo is being loaded");
});
