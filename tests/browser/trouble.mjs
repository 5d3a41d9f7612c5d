// What goes wrong is said in words, where it can be mended. Most of these answers are faked in the browser, because a
// healthy server does not give them; the test model fails for real.

import assert from "node:assert/strict";

import { test } from "./harness.mjs";
import { amend, answer, generate, open, QUICK, waitUntilFinished } from "./steps.mjs";

const REFUSED = /Failed to load resource/;

test("a job that fails says why and can be tried again", { ownServer: true }, async ({ page, url }) => {
  await open(page, url);
  await generate(page, "This one goes wrong. [fail]");
  await page.locator("#outcome[data-phase=failed]").waitFor();
  assert.match(await page.textContent("#outcome-alert"), /^The job failed: .+/);
  assert.ok(await page.isVisible("#again"));
  assert.equal(await page.locator("#recent-list li[data-status=failed]").count(), 1);
  await page.click("#dismiss");
  assert.ok(await page.isVisible("#output-empty"));
});

test("a refused request is quoted beside the button, its field is marked, and the text stays (422 faked in the browser)", {
  expectedErrors: REFUSED,
}, async ({ page, url }) => {
  await open(page, url);
  await answer(page, "**/tts/enqueue", 422, { detail: "speed_factor must be between 0.25 and 4" });
  await generate(page, QUICK);
  await page.locator("#form-alert:not([hidden])").waitFor();
  assert.equal(await page.textContent("#form-alert"), "speed_factor must be between 0.25 and 4");
  assert.equal(await page.getAttribute("#speed", "aria-invalid"), "true");
  assert.ok(await page.isVisible("#speed"), "the options were opened");
  assert.equal(await page.inputValue("#text"), QUICK);
  await page.unroute("**/tts/enqueue");
  await page.click("#generate");
  await waitUntilFinished(page, QUICK);
  assert.equal(await page.isVisible("#form-alert"), false);
});

test("what the server says is shown as text, never as markup (answers faked in the browser)", {
  expectedErrors: REFUSED,
}, async ({ page, url }) => {
  const hostile = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>";
  await amend(page, "**/api/voices", (voices) => voices.map((voice) => ({ ...voice, name: hostile, origin: hostile })));
  await amend(page, "**/api/model-info", (info) => ({ ...info, name: hostile, device: hostile }));
  await answer(page, "**/tts/enqueue", 400, { detail: hostile });
  await open(page, url);
  await generate(page, hostile);
  await page.locator("#form-alert:not([hidden])").waitFor();
  assert.equal(await page.textContent("#form-alert"), hostile);
  assert.equal(await page.locator("img, b").count(), 0);
  assert.equal(await page.title(), "declaim");
});

test("a server that cannot be reached shows a banner, and trying again brings the page back (refusals faked in the browser)", {
  expectedErrors: REFUSED,
}, async ({ page, url }) => {
  await page.goto(url);
  await page.route("**/api/**", (route) => route.abort());
  await page.reload();
  await page.locator("#banner[data-kind=unreachable]").waitFor();
  await page.fill("#text", QUICK);
  await page.click("#generate");
  assert.match(await page.textContent("#form-alert"), /voices are not known yet/);
  await page.unroute("**/api/**");
  // At once: the page tries again by itself, too, and then there is no button.
  await page.locator("#banner-retry").evaluate((button) => button.click());
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
  assert.equal(await page.isVisible("#banner"), false);
});

test("a request that reaches nobody keeps the text and says so (refusal faked in the browser)", {
  expectedErrors: REFUSED,
}, async ({ page, url }) => {
  await open(page, url);
  await page.route("**/tts/enqueue", (route) => route.abort());
  await generate(page, QUICK);
  await page.locator("#form-alert:not([hidden])").waitFor();
  assert.match(await page.textContent("#form-alert"), /cannot be reached.+text is still here/);
  assert.equal(await page.getAttribute("#generate", "aria-disabled"), "false");
});

test("a model that is still loading is announced, and the voices come when it is there (state faked in the browser)", async ({ page, url }) => {
  let loading = true;
  await page.route("**/api/model-info", (route) =>
    loading ? route.fulfill({ json: { loaded: false, state: "loading", type: null, device: null } }) : route.continue());
  await page.goto(url);
  await page.locator("#banner[data-kind=loading]").waitFor();
  assert.match(await page.textContent("#banner-text"), /model is loading/);
  loading = false;
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
  assert.equal(await page.isVisible("#banner"), false);
});

test("a paused queue is a banner with a button that resumes it, and what waited is spoken", async ({ page, url }) => {
  await fetch(`${url}/api/queue/pause`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  await open(page, url);
  await page.locator("#banner-resume:not([hidden])").waitFor();
  assert.match(await page.textContent("#banner-text"), /queue is paused/);
  assert.equal(await page.isVisible("#banner-retry"), false);
  await generate(page, QUICK);
  await page.click("#banner-resume");
  await page.locator("#banner").waitFor({ state: "hidden" });
  const now = await fetch(`${url}/api/queue`).then((reply) => reply.json());
  assert.equal(now.state, "running");
});

test("a model that could not be loaded is a banner with the reason (state faked in the browser)", async ({ page, url }) => {
  await answer(page, "**/api/model-info", 200, { loaded: false, state: "failed", error: "tensor t3.text_emb.weight is missing" });
  await page.goto(url);
  await page.locator("#banner[data-kind=failed]").waitFor();
  assert.match(await page.textContent("#banner-text"), /tensor t3\.text_emb\.weight is missing/);
});

test("nothing is sent while the text is empty or too long or the seed is none (limit faked in the browser)", async ({ page, url }) => {
  await amend(page, "**/api/model-info", (info) => ({ ...info, max_text_chars: 40 }));
  let sent = 0;
  await page.route("**/tts/enqueue", (route) => { sent += 1; return route.continue(); });
  await open(page, url);
  await generate(page, "   ");
  assert.match(await page.textContent("#text-problem"), /Write something/);
  assert.ok(await page.evaluate(() => document.activeElement.id === "text"));
  await page.fill("#text", "x".repeat(39));
  assert.match(await page.textContent("#counter"), /^39 of 40 characters/);
  await generate(page, "x".repeat(42));
  assert.equal(await page.textContent("#counter"), "42 of 40");
  assert.match(await page.textContent("#text-problem"), /2 characters too long/);
  await page.fill("#text", QUICK);
  assert.equal(await page.isVisible("#text-problem"), false);
  await page.click("#options > summary");
  await page.fill("#seed", "seven");
  await page.click("#options > summary");
  await page.click("#generate");
  assert.ok(await page.isVisible("#seed-problem"), "the options open again to show it");
  assert.equal(sent, 0);
});
