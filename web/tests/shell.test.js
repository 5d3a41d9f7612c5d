import assert from "node:assert/strict";
import { test } from "node:test";

import { createRouter, parseRoute } from "../js/base/router.js";
import { createStore } from "../js/base/store.js";

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
