// The views beside Speak: that they can be reached and come back, and that what they offer happens on the server.

import assert from "node:assert/strict";

import { clipFile } from "./clip-file.mjs";
import { test } from "./harness.mjs";
import { amend, answer, drop, generate, open, openView, QUICK, SLOW, waitUntilFinished, waitUntilRunning } from "./steps.mjs";

test("views have addresses: links, Back and reload lead to them, and the focus follows", async ({ page, url }) => {
  await open(page, url);
  await page.fill("#text", "Half a thou");
  await page.click(".nav a[href='#/voices']");
  await page.locator("#voice-list > li").first().waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "title-voices");
  assert.equal(await page.isVisible("#compose"), false);
  await page.reload();
  await page.locator("#voice-list > li").first().waitFor();
  assert.equal(await page.getAttribute(".nav a[href='#/voices']", "aria-current"), "page");
  await page.goBack();
  await page.locator("#compose").waitFor();
  assert.equal(await page.inputValue("#text"), "Half a thou");
});

test("a job that runs goes on while other views are looked at", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  await page.click(".nav a[href='#/models']");
  await page.locator("#model-list li").first().waitFor();
  await page.click(".nav a[href='#/speak']");
  await waitUntilFinished(page, SLOW);
});

test("models tell size, languages and licence, and go into memory and out of it", { ownServer: true }, async ({ page, url }) => {
  await openView(page, url, "models");
  const nano = page.locator("#model-list li[data-name=nano]");
  assert.match(await nano.textContent(), /Chatterbox Nano.*not installed.*English · MIT · 1\.9 GB/s);
  const card = page.locator("#model-list li[data-name=tone-low]");
  await card.getByRole("button", { name: "Load: tone-low" }).click();
  await card.locator(".badge[data-kind=ready]").waitFor();
  await card.getByRole("button", { name: "Unload: tone-low" }).click();
  await card.locator(".badge[data-kind=unloaded]").waitFor();
  await card.getByRole("button", { name: "Use: tone-low" }).click();
  await page.locator("#compose").waitFor();
  assert.equal(await page.inputValue("#model-choice"), "tone-low");
});

test("models tell what they would take here and how fast they are, and how much memory is taken (budget faked in the browser)", { ownServer: true }, async ({ page, url }) => {
  await amend(page, "**/api/model-info", (info) => ({ ...info, memory_budget_mb: 1000, models: info.models.map((model) => ({ ...model, memory_mb: model.state === "ready" ? 250 : model.memory_mb })) }));
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await page.click(".nav a[href='#/models']");
  await page.locator(".memory progress").waitFor();
  assert.ok([25, 50].includes(await page.locator(".memory progress").evaluate((bar) => bar.value)));
  assert.match(await page.textContent(".memory"), /of 1\.0 GB used by loaded models/);
  await page.locator("#model-list li[data-name=tone]", { hasText: /\d seconds of audio per second here/ }).waitFor();
  assert.match(await page.textContent("#model-list li[data-name=nano]"), /in memory.*about [\d.]+ seconds of audio per second here/);
});

test("a download shows its progress as it comes, and can be stopped (the hub is faked in the browser)", async ({ page, url }) => {
  let pull = null;
  let stopped = false;
  await amend(page, "**/api/models", (models) => models.map((model) => (model.name === "nano" ? { ...model, pull } : model)));
  await page.route("**/api/models/nano/pull", (route) => {
    if (route.request().method() === "DELETE") {
      stopped = true;
      pull = { state: "cancelled" };
      return route.fulfill({ json: { message: "stopped" } });
    }
    pull = { state: "running", phase: "downloading", bytes_done: 485_000_000, bytes_total: 1_940_000_000, bytes_per_second: 8e6, seconds_left: 180 };
    return route.fulfill({ status: 202, json: { name: "nano" } });
  });
  await page.route("**/api/models/nano/events", (route) => {
    pull = { ...pull, bytes_done: 970_000_000 };
    return route.fulfill({ contentType: "text/event-stream", body: `event: progress\ndata: ${JSON.stringify(pull)}\n\n` });
  });
  await openView(page, url, "models");
  const card = page.locator("#model-list li[data-name=nano]");
  await card.getByRole("button", { name: "Download: nano" }).click();
  await card.getByText("50%").waitFor();
  assert.match(await card.textContent(), /970 MB of 1\.9 GB · 8\.0 MB per second · about 3 min left/);
  await card.getByRole("button", { name: "Cancel: nano" }).click();
  await card.locator(".badge[data-kind=missing]").waitFor();
  assert.ok(stopped);
});

