// What happens on the server is seen at once, without being asked for again and again; and still without the line for it.

import assert from "node:assert/strict";

import { test } from "./harness.mjs";
import { fetched, generate, open, openView, QUICK, SLOW, waitUntilFinished, waitUntilRunning } from "./steps.mjs";

const enqueue = async (url, body) => (await fetch(`${url}/tts/enqueue`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
})).json();

test("a job is followed by its events, with a handful of questions", async ({ page, url }) => {
  const subscribed = new Promise((resolve) => {
    page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => /subscribed/.test(payload) && resolve()));
  });
  await open(page, url);
  await subscribed;
  let asked = 0;
  page.on("request", (request) => { asked += /\/tts\/[^/]+\/status$/.test(request.url()); });
  await page.evaluate(() => {
    window.seen = new Set();
    new MutationObserver(() => window.seen.add(document.querySelector("#job-progress").value)).observe(document.querySelector("#job"), { subtree: true, attributes: true, characterData: true, childList: true });
  });
  await generate(page, SLOW);
  await waitUntilFinished(page, SLOW);
  assert.ok(asked <= 7, `${asked} questions`);
  const steps = await page.evaluate(() => window.seen.size);
  assert.ok(steps >= 5, `progress was seen in ${steps} steps`);
});

test("where no WebSocket comes through, jobs and lists are asked for as ever (refused in the browser)", { expectedErrors: /WebSocket/ }, async ({ page, url }) => {
  await page.routeWebSocket(/\/tts\/ws$/, (socket) => socket.close());
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  await waitUntilFinished(page, SLOW);
  await page.click(".nav a[href='#/history']");
  await page.locator("#history-list li", { hasText: "The tide" }).first().waitFor();
});

test("jobs that others of this machine send appear in the history by themselves, and move", async ({ page, url }) => {
  await openView(page, url, "history");
  await page.waitForTimeout(1000);
  const text = `Sent from elsewhere ${Date.now()}. ${SLOW}`;
  const { job_id: id } = await enqueue(url, { text, priority: "low" });
  const row = page.locator(`#history-list li[data-id="${id}"]`);
  // The list is asked for every eight seconds anyway.
  await row.waitFor({ timeout: 3000 });
  assert.match(await row.textContent(), /when nothing else waits/);
  await row.and(page.locator("[data-status=running]")).waitFor({ timeout: 3000 });
  await row.and(page.locator("[data-status=completed]")).waitFor({ timeout: 60_000 });
});

test("a job that waits tells its place and its estimate, and is overtaken by an urgent one", async ({ page, url }) => {
  await open(page, url);
  const first = await enqueue(url, { text: SLOW });
  const second = await enqueue(url, { text: SLOW });
  await page.click("#options > summary");
  await page.selectOption("#priority", "low");
  const asked = page.waitForRequest("**/tts/enqueue");
  await generate(page, QUICK);
  assert.equal((await asked).postDataJSON().priority, "low");
  await page.locator("#job-phase", { hasText: /Waiting, \d jobs? ahead/ }).waitFor();
  await page.locator("#job-time", { hasText: "when nothing else waits" }).waitFor();
  await page.selectOption("#priority", "high");
  await generate(page, `Urgent. ${QUICK}`);
  await waitUntilFinished(page, `Urgent. ${QUICK}`);
  const { status } = await (await fetch(`${url}/tts/${second.job_id}/status`)).json();
  assert.notEqual(status, "completed", "it went before those that had waited");
  for (const { job_id: id } of [first, second]) await fetch(`${url}/tts/${id}`, { method: "DELETE" });
});

test("defaults of the server are changed, wait for its next start, and hold then", { ownServer: true, expectedErrors: /Failed to load resource|ERR_|WebSocket/ }, async ({ page, server, url }) => {
  await openView(page, url, "status");
  const field = (path) => page.locator(`#setting-${path}`);
  await field("generation_defaults-chunk_size").fill("9");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Characters per piece must be from 50 to 500.").waitFor();
  assert.equal(await field("generation_defaults-chunk_size").getAttribute("aria-invalid"), "true");
  await field("generation_defaults-chunk_size").fill("80");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator("#settings-waiting:not([hidden])").waitFor();
  assert.equal(await page.locator("#server-settings .badge").count(), 1);
  await server.kill();
  await server.start();
  await page.locator("#settings-waiting").waitFor({ state: "hidden" });
  assert.equal(await field("generation_defaults-chunk_size").inputValue(), "80");
  await page.getByRole("button", { name: "Forget what was saved" }).click();
  await page.locator("dialog .danger").click();
  await page.waitForFunction(() => document.querySelector("dialog") === null);
  await server.kill();
  await server.start();
  await page.waitForFunction(() => document.querySelector("#setting-generation_defaults-chunk_size").value === "120", null, { timeout: 20_000 });
});

/** What an audiobook's list of chapters says. */
function chaptersIn(file) {
  let at = file.indexOf("chpl") + 4 + 8;
  const found = [];
  for (let left = file[at++]; left > 0; left -= 1) {
    const length = file[at + 8];
    found.push([Number(file.readBigUInt64BE(at)) / 1e7, file.toString("utf8", at + 9, at + 9 + length)]);
    at += 9 + length;
  }
  return found;
}

test("chapters of a document are spoken as one book, which is fetched as an audiobook, as chapters or in one piece", async ({ page, url }) => {
  await open(page, url);
  const title = `Tides ${Date.now()}`;
  await page.setInputFiles("#file", { name: `${title}.md`, mimeType: "text/markdown", buffer: Buffer.from("# One\n\nThe tide went out.\n\n# Two\n\nThe tide came in.\n\n# Three\n\nIt went out again.") });
  await page.locator(".chapters input").nth(2).uncheck();
  await page.getByRole("button", { name: "Speak as one book" }).click();
  await page.locator("#document a[href='#/history']").click();
  const book = page.locator("#batch-list > li", { hasText: title });
  await book.getByText("2 of 2 are ready").waitFor({ timeout: 60_000 });
  const audiobook = await fetched(page, () => book.locator("[data-action=book]").click());
  assert.match(audiobook.name, /\.m4b$/);
  const chapters = chaptersIn(audiobook.bytes);
  assert.deepEqual(chapters.map(([, name]) => name), ["One", "Two"]);
  assert.equal(chapters[0][0], 0);
  assert.ok(chapters[1][0] > 1, `${chapters[1][0]} s`);
  assert.ok(audiobook.bytes.includes(title));
  const startsWith = async (press, magic) => assert.ok((await fetched(page, press)).bytes.toString("latin1").startsWith(magic));
  await startsWith(() => book.locator("[data-action=zip]").click(), "PK");
  await book.locator("summary").click();
  await startsWith(() => book.locator("[data-format=flac]").click(), "fLaC");
});
