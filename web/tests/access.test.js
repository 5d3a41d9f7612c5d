import assert from "node:assert/strict";
import { test } from "node:test";

import "./english.js";
import { createGate } from "../js/access/gate.js";
import { quotaLines, scopesText, wishOf } from "../js/access/quota.js";
import { createApi } from "../js/base/api.js";

/** A server that knows this browser once a key was brought. */
function guarded() {
  const server = { known: false, asked: 0, sent: [] };
  server.fetch = async (path, { method, body }) => {
    server.sent.push(`${method} ${path}`);
    if (path === "/api/session" && method === "POST") {
      server.known = JSON.parse(body).key === "dcl_right";
      return server.known ? Response.json({ keys_required: true }) : Response.json({ detail: "no" }, { status: 401 });
    }
    return server.known ? Response.json({ answered: path }) : Response.json({ detail: "a key" }, { status: 401 });
  };
  return server;
}

test("many refused requests ask once, and all go on with what they were about", async () => {
  const server = guarded();
  const api = createApi(server.fetch, createGate(async () => {
    server.asked += 1;
    await assert.rejects(api.signIn("dcl_wrong"), { status: 401 });
    await api.signIn("dcl_right");
  }));
  const answers = await Promise.all([api.voices(), api.models(), api.enqueue({ text: "x" }, "once")]);
  assert.deepEqual(answers.map(({ answered }) => answered), ["/api/voices", "/api/models", "/tts/enqueue"]);
  assert.equal(server.asked, 1);
  assert.equal(server.sent.filter((sent) => sent === "POST /tts/enqueue").length, 2, "sent again after the key");
  server.known = false;
  await api.voices();
  assert.equal(server.asked, 2, "a session that is over is asked for again");
});

test("a request that was given up meanwhile is not sent again", async () => {
  const server = guarded();
  const given = new AbortController();
  const api = createApi(server.fetch, async () => {
    server.known = true;
    given.abort();
  });
  await assert.rejects(api.voices(given.signal), { name: "AbortError" });
  assert.deepEqual(server.sent, ["GET /api/voices"]);
});

test("a quota tells what is used of it, and an empty limit is that of the settings", () => {
  const usage = { audio_seconds_today: 61.6, characters_in_this_minute: 20 };
  assert.deepEqual(quotaLines({ usage, characters_per_minute: null, audio_seconds_per_day: null }), ["62 s of audio today"]);
  assert.deepEqual(quotaLines({ usage, characters_per_minute: 500, audio_seconds_per_day: 3600 }),
    ["62 of 3,600 s of audio today", "20 of 500 characters this minute"]);
  assert.equal(scopesText(["speak", "voices"]), "speech, voices");
  assert.deepEqual(wishOf({ name: " phone ", scopes: ["speak"], characters: " ", seconds: "0" }),
    { name: "phone", scopes: ["speak"], characters_per_minute: null, audio_seconds_per_day: 0 });
});