test("what a model's server refuses is said, and nothing is asked for twice (refusal faked in the browser)", {
  expectedErrors: /Failed to load resource/,
}, async ({ page, url }) => {
  await answer(page, "**/api/models/nano/pull", 507, { detail: "The disk is full." });
  await openView(page, url, "models");
  await page.getByRole("button", { name: "Download: nano" }).click();
  await page.getByText("The disk is full.").waitFor();
});

test("a model is removed only after a question that Escape answers with no (list faked in the browser)", async ({ page, url }) => {
  let removed = 0;
  await amend(page, "**/api/models", (models) => models.map((model) => (model.name === "nano" ? { ...model, state: "installed" } : model)));
  await page.route("**/api/models/nano", (route) => {
    removed += 1;
    return route.fulfill({ json: { message: "removed", freed_bytes: 1 } });
  });
  await openView(page, url, "models");
  const remove = page.getByRole("button", { name: "Remove: nano" });
  await remove.click();
  await page.locator("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(removed, 0);
  await remove.click();
  await page.locator("dialog .danger").click();
  await page.waitForFunction(() => document.querySelector("dialog") === null);
  assert.equal(removed, 1);
});

async function addClip(page, name, options) {
  await page.setInputFiles("#voice-file", { name: `${name}.wav`, mimeType: "audio/wav", buffer: clipFile(options) });
  await page.locator("#clip-facts").getByText("0:").waitFor();
  await page.fill("#voice-consent", "My own voice");
  await page.getByRole("button", { name: "Add voice" }).click();
  await page.locator("#voice-list > li", { hasText: name }).waitFor();
}

test("a clip becomes a voice that is judged in words, tried, renamed, found, preferred and deleted", async ({ page, url }) => {
  await openView(page, url, "voices");
  await addClip(page, "Rosa Test", { seconds: 11 });
  const card = page.locator("#voice-list > li", { hasText: "Rosa Test" });
  assert.match(await card.locator(".quality").textContent(), /Level.*LUFS.*good.*Clipping.*0 %.*good.*Over noise.*dB.*good/);
  await card.getByRole("button", { name: "Try it: Rosa Test" }).click();
  await page.waitForResponse((reply) => /\/tts\/[^/]+\/result$/.test(reply.url()) && reply.ok());

  await card.locator("[data-action=rename]").click();
  await page.fill("#dialog-input", "Rosa Renamed");
  await page.keyboard.press("Enter");
  const renamed = page.locator("#voice-list > li", { hasText: "Rosa Renamed" });
  await renamed.waitFor();

  await renamed.locator("[data-action=star]").click();
  await page.reload();
  await page.locator("#voice-list > li").first().waitFor();
  assert.match(await page.locator("#voice-list > li").first().textContent(), /Rosa Renamed/, "favourites come first");
  await page.fill("#voices-search", "renamed");
  assert.equal(await page.locator("#voice-list > li").count(), 1);

  await renamed.getByRole("button", { name: "Use: Rosa Renamed" }).click();
  await page.locator("#compose").waitFor();
  assert.equal(await page.inputValue("#model-choice"), "tone-low", "the model that can speak with it is chosen too");
  assert.ok(await page.locator("#voice-grid label", { hasText: "Rosa Renamed" }).locator("input").isChecked());

  await page.click(".nav a[href='#/voices']");
  await renamed.locator("[data-action=remove]").click();
  await page.locator("dialog .danger").click();
  await renamed.waitFor({ state: "detached" });
});

test("a voice is heard from the form before it is chosen for good, and dropped clips are taken", async ({ page, url }) => {
  await open(page, url);
  const played = page.waitForResponse((reply) => /\/tts\/[^/]+\/result$/.test(reply.url()) && reply.ok());
  await page.click("#voice-try");
  await played;
  await openView(page, url, "voices");
  await drop(page, "#voice-drop", { name: "Dropped.wav", mimeType: "audio/wav", buffer: clipFile({ seconds: 4 }) });
  await page.locator("#clip-facts").getByText("0:04").waitFor();
  assert.equal(await page.inputValue("#voice-name"), "Dropped");
});

test("a voice leaves as one file and is added again with its name, language and consent", async ({ page, url }) => {
  await openView(page, url, "voices");
  await addClip(page, "Traveller", { seconds: 4 });
  const started = page.waitForEvent("download");
  await page.locator("#voice-list > li", { hasText: "Traveller" }).locator("[data-action=export]").click();
  const download = await started;
  assert.match(download.suggestedFilename(), /^traveller.*\.voice\.zip$/);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  // The server knows a clip that it has already.
  await page.locator("#voice-list > li", { hasText: "Traveller" }).locator("[data-action=remove]").click();
  await page.locator("dialog .danger").click();
  await page.locator("#voice-list > li", { hasText: "Traveller" }).waitFor({ state: "detached" });
  await page.setInputFiles("#voice-file", { name: "given.zip", mimeType: "application/zip", buffer: Buffer.concat(chunks) });
  await page.locator("#clip-facts").getByText("0:04").waitFor();
  assert.equal(await page.inputValue("#voice-name"), "Traveller");
  assert.equal(await page.inputValue("#voice-consent"), "My own voice");
  await page.fill("#voice-name", "Traveller Again");
  await page.getByRole("button", { name: "Add voice" }).click();
  await page.locator("#voice-list > li", { hasText: "Traveller Again" }).waitFor();
  await page.setInputFiles("#voice-file", { name: "holiday.zip", mimeType: "application/zip", buffer: Buffer.from("PK not really") });
  await page.getByText("holiday.zip is no voice that was exported here.").waitFor();
});

test("a poor clip is called poor, with advice", async ({ page, url }) => {
  await openView(page, url, "voices");
  await addClip(page, "Shouted", { seconds: 4, gain: 2.5, noise: 0.05 });
  const card = page.locator("#voice-list > li", { hasText: "Shouted" });
  assert.equal(await card.locator(".card-head .badge[data-kind=poor]").count(), 1);
  assert.match(await card.locator(".quality-advice").textContent(), /overdriven/);
});

test("the microphone is recorded, listened to and added", { context: { permissions: ["microphone"] } }, async ({ page, url }) => {
  await openView(page, url, "voices");
  await page.click("#record");
  await page.locator("#record-status", { hasText: "0:03" }).waitFor();
  await page.click("#record");
  await page.locator("#clip-facts", { hasText: "0:0" }).waitFor();
  await page.fill("#voice-name", "Beeps");
  await page.getByRole("button", { name: "Add voice" }).click();
  await page.locator("#voice-list > li", { hasText: "Beeps" }).waitFor();
});

test("a file that is no sound is refused in words, and what was written stays", { expectedErrors: /Failed to load resource/ }, async ({ page, url }) => {
  await openView(page, url, "voices");
  await page.setInputFiles("#voice-file", { name: "notes.wav", mimeType: "audio/wav", buffer: Buffer.from("not a sound at all") });
  await page.locator("#clip-facts").getByText("cannot draw").waitFor();
  await page.fill("#voice-name", "Nobody");
  await page.getByRole("button", { name: "Add voice" }).click();
  await page.locator("#voice-alert:not([hidden])").waitFor();
  assert.equal(await page.inputValue("#voice-name"), "Nobody");
});

test("the history shows a job from waiting to finished, finds it, and takes it back to the form", async ({ page, url }) => {
  await open(page, url);
  await generate(page, `Zephyrs ${SLOW}`);
  await waitUntilRunning(page);
  await page.click(".nav a[href='#/history']");
  const row = page.locator("#history-list li", { hasText: "Zephyrs" }).first();
  await row.and(page.locator("[data-status=running]")).waitFor();
  await row.and(page.locator("[data-status=completed]")).waitFor({ timeout: 60_000 });
  await page.fill("#history-search", "zephyrs harbour");
  await page.waitForFunction(() => [...document.querySelectorAll("#history-list li")].every((item) => item.textContent.includes("Zephyrs")));
  await page.selectOption("#history-status", "failed");
  assert.ok(await page.isVisible("#history-empty"));
  await page.selectOption("#history-status", "");
  await row.locator("[data-action=play]").click();
  await row.locator("[data-action=play][aria-label^=Pause]").waitFor();
  await row.locator("[data-action=edit]").click();
  await page.locator("#compose").waitFor();
  assert.ok((await page.inputValue("#text")).startsWith("Zephyrs"));
  assert.match(await page.inputValue("#seed"), /^\d+$/);
});

test("a job is cancelled from the history", async ({ page, url }) => {
  await open(page, url);
  await generate(page, `Cancelled later. ${SLOW}`);
  await waitUntilRunning(page);
  await page.click(".nav a[href='#/history']");
  const row = page.locator("#history-list li", { hasText: "Cancelled later" }).first();
  await row.locator("[data-action=cancel]").click();
  await row.and(page.locator("[data-status=cancelled]")).waitFor();
});

test("five thousand jobs scroll smoothly, with only the rows in sight in the page (list faked in the browser)", async ({ page, context, url }) => {
  const jobs = Array.from({ length: 5000 }, (_, i) => ({
    job_id: `j${i}`, status: "completed", progress: 100, created_at: 1.7e9 - i, seed: i, voice: "hum", model: "tone",
    output_available: true, elapsed_sec: 1, duration_sec: 5, output_format: "wav", file_size_bytes: 1, text: `Job number ${i}`,
  }));
  await page.route("**/api/jobs?*", (route) => route.fulfill({ json: { jobs, next_cursor: null } }));
  await openView(page, url, "history");
  await page.locator("#history-list li", { hasText: "Job number 0" }).waitFor();
  // What the page itself takes of each frame; how fast this machine paints is not its matter.
  const client = await context.newCDPSession(page);
  // Time of its own thread: what else runs on this machine is not its matter either.
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  const worked = async () => {
    const { metrics } = await client.send("Performance.getMetrics");
    const parts = ["ScriptDuration", "LayoutDuration", "RecalcStyleDuration"];
    return metrics.filter(({ name }) => parts.includes(name)).reduce((sum, { value }) => sum + value, 0);
  };
  const FRAMES = 120;
  const before = await worked();
  await page.evaluate(async (frames) => {
    const box = document.querySelector("#history-list");
    for (let i = 0; i < frames; i += 1) {
      box.scrollTop += 2600;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }, FRAMES);
  const perFrame = ((await worked()) - before) * 1000 / FRAMES;
  await page.locator("#history-list li", { hasText: "Job number 4999" }).waitFor();
  assert.ok(await page.locator("#history-list li").count() < 60);
  assert.ok(perFrame < 30, `${perFrame.toFixed(1)} ms of work per frame, each showing 42 new rows`);
  console.log(`# ${perFrame.toFixed(1)} ms of work per frame`);
});

test("the check-up speaks of the model, the device, the voices and the queue", async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await page.click(".nav a[href='#/status']");
  await page.locator("#report li", { hasText: "Queue" }).waitFor();
  const report = await page.textContent("#report");
  for (const part of [/declaim \d+\.\d+\.\d+ answers/, /tone is loaded/, /CPU/, /voices/, /finished/]) assert.match(report, part);
  await page.locator(".plot rect").first().waitFor();
});

test("the page speaks German when asked to, keeps doing so, and writes numbers its way", async ({ page, url }) => {
  await openView(page, url, "status");
  await page.selectOption("#page-language", "de");
  await page.locator(".nav a", { hasText: "Stimmen" }).waitFor();
  assert.equal(await page.getAttribute("html", "lang"), "de");
  await page.goto(url);
  await page.fill("#text", "x".repeat(1234));
  assert.match(await page.textContent("#counter"), /^1\.234 Zeichen, etwa 1 Min\./);
});

test("the theme is chosen among three, and the button in the header agrees", { context: { colorScheme: "light" } }, async ({ page, url }) => {
  await openView(page, url, "status");
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  // The label is what is seen and clicked; it may still move while other cards of the view come.
  await page.locator("label:has(input[name=theme][value=dark])").click();
  assert.notEqual(await ground(), light);
  await page.click("#theme");
  assert.ok(await page.locator("input[name=theme][value=system]").isChecked());
  assert.equal(await ground(), light);
});

test("without the server every view says so, and fills when it is back (refusals faked in the browser)", { expectedErrors: /Failed to load resource|ERR_/ }, async ({ page, context, url }) => {
  await open(page, url);
  // The other views come a moment after the form.
  await page.waitForFunction(() => ["history", "voices", "models", "status"].every((view) => document.querySelector(`#view-${view} h2`)));
  await context.setOffline(true);
  for (const view of ["history", "voices", "models", "status"]) {
    await page.click(`.nav a[href='#/${view}']`);
    await page.locator(`#view-${view} h2`).waitFor();
  }
  await page.locator("#banner[data-kind=unreachable]").waitFor();
  await page.locator("#report li[data-grade=poor]").waitFor();
  await context.setOffline(false);
  await page.locator("#banner").waitFor({ state: "hidden" });
  await page.locator("#report li", { hasText: "answers" }).waitFor();
});
