// That the page can be used by everybody: by keyboard, on a phone, in the dark, with motion off; and that it stays inside
// the strict content security policy.

import assert from "node:assert/strict";

import { test } from "./harness.mjs";
import { amend, generate, open, QUICK, SLOW, stored, waitUntilFinished, waitUntilRunning } from "./steps.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

test("the policy allows nothing inline and nothing from elsewhere, and assets are found by their hash", async ({ page, url }) => {
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  const reply = await page.goto(url);
  const policy = reply.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  const html = await reply.text();
  assert.doesNotMatch(html, /\{\{/);
  assert.doesNotMatch(html, /\sstyle=|\son\w+=|<script>|<style/);
  await page.waitForLoadState("networkidle");
  assert.ok(requests.some((address) => /\/assets\/[\w-]+\/js\/app\.js$/.test(address)));
  assert.deepEqual(requests.filter((address) => new URL(address).origin !== url), []);
});

test("everything can be done with the keyboard alone", async ({ page, url }) => {
  await open(page, url);
  const tabTo = async (selector) => {
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    }
    assert.fail(`Tab never came to ${selector}`);
  };
  await tabTo("#text");
  await page.keyboard.type(SLOW);
  await tabTo("#voice-grid input");
  await page.keyboard.press("ArrowRight");
  assert.ok(await page.locator("#voice-grid input").nth(1).isChecked());
  await tabTo("#options > summary");
  await page.keyboard.press("Enter");
  await tabTo("#speed");
  await tabTo("#seed");
  await tabTo("#generate");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "the focus is visible");
  await page.keyboard.press("Enter");
  await waitUntilRunning(page);
  await page.keyboard.press("Escape");
  await page.locator("#outcome[data-phase=cancelled]").waitFor();
  await page.locator("#text").focus();
  await page.keyboard.press("Control+A");
  await page.keyboard.type(QUICK);
  await page.keyboard.press("Control+Enter");
  await waitUntilFinished(page, QUICK);
  assert.equal(await page.evaluate(() => document.activeElement.id), "text", "a finished job does not steal the focus");
  await tabTo("#play");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#audio").currentTime > 0);
  await tabTo("#wave");
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.querySelector("#audio").ended);
  await tabTo("#download");
  await tabTo("#recent-list [data-action=remove]");
  await page.keyboard.press("Enter");
  assert.ok(await page.evaluate(() => document.querySelector("#recent-list").contains(document.activeElement)), "the focus stays in the list");
});

test("Escape closes the open model panel before it would cancel a job", async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  await page.click("#model summary");
  assert.match(await page.textContent("#model-facts"), /Device/);
  await page.keyboard.press("Escape");
  assert.equal(await page.isVisible("#model-facts"), false);
  assert.ok(await page.isVisible("#job"));
  await page.keyboard.press("Escape");
  await page.locator("#outcome[data-phase=cancelled]").waitFor();
});

test("every control has a name, and changes of state are announced", async ({ page, url }) => {
  await open(page, url);
  await page.evaluate(() => {
    window.announced = [];
    const announcer = document.querySelector("#announcer");
    new MutationObserver(() => window.announced.push(announcer.textContent)).observe(announcer, { childList: true });
  });
  await generate(page, SLOW);
  await waitUntilFinished(page, SLOW);
  await page.click("#options > summary");
  const nameless = await page.locator("button, input, textarea, a, [role=slider], progress").evaluateAll((controls) =>
    controls
      .filter((control) => control.checkVisibility())
      .filter((control) => !["aria-label", "aria-labelledby"].some((name) => control.getAttribute(name)))
      .filter((control) => !control.labels?.length && !control.textContent.trim())
      .map((control) => control.outerHTML));
  assert.deepEqual(nameless, []);
  const announced = await page.evaluate(() => window.announced);
  assert.ok(announced.some((line) => /^Speaking chunk \d+ of \d+$/.test(line)), announced.join("; "));
  assert.match(announced.at(-1), /^Finished: .+ of audio\.$/);
});

test("nothing sticks out sideways on a phone, in any state", { context: PHONE }, async ({ page, url }) => {
  await amend(page, "**/api/voices", (voices) => [
    ...voices,
    ...Array.from({ length: 12 }, (_, i) => (
      { id: `v${i}`, name: `Averyveryveryverylongvoicename ${i}`, gender: "female", language: "en-GB", origin: "x".repeat(90) }
    )),
  ]);
  const fits = async (state) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `${width} px wide when ${state}`);
  };
  await open(page, url);
  await fits("empty");
  await page.click("#options > summary");
  await fits("the options are open");
  await page.click("#model summary");
  await fits("the model panel is open");
  await page.click("#model summary");
  const long = `${"Donaudampfschiff".repeat(12)} ${SLOW}`;
  await generate(page, long);
  await waitUntilRunning(page);
  await fits("a job runs");
  await page.locator("#cancel").click();
  await page.locator("#outcome[data-phase=cancelled]").waitFor();
  await fits("a job was cancelled");
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  await fits("a job is finished");
});

test("the theme follows the system until the button says otherwise, and the choice is kept", {
  context: { colorScheme: "dark" },
}, async ({ page, url }) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await open(page, url);
  const dark = await ground();
  await page.click("#theme");
  const light = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await ground(), light);
  await page.click("#theme");
  assert.equal(await ground(), dark);
  assert.equal(await stored(page, "declaim_theme"), null, "back to following the system");
  await page.emulateMedia({ colorScheme: "light" });
  assert.equal(await ground(), light);
});

test("nothing moves for people who asked for less motion", {
  context: { reducedMotion: "reduce" },
}, async ({ page, url }) => {
  await open(page, url);
  await generate(page, SLOW);
  await waitUntilRunning(page);
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  await page.click("#cancel");
});

test("the text and the settings survive a reload", async ({ page, url }) => {
  await open(page, url);
  await page.fill("#text", "Half a thou");
  await page.locator("#voice-grid input").nth(1).check({ force: true });
  await page.click("#options > summary");
  await page.locator("input[value=flac]").check({ force: true });
  await page.reload();
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
  assert.equal(await page.inputValue("#text"), "Half a thou");
  assert.ok(await page.locator("#voice-grid input").nth(1).isChecked());
  assert.match(await page.textContent("#options-summary"), /FLAC/);
});
