import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";

import { createFeed } from "../js/jobs/feed.js";
import { followJob } from "../js/jobs/follow.js";
import { createHistory, entryFor } from "../js/jobs/recent.js";
import { refreshHistory } from "../js/jobs/refresh.js";
import { createStorage } from "../js/base/storage.js";
import { fakeTimers, settle } from "./fakes.js";

/** A WebSocket that a test speaks through. */
function fakeSocket() {
  const listeners = {};
  return {
    sent: [],
    addEventListener: (name, callback) => { listeners[name] = callback; },
    send(text) { this.sent.push(JSON.parse(text)); },
    open: () => listeners.open(),
    say: (message) => listeners.message({ data: JSON.stringify(message) }),
    close: () => listeners.close(),
  };
}

function feeding() {
  const timers = fakeTimers();
  const sockets = [];
  const told = [];
  let lost = 0;
  const feed = createFeed({
    connect: () => {
      sockets.push(fakeSocket());
      return sockets.at(-1);
    },
    onLost: () => { lost += 1; },
    timers, random: () => 0,
  });
  feed.listen((event) => told.push(event.event));
  return { feed, timers, sockets, told, lost: () => lost };
}

test("one line is opened, subscribes to everything, and hands events on", () => {
  const { feed, sockets, told } = feeding();
  feed.ensure();
  feed.ensure();
  assert.equal(sockets.length, 1);
  sockets[0].open();
  assert.deepEqual(sockets[0].sent, [{ type: "subscribe" }]);
  assert.equal(feed.isUp, false, "not before the server has agreed");
  sockets[0].say({ type: "subscribed", job_id: null });
  sockets[0].say({ type: "event", event: "started", job_id: "a" });
  assert.deepEqual(told, ["found", "started"]);
  assert.ok(feed.isUp);
});

test("a line that breaks is told once, and a server that refuses it is tried ever more calmly", async () => {
  const { feed, timers, sockets, told, lost } = feeding();
  feed.ensure();
  sockets[0].open();
  sockets[0].say({ type: "subscribed" });
  sockets[0].close();
  assert.deepEqual(told, ["found", "lost"]);
  feed.ensure();
  assert.equal(sockets.length, 1, "not at once");
  const waits = [];
  for (let i = 0; i < 6; i += 1) {
    waits.push(timers.pending[0]);
    await timers.pass(timers.pending[0]);
    assert.equal(lost(), i + 1);
    feed.ensure();
    sockets.at(-1).close();
  }
  assert.deepEqual(waits, [1000, 2000, 3000, 5000, 10000, 10000]);
  assert.deepEqual(told, ["found", "lost"]);
});

/** A feed as others see it. */
function puppet({ isUp = true } = {}) {
  const listeners = new Set();
  return {
    isUp,
    listen(callback) {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
    tell: (event) => listeners.forEach((callback) => callback(event)),
    get size() {
      return listeners.size;
    },
  };
}

test("with a feed the server is asked when something happened, and progress needs no question", async () => {
  const feed = puppet();
  const timers = fakeTimers();
  const events = [];
  const answers = [{ status: "queued", queue_position: 2 }, { status: "queued", queue_position: 1 }, { status: "running", progress: 1 }, { status: "completed" }];
  let asked = 0;
  followJob("j1", { feed, timers, onEvent: (event) => events.push(event), fetchStatus: async () => answers[asked++] });
  await settle();
  assert.deepEqual(timers.pending, [5000]);
  feed.tell({ event: "progress", job_id: "other", progress: 3 });
  feed.tell({ event: "completed", job_id: "other" });
  await settle();
  assert.equal(asked, 2, "another job that ended moves the queue");
  feed.tell({ event: "started", job_id: "j1" });
  await settle();
  feed.tell({ event: "progress", job_id: "j1", progress: 40, current_chunk: 2 });
  feed.tell({ event: "started", job_id: "other" });
  await settle();
  assert.equal(asked, 3);
  assert.deepEqual(events.at(-1), { type: "progress", progress: 40, chunk: 2 });
  feed.tell({ event: "completed", job_id: "j1" });
  await settle();
  assert.equal(events.at(-1).status.status, "completed");
  assert.deepEqual(timers.pending, []);
  assert.equal(feed.size, 0, "nobody listens to what has ended");
});

test("a feed that is lost makes the server asked at once, and often again", async () => {
  const feed = puppet();
  const timers = fakeTimers();
  let asked = 0;
  followJob("j1", { feed, timers, onEvent() {}, fetchStatus: async () => { asked += 1; return { status: "running", progress: 1 }; } });
  await settle();
  feed.isUp = false;
  feed.tell({ event: "lost" });
  await settle();
  assert.equal(asked, 2);
  assert.deepEqual(timers.pending, [200]);
});

test("recent jobs move with the feed", async () => {
  const feed = puppet();
  const timers = fakeTimers();
  const history = createHistory(createStorage(null, {}), () => {});
  history.add({ ...entryFor("a", {}, 0), status: "queued" });
  let asked = 0;
  refreshHistory({ history, feed, timers, followedId: () => null, fetchStatus: async () => { asked += 1; return { status: asked > 1 ? "completed" : "queued" }; } });
  await settle();
  assert.deepEqual(timers.pending, [15000]);
  feed.tell({ event: "progress", job_id: "a", progress: 30 });
  assert.deepEqual([history.entries()[0].status, history.entries()[0].progress], ["running", 30]);
  feed.tell({ event: "completed", job_id: "a" });
  await settle();
  assert.equal(history.entries()[0].status, "completed");
  feed.tell({ event: "deleted", job_id: "a" });
  await settle();
  assert.equal(asked, 2);
});
