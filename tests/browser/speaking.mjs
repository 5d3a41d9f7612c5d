// The main road: text in, audio out. Against the server as it is; nothing is faked.

import assert from "node:assert/strict";

import { test } from "./harness.mjs";
import { generate, open, QUICK, SLOW, stored, waitUntilFinished, waitUntilRunning } from "./steps.mjs";

test("a text becomes audio with a drawn waveform and its facts", async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  assert.match(await page.textContent("#player-facts"), /WAV · .+ · seed \d+/);
  const colours = await page.evaluate(() => {
    const canvas = document.querySelector("#wave-canvas");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(pixels.filter((_, i) => i % 4 === 3)).size;
  });
  assert.ok(colours > 1, "the canvas has bars and gaps");
  assert.equal(await stored(page, "tts_current_job_id"), null, "a finished job is no longer the current one");
  assert.equal(await page.isVisible("#output-empty"), false);
});

test("progress names the chunk, the percentage and the time while the job runs", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page, 20);
  assert.match(await page.textContent("#job-phase"), /^Speaking chunk \d+ of \d+$/);
  assert.match(await page.textContent("#job-percent"), /^\d+%$/);
  assert.match(await page.textContent("#job-time"), /^0:\d\d/);
  assert.match(await page.title(), /^\d+% · declaim$/);
  await page.click("#cancel");
});

test("the chosen voice, format, speed and seed are what the server is asked for", async ({ page, url }) => {
  await open(page, url);
  await page.locator("#voice-grid input").nth(1).check({ force: true });
  const voice = await page.locator("#voice-grid input").nth(1).getAttribute("value");
  await page.click("#options > summary");
  await page.locator("input[value=flac]").check({ force: true });
  await page.fill("#seed", "42");
  await page.locator("#speed").focus();
  await page.keyboard.press("ArrowRight");
  const asked = page.waitForRequest("**/tts/enqueue");
  await generate(page, QUICK);
  assert.deepEqual((await asked).postDataJSON(), {
    text: QUICK, voice_mode: "predefined", predefined_voice_id: voice, output_format: "flac", speed_factor: 1.05, seed: 42,
  });
  await waitUntilFinished(page, QUICK);
  assert.match(await page.textContent("#player-facts"), /FLAC · .+ · seed 42/);
});

test("playing moves on, a click in the waveform seeks, and pausing stops", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilFinished(page, SLOW);
  const position = () => page.evaluate(() => document.querySelector("#audio").currentTime);
  await page.click("#play");
  await page.waitForFunction(() => document.querySelector("#audio").currentTime > 0.3);
  assert.equal(await page.getAttribute("#play", "aria-label"), "Pause");
  const duration = await page.evaluate(() => document.querySelector("#audio").duration);
  const box = await page.locator("#wave-canvas").boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const middle = await position();
  assert.ok(Math.abs(middle - duration / 2) < duration / 10, `${middle} of ${duration} is about the middle`);
  await page.waitForFunction((from) => document.querySelector("#audio").currentTime > from + 0.2, middle);
  await page.click("#play");
  const paused = await position();
  await page.waitForTimeout(300);
  assert.equal(await position(), paused);
  assert.match(await page.getAttribute("#wave", "aria-valuetext"), /^\d+:\d\d of \d+:\d\d$/);
});

test("the result downloads under the name that the server gives it", async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  const download = page.waitForEvent("download");
  await page.click("#download");
  assert.match((await download).suggestedFilename(), /^tts_job_[\w-]+\.wav$/);
});

test("cancelling ends the job as cancelled, offers it again, and leaves nothing to resume", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  const id = await stored(page, "tts_current_job_id");
  await page.click("#cancel");
  await page.locator("#outcome[data-phase=cancelled]").waitFor();
  const reply = await fetch(`${url}/tts/${id}/status`);
  assert.equal((await reply.json()).status, "cancelled");
  assert.equal(await stored(page, "tts_current_job_id"), null);
  await page.click("#again");
  await waitUntilRunning(page);
  assert.notEqual(await stored(page, "tts_current_job_id"), id);
  await page.click("#cancel");
  await page.locator("#outcome[data-phase=cancelled]").waitFor();
});

test("a second job can be sent while the first one runs, and both finish", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await page.waitForFunction(() => document.querySelectorAll("#recent-list li[data-status=completed]").length === 2);
  await page.locator("#recent-list [data-action=play]").nth(1).click();
  await waitUntilFinished(page, SLOW);
});
