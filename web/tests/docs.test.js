// What the page at /docs makes of a description.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describe, kindOf, matches, rows } from "../js/docs-text.js";

const description = {
  tags: [{ name: "Speech", description: "Text in" }, { name: "Jobs", description: "Later" }],
  components: { schemas: { Speech: { properties: { seed: { type: ["integer", "null"] }, text: { type: "string" } }, required: ["text"] } } },
  paths: {
    "/tts": {
      post: {
        tags: ["Speech"],
        summary: "Speak a text",
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Speech" } } } },
        responses: { 200: { description: "The audio", content: { "audio/*": { schema: { type: "string", format: "binary" } } } }, 202: { description: "Taken" } },
      },
    },
  },
};

test("operations stand under their tags with their fields and answers", () => {
  const [speech, jobs] = describe(description);
  assert.deepEqual([speech.tag, speech.note, jobs.list], ["Speech", "Text in", []]);
  const [parameters, body, answers] = speech.list[0].tables;
  assert.deepEqual(parameters, ["Parameters", []]);
  assert.equal(body[0], "Body, application/json");
  assert.deepEqual(answers[1], [
    { name: "200", kind: "string (binary), audio/*", note: "The audio" },
    { name: "202", kind: "no body", note: "Taken" },
  ]);
});

test("required fields come first and null is not a kind", () => {
  assert.deepEqual(rows({ $ref: "#/components/schemas/Speech" }, description), [
    { name: "text", kind: "string", note: "required" },
    { name: "seed", kind: "integer", note: "" },
  ]);
});

test("kinds are told in words", () => {
  for (const [schema, words] of [
    [{ type: ["number", "null"], minimum: 0, maximum: 2 }, "number, 0 to 2"],
    [{ enum: ["wav", "flac", null] }, "one of wav, flac"],
    [{ type: "array", items: { $ref: "#/components/schemas/Job" } }, "list of Job"],
    [{ anyOf: [{ type: "string" }, { type: "object" }] }, "string or object"],
    [{ const: "list" }, '"list"'],
    [{}, "anything"],
  ]) {
    assert.equal(kindOf(schema, description), words);
  }
});

test("a search needs every word, in any order and case", () => {
  const operation = { method: "post", path: "/tts/enqueue", summary: "Accept a text" };
  assert.ok(matches(operation, "ENQUEUE post") && matches(operation, ""));
  assert.ok(!matches(operation, "enqueue get"));
});
