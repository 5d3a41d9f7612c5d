import assert from "node:assert/strict";
import { test } from "node:test";

import { createSolo } from "../js/base/solo.js";

test("whoever begins makes the one before stop, and nobody stops themselves", () => {
  const solo = createSolo();
  const stopped = [];
  const first = () => stopped.push("first");
  const second = () => stopped.push("second");
  solo.take(first);
  solo.take(first);
  assert.deepEqual(stopped, []);
  solo.take(second);
  solo.take(first);
  assert.deepEqual(stopped, ["first", "second"]);
});
