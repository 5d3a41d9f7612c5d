// Jobs outlive the page: reloads, closed tabs, other tabs, and a server that dies in between.

import assert from "node:assert/strict";

import { test } from "./harness.mjs";
import { answer, generate, open, QUICK, SLOW, stored, waitUntilFinished, waitUntilRunning } from "./steps.mjs";

const NO_ANSWER = /Failed to load resource/;

test("a reload in mid-job goes on showing the same job until it is finished", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page, 10);
  const id = await stored(page, "tts_current_job_id");
  await page.reload();
  await waitUntilRunning(page, 10);
  assert.equal(await stored(page, "tts_current_job_id"), id);
  assert.ok((await page.textContent("#job-text")).startsWith("The tide went out"), "the text comes from tts_job_params");
  await waitUntilFinished(page, SLOW);
  assert.ok((await page.getAttribute("#download", "href")).includes(id));
});

test("a tab closed in mid-job finds its job again when it is opened anew", async ({ page, context, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  await page.close();
  const later = await context.newPage();
  await open(later, url);
  await waitUntilFinished(later, SLOW);
});

test("a job that finished while nobody looked is shown as finished", async ({ page, context, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await page.waitForFunction(() => localStorage.getItem("tts_current_job_id"));
  const id = await stored(page, "tts_current_job_id");
  const params = await stored(page, "tts_job_params");
  await waitUntilFinished(page, QUICK);
  await page.evaluate(([job, request]) => {
    localStorage.setItem("tts_current_job_id", job);
    localStorage.setItem("tts_job_params", request);
  }, [id, params]);
  await page.close();
  const later = await context.newPage();
  await open(later, url);
  await waitUntilFinished(later, QUICK);
});

test("a server killed and started again in mid-job loses nothing, and progress never goes back", {
  ownServer: true, expectedErrors: NO_ANSWER,
}, async ({ page, server, url }) => {
  await open(page, url);
  await page.evaluate(() => {
    window.seen = [];
    new MutationObserver(() => window.seen.push(document.querySelector("#job-progress").value))
      .observe(document.querySelector("#job"), { subtree: true, attributes: true, characterData: true, childList: true });
  });
  await generate(page, SLOW);
  await waitUntilRunning(page, 20);
  const id = await stored(page, "tts_current_job_id");
  await server.kill();
  await page.locator("#job-trouble:not([hidden])").waitFor();
  assert.match(await page.textContent("#job-trouble"), /No answer from the server\. The job is safe there\./);
  await page.locator("#banner[data-kind=unreachable]").waitFor();
  await server.start();
  await waitUntilFinished(page, SLOW);
  assert.ok((await page.getAttribute("#download", "href")).includes(id), "it is the very same job");
  const seen = await page.evaluate(() => window.seen);
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
  assert.equal(await page.isVisible("#banner"), false);
});

test("questions that fail are asked again until the server answers (refusals faked in the browser)", {
  expectedErrors: NO_ANSWER,
}, async ({ page, url }) => {
  await open(page, url);
  let refused = 0;
  await page.route("**/tts/*/status", (route) => {
    refused += 1;
    if (refused === 1) return route.fulfill({ status: 503, contentType: "text/html", body: "<h1>Down</h1>" });
    if (refused === 2) return route.abort();
    return route.continue();
  });
  await generate(page, QUICK);
  await page.locator("#job-trouble:not([hidden])").waitFor();
  await waitUntilFinished(page, QUICK);
  assert.ok(refused > 2);
});

test("a job that the server does not know any more ends with a sentence, and is cleared away (404 faked in the browser)", {
  expectedErrors: NO_ANSWER,
}, async ({ page, url }) => {
  await answer(page, "**/tts/*/status", 404, { detail: "There is no job gone." });
  await open(page, url);
  await page.evaluate(() => localStorage.setItem("tts_current_job_id", "gone"));
  await page.reload();
  await page.locator("#outcome[data-phase=lost]").waitFor();
  assert.match(await page.textContent("#outcome-alert"), /no longer on the server, or it belongs to another key/);
  assert.equal(await stored(page, "tts_current_job_id"), null);
  assert.equal(await page.isVisible("#again"), false, "there is nothing to generate again");
  await page.getByRole("button", { name: "Clear", exact: true }).first().click();
  await page.locator("#recent-empty").waitFor();
  assert.ok(await page.isVisible("#output-empty"));
});

test("two tabs each follow their own job and share one list", async ({ page, context, url }) => {
  const second = await context.newPage();
  await open(page, url);
  await open(second, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  await generate(second, QUICK);
  await waitUntilFinished(second, QUICK);
  await waitUntilFinished(page, SLOW);
  for (const tab of [page, second]) {
    await tab.waitForFunction(() => document.querySelectorAll("#recent-list li[data-status=completed]").length === 2);
  }
  assert.equal(await stored(page, "tts_current_job_id"), null);
});

test("recent jobs are still there after a reload, play, and can be removed", async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await page.reload();
  await page.locator("#recent-list [data-action=play]").click();
  await waitUntilFinished(page, QUICK);
  await page.waitForFunction(() => document.querySelector("#audio").currentTime > 0);
  await page.locator("#recent-list [data-action=remove]").click();
  assert.equal(await page.locator("#recent-list li").count(), 0);
  assert.ok(await page.isVisible("#recent-empty"));
  assert.ok(await page.isVisible("#output-empty"));
});

test("a recent job that the server has expired is marked as gone (404 faked in the browser)", {
  expectedErrors: NO_ANSWER,
}, async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await answer(page, "**/tts/*/status", 404, { detail: "There is no such job." });
  await page.reload();
  await page.locator("#recent-list li[data-status=expired]").waitFor();
  assert.match(await page.textContent("#recent-list"), /no longer on the server/);
});
