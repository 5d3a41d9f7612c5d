// OpenAI's own Node client: speech as bytes and as a stream, models, and its exceptions for our errors.

import assert from "node:assert/strict";

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.DECLAIM_URL}/v1`, apiKey: "unused", maxRetries: 0 });

const spoken = await client.audio.speech.create({
  model: "tts-1",
  voice: "nova",
  input: "The quick brown fox jumped over the lazy dog.",
  response_format: "wav",
});
assert.equal(spoken.headers.get("content-type"), "audio/wav");
assert.equal(Buffer.from(await spoken.arrayBuffer()).subarray(0, 4).toString(), "RIFF");

const streamed = await client.audio.speech.create({ model: "tone", voice: { id: "hum" }, input: "Hello." });
let bytes = 0;
for await (const piece of streamed.body) bytes += piece.length;
assert.ok(bytes > 1000);

const told = await client.audio.speech.create({
  model: "gpt-4o-mini-tts",
  voice: "nova",
  input: "As events.",
  response_format: "pcm",
  stream_format: "sse",
});
assert.equal(told.headers.get("content-type"), "text/event-stream");
const events = (await told.text()).trim().split("\n\n").map((event) => JSON.parse(event.slice("data: ".length)));
const done = events.pop();
assert.equal(done.type, "speech.audio.done");
assert.equal(done.usage.input_tokens, "As events.".length);
const sound = Buffer.concat(events.map((event) => Buffer.from(event.audio, "base64")));
assert.ok(sound.length > 10000 && events.every((event) => event.type === "speech.audio.delta"));

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.ok(models.includes("tone") && models.includes("tts-1"), models.join());

await assert.rejects(
  client.audio.speech.create({ model: "tts-1", voice: "nobody", input: "Hello." }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === "voice_not_found" && error.param === "voice",
);
await assert.rejects(
  client.audio.speech.create({ model: "tts-1", voice: "nova", input: "" }),
  (error) => error instanceof OpenAI.BadRequestError && error.type === "invalid_request_error",
);
