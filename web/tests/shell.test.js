import assert from "node:assert/strict";
import { test } from "node:test";

import { createApi, jobsAddress } from "../js/base/api.js";
import { repeat } from "../js/base/loop.js";
import { createRouter, parseRoute } from "../js/base/router.js";
import { createStore } from "../js/base/store.js";
import { fakeTimers, settle } from "./fakes.js";

test("an address names a view and what to show in it", () => {
  assert.deepEqual(parseRoute("#/voices/Zo%C3%AB"), { view: "voices", rest: "Zoë" });
  assert.deepEqual(parseRoute("#/"), { view: "", rest: "" });
  assert.deepEqual(parseRoute("#/a/%zz"), { view: "a", rest: "%zz" });
  assert.equal(parseRoute("#main"), null);
  assert.equal(parseRoute(""), null);
});

function routed(hash) {
  const address = { hash };
  const shown = [];
  let follow = null;
  const router = createRouter({
    views: ["speak", "models"],
    onShow: (...what) => shown.push(what),
    events: { addEventListener: (_name, callback) => { follow = callback; } },
    address,
  });
  router.start();
  return { router, shown, go: (next) => { address.hash = next; follow(); } };
}

test("an unknown address shows the first view, a known one its own, and a link within the page nothing new", () => {
  const { shown, go, router } = routed("#/nowhere/else");
  go("#/models/nano");
  go("#main");
  go("");
  assert.deepEqual(shown, [["speak", "", false], ["models", "nano", true], ["speak", "", true]]);
  assert.equal(router.shown, "speak");
});

test("watchers hear at once and of every change of what they watch, and of nothing else", () => {
  const store = createStore({ a: 1, b: 2 });
  const heard = [];
  store.watch(["a"], ({ a }) => heard.push(a));
  store.set({ b: 3 });
  store.set({ a: 1 });
  store.set({ a: 4, b: 5 });
  assert.deepEqual(heard, [1, 4]);
  assert.deepEqual(store.get(), { a: 4, b: 5 });
});

test("a nudge while a step runs makes it run again right after, once", async () => {
  const timers = fakeTimers();
  let steps = 0;
  let finish = null;
  const loop = repeat(() => {
    steps += 1;
    return new Promise((resolve) => { finish = () => resolve(5000); });
  }, timers);
  loop.nudge();
  loop.nudge();
  finish();
  await settle();
  assert.deepEqual(timers.pending, [0]);
  await timers.pass(0);
  finish();
  await settle();
  assert.equal(steps, 2);
  assert.deepEqual(timers.pending, [5000]);
});

test("a page of jobs is asked for by what is filtered, and tells where the next one begins", async () => {
  assert.equal(jobsAddress("/api/jobs", { status: "failed", search: " a b ", favourite: true, cursor: "9" }),
    "/api/jobs?limit=200&status=failed&search=a+b&favourite=true&cursor=9");
  const api = (page) => createApi(async () => Response.json(page));
  const jobs = [{ job_id: "x" }];
  assert.deepEqual(await api({ jobs, next_cursor: "7" }).jobs(), { jobs, next: "7" });
  assert.equal((await api({ jobs, next_cursor: null }).jobs()).next, null);
});
