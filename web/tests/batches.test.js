import assert from "node:assert/strict";
import { test } from "node:test";

import { batchOf, batchStatus, resultAddress } from "../js/jobs/batches.js";

test("a document becomes one batch of named chapters that share what the form says", () => {
  const chapters = [{ title: "I", text: "One." }, { title: "II", text: "Two." }];
  assert.deepEqual(batchOf("Emma", chapters, { text: "x", predefined_voice_id: "ada", speed_factor: 1 }), {
    title: "Emma", predefined_voice_id: "ada", speed_factor: 1, items: chapters,
  });
  const long = batchOf("é".repeat(300), [{ title: "𝔸".repeat(300), text: "a" }], {});
  assert.deepEqual([long.title.length, [...long.items[0].title].length], [200, 200]);
});

test("a batch is open until all of it has ended, and has something to fetch if anything came of it", () => {
  assert.deepEqual(batchStatus({ total: 3, counts: { completed: 2, running: 1 } }), { isOpen: true, hasSound: false });
  assert.deepEqual(batchStatus({ total: 3, counts: { completed: 2, failed: 1 } }), { isOpen: false, hasSound: true });
  assert.deepEqual(batchStatus({ total: 1, counts: { cancelled: 1 } }), { isOpen: false, hasSound: false });
});

test("a batch with gaps is asked for as such", () => {
  assert.equal(resultAddress({ batch_id: "b", total: 2, counts: { completed: 2 } }), "/api/batches/b/result?as=zip");
  assert.equal(resultAddress({ batch_id: "b", total: 2, counts: { completed: 1, failed: 1 } }, "mp3"), "/api/batches/b/result?as=joined&format=mp3&partial=true");
});
