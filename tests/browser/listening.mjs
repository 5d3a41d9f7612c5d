// Hearing a job while it is spoken: at once, without a gap to the finished file, sentence by sentence, and in whatever form.

import assert from "node:assert/strict";

import { test } from "./harness.mjs";
import { amend, answer, fetched, generate, openListening, open, QUICK, SLOW, stored, waitUntilFinished, waitUntilRunning } from "./steps.mjs";

/** The player as it stands. */
function heard(page) {
  return page.evaluate(() => ({
    live: document.querySelector("#player").dataset.live === "true",
    now: Number(document.querySelector("#wave").getAttribute("aria-valuenow")),
    most: Number(document.querySelector("#wave").getAttribute("aria-valuemax")),
    label: document.querySelector("#play").getAttribute("aria-label"),
    file: !document.querySelector("#audio").paused,
    sentence: Number(document.querySelector(".sentence[aria-current]")?.dataset.index ?? -1),
  }));
}

async function waitUntilHeard(page, seconds = 0.3) {
  await page.waitForFunction((least) => Number(document.querySelector("#wave").getAttribute("aria-valuenow")) > least, seconds);
}

test("sound begins long before the job ends, goes over into the file without a break, and can then be sought in", async ({ page, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await waitUntilHeard(page);
  assert.ok(await page.isVisible("#job"), "the job is still being spoken");
  assert.ok((await heard(page)).live);
  const positions = await page.evaluate(() => new Promise((resolve) => {
    const seen = [];
    const watch = () => {
      seen.push([performance.now(), Number(document.querySelector("#wave").getAttribute("aria-valuenow"))]);
      if (document.querySelector("#wave").dataset.drawn && !document.querySelector("#job:not([hidden])")) setTimeout(() => resolve(seen), 700);
      else requestAnimationFrame(watch);
    };
    watch();
  }));
  for (let i = 1; i < positions.length; i += 1) {
    assert.ok(positions[i][1] >= positions[i - 1][1] - 0.11, "it never goes back");
  }
  const [first, last] = [positions[0], positions.at(-1)];
  const lag = (last[0] - first[0]) / 1000 - (last[1] - first[1]);
  assert.ok(Math.abs(lag) < 1, `as long as the clock, but for ${lag.toFixed(2)} s`);
  const after = await heard(page);
  assert.ok(!after.live && after.label === "Pause", "the file is there, and it still sounds");
  assert.equal(after.file, false, "not from two sources at once");
  await page.click("#play");
  await page.waitForFunction(() => document.querySelector("#audio").currentTime > 0.3);
  const box = await page.locator("#wave-canvas").boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const { now, most } = await heard(page);
  assert.ok(Math.abs(now - most / 2) < most / 10);
  await page.click("#play");
  await page.waitForFunction((from) => document.querySelector("#audio").currentTime > from + 0.2, now);
});

test("a click in the wave while it sounds from the stream goes on from the file", async ({ page, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await waitUntilFinished(page, SLOW);
  assert.equal((await heard(page)).file, false);
  const box = await page.locator("#wave-canvas").boundingBox();
  await page.mouse.click(box.x + box.width * 0.75, box.y + box.height / 2);
  await page.waitForFunction(() => !document.querySelector("#audio").paused && document.querySelector("#audio").currentTime > 1);
});

test("nothing sounds by itself where that was not wished; a press on Listen begins, Cancel ends it", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  assert.equal(await page.isVisible("#player"), false);
  await page.click("#listen");
  assert.equal(await page.evaluate(() => document.activeElement.id), "play", "the focus goes on to the player");
  await waitUntilHeard(page);
  assert.equal(await page.isVisible("#listen"), false);
  await page.click("#cancel");
  await page.locator("#outcome[data-phase=cancelled]").waitFor();
  assert.equal(await page.isVisible("#player"), false);
});

test("pausing stops the sound in mid-job, and it goes on from there", async ({ page, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await waitUntilHeard(page);
  await page.click("#play");
  await page.waitForTimeout(150);
  const { now } = await heard(page);
  await page.waitForTimeout(400);
  assert.equal((await heard(page)).now, now);
  await page.click("#play");
  await waitUntilHeard(page, now + 0.3);
});

test("a reload is silent until a press, and then goes on where it was, in mid-job and afterwards", async ({ page, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await waitUntilHeard(page, 1.2);
  await page.reload();
  await waitUntilRunning(page, 1);
  await page.waitForTimeout(300);
  assert.equal(await page.isVisible("#player"), false, "it does not sound by itself");
  await page.click("#listen");
  await waitUntilHeard(page, 1.3);
  assert.ok((await heard(page)).now < 6);
  await waitUntilFinished(page, SLOW);
  await page.waitForTimeout(1200);
  const { now } = await heard(page);
  await page.reload();
  await waitUntilFinished(page, SLOW);
  await page.waitForFunction((was) => Math.abs(document.querySelector("#audio").currentTime - was) < 2.5, now);
  assert.equal((await heard(page)).file, false);
});

test("another tab shows the job and stays silent, also when it is finished", async ({ page, context, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await waitUntilHeard(page);
  const other = await context.newPage();
  await openListening(other, url);
  await waitUntilRunning(other, 1);
  await waitUntilFinished(other, SLOW);
  await other.waitForTimeout(500);
  const { label, file } = await heard(other);
  assert.deepEqual({ label, file }, { label: "Play", file: false });
});

test("the sentence that is heard is marked while it is spoken and afterwards, and each one is a way to it", async ({ page, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await page.locator(".sentence[aria-current]").waitFor();
  assert.ok(await page.isVisible("#job"), "already while it is spoken");
  assert.equal((await heard(page)).sentence, 0);
  await waitUntilFinished(page, SLOW);
  await page.waitForFunction(() => document.querySelectorAll(".sentence").length === 6 && !document.querySelector(".sentence[data-open=true]"));
  await page.locator(".sentence").nth(3).click();
  await page.waitForFunction(() => document.querySelector(".sentence[aria-current]")?.dataset.index === "3" && !document.querySelector("#audio").paused);
  const third = (await heard(page)).now;
  assert.ok(third > 1, `${third}`);
  await page.locator(".sentence").nth(3).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".sentence[aria-current]")?.dataset.index === "4");
  assert.equal(await page.locator(".sentence[tabindex='0']").count(), 1, "one stop for the Tab key");
});

test("what is read along, and what the captions say, is the text as it was written", async ({ page, url }) => {
  const sentences = ["On 3/14/2026, Dr. Lee paid $1,299.50 for 2.5 kg of tea.", "It was 8:45.", "Then he left."];
  await openListening(page, url);
  await generate(page, `${sentences.slice(0, 2).join(" ")}\n${sentences[2]}`);
  await page.waitForFunction((text) => document.querySelector(".sentence")?.textContent.startsWith(text), sentences[0].slice(0, 20));
  await page.locator("#download-as:visible").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".sentence:not([data-open=true])").length === 3);
  assert.deepEqual((await page.locator(".sentence").allTextContents()).map((text) => text.trim()), sentences);
  await page.click("#download-as > summary");
  const { bytes } = await fetched(page, () => page.click("#download-panel [data-format=srt]"));
  for (const sentence of sentences) assert.ok(bytes.toString().includes(`\n${sentence}\n`), bytes.toString());
});

test("a sentence is chosen while the job is still being spoken", async ({ page, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await page.waitForFunction(() => document.querySelectorAll(".sentence[data-open=false]").length >= 2);
  await waitUntilHeard(page, 0.5);
  await page.locator(".sentence").nth(1).click();
  await page.waitForFunction(() => document.querySelector(".sentence[aria-current]")?.dataset.index === "1");
  await page.locator(".sentence").nth(0).click();
  await page.waitForFunction(() => document.querySelector(".sentence[aria-current]")?.dataset.index === "0");
  // Whether or not it is still being spoken.
  await page.keyboard.press("Escape");
});

test("a finished job downloads in another format and as captions", async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  for (const [format, name, first] of [["flac", /\.flac$/, "fLaC"], ["mp3", /\.mp3$/, "ID3"], ["srt", /\.srt$/, "1\n00:"], ["vtt", /\.vtt$/, "WEBVTT"], ["json", /\.json$/, "{"]]) {
    if (!await page.isVisible("#download-panel")) await page.click("#download-as > summary");
    const file = await fetched(page, () => page.click(`#download-panel [data-format=${format}]`));
    assert.match(file.name, name);
    assert.ok(file.bytes.toString("latin1").startsWith(first), format);
  }
  assert.equal(await page.locator("#download-panel [data-format=wav]").count(), 0, "its own format has a button already");
});

test("a job in a format that cannot be streamed is heard at once all the same", async ({ page, url }) => {
  await openListening(page, url);
  await page.click("#options > summary");
  await page.locator("input[value=m4a]").check({ force: true });
  await generate(page, SLOW);
  await waitUntilHeard(page);
  assert.ok((await heard(page)).live);
  await page.keyboard.press("Escape");
});

test("a server that is killed in mid-job falls silent and is heard again when it is back", {
  ownServer: true, expectedErrors: /Failed to load resource|ERR_|WebSocket/,
}, async ({ page, server, url }) => {
  await openListening(page, url);
  await generate(page, SLOW);
  await waitUntilHeard(page, 0.5);
  const id = await stored(page, "tts_current_job_id");
  await server.kill();
  await page.locator("#job-trouble:not([hidden])").waitFor();
  await server.start();
  await waitUntilFinished(page, SLOW);
  assert.ok((await page.getAttribute("#download", "href")).includes(id));
  const { now } = await heard(page);
  await waitUntilHeard(page, now + 0.5);
});

test("one sentence is spoken anew, and the result is heard from there (new take faked in the browser)", async ({ page, url }) => {
  await amend(page, "**/api/jobs/*", (job) => ({ ...job, can_regenerate: true }));
  let asked = null;
  let take = null;
  await page.route("**/api/jobs/*/chunks/*/regenerate", async (route) => {
    asked = new URL(route.request().url()).pathname;
    const reply = await fetch(`${url}/tts/enqueue`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text: QUICK }) });
    take = (await reply.json()).job_id;
    await route.fulfill({ status: 202, json: { job_id: take, status: "queued" } });
  });
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilFinished(page, SLOW);
  const id = await page.evaluate(() => /tts\/([^/]+)/.exec(document.querySelector("#download").getAttribute("href"))[1]);
  await page.locator(".sentence").nth(2).click();
  await page.waitForFunction(() => document.querySelector(".sentence[aria-current]")?.dataset.index === "2");
  const start = (await heard(page)).now;
  await page.click("#redo");
  await page.locator("#announcer", { hasText: "The new take is there." }).waitFor();
  assert.equal(asked, `/api/jobs/${id}/chunks/3/regenerate`);
  await page.waitForFunction((from) => /take=1/.test(document.querySelector("#audio").src) && !document.querySelector("#audio").paused && document.querySelector("#audio").currentTime > from - 0.2, start);
  assert.ok((await heard(page)).now < start + 4);
});

test("a sentence that cannot be spoken anew leaves everything as it was, with the reason (refusal faked in the browser)", { expectedErrors: /Failed to load resource/ }, async ({ page, url }) => {
  await amend(page, "**/api/jobs/*", (job) => ({ ...job, can_regenerate: true }));
  await answer(page, "**/api/jobs/*/chunks/*/regenerate", 409, { detail: "The pieces of this job are gone." });
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await page.locator(".sentence").first().click();
  await page.locator(".sentence[aria-current]").waitFor();
  await page.click("#redo");
  await page.getByText("The pieces of this job are gone.").waitFor();
  assert.equal(await page.getAttribute("#redo", "aria-disabled"), "false");
});

test("only one sound at a time: what is played in the history silences the job that is heard", async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await generate(page, SLOW);
  await page.click("#listen");
  await waitUntilHeard(page);
  await page.click(".nav a[href='#/history']");
  await page.locator("#history-list [data-status=completed] [data-action=play]").first().click();
  await page.waitForFunction(() => document.querySelector("#play").getAttribute("aria-label") === "Play");
  await page.click(".nav a[href='#/speak']");
  await page.keyboard.press("Escape");
});
