import assert from "node:assert/strict";
import { test } from "node:test";

import { crc32, isVoiceFile, packVoice, unpackVoice } from "../js/voices/voice-file.js";

const VOICE = { name: "Rosa – Größe", language: "de", clip: { file_name: "rosa.wav", consent: "My own voice" } };

test("a voice comes out of its file as it went in", async () => {
  const clip = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
  const file = await packVoice(VOICE, clip.buffer).arrayBuffer();
  assert.deepEqual(await unpackVoice(file), { name: VOICE.name, language: "de", consent: "My own voice", file: "rosa.wav", clip });
});

test("the checksum is that of ZIP", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

test("what is no exported voice is none, whatever it is", async () => {
  assert.equal(await unpackVoice(new TextEncoder().encode("not a zip").buffer), null);
  const cut = (await packVoice(VOICE, new ArrayBuffer(100)).arrayBuffer()).slice(0, 150);
  assert.equal(await unpackVoice(cut), null);
  assert.ok(isVoiceFile("rosa.voice.ZIP") && !isVoiceFile("rosa.wav"));
});
