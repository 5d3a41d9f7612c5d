// A server that asks for keys: the page asks for one, goes on where one was, and administrators make and revoke keys in it.

import assert from "node:assert/strict";

import { OwnServer, test } from "./harness.mjs";
import { generate, QUICK, waitUntilFinished } from "./steps.mjs";

// No key; a key that is no administrator's; what another key has made; and the server stops before the page does.
const REFUSED = /Failed to load resource: the server responded with a status of (401|403|404)|net::ERR_CONNECTION_REFUSED/;

test("the page asks for a key, goes on where one was, and an administrator makes and revokes keys", {
  expectedErrors: REFUSED, ownServer: true,
}, async ({ page, context }) => {
  const server = await OwnServer.start(process.env.DECLAIM_BIN, { keys: true });
  try {
    const admin = server.command("keys", "create", "--name", "admin", "--scope", "admin");
    await page.goto(`${server.url}/#/status`);
    await page.locator("#key-dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    // It closes at the second, and opens again: it cannot be put aside.
    await page.locator("#key-dialog[open]").waitFor();
    await page.fill("#key-input", "dcl_wrong");
    await page.keyboard.press("Enter");
    await page.locator("#key-dialog .alert:not([hidden])").waitFor();
    await page.fill("#key-input", admin);
    await page.keyboard.press("Enter");
    await page.locator("#key-dialog").waitFor({ state: "detached" });
    await page.locator("#own-key", { hasText: "admin" }).waitFor();
    assert.ok(await page.isVisible("#view-status"), "one is where one was");
    const cookies = await context.cookies();
    assert.deepEqual(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]), [[true, "Strict"]]);
    assert.ok(!JSON.stringify([cookies, await page.evaluate(() => ({ ...localStorage }))]).includes(admin), "the key is kept nowhere");

    await page.fill("#key-name", "phone");
    await page.fill("#key-seconds", "3600");
    await page.click("#key-create button");
    await page.locator("#new-key-text").waitFor();
    const phone = await page.inputValue("#new-key-text");
    assert.match(phone, /^dcl_[0-9a-f]{48}$/);
    const row = page.locator("#key-list > li[data-name=phone]");
    assert.match(await row.textContent(), /speech.*0 of 3,600 s of audio today.*never used/);
    const ask = () => fetch(`${server.url}/api/session`, { headers: { authorization: `Bearer ${phone}` } });
    assert.equal((await ask()).status, 200);
    await row.getByRole("button").click();
    await page.locator("dialog button.danger").click();
    await row.waitFor({ state: "detached" });
    assert.equal((await ask()).status, 401);

    // Speech, and what the browser loads by itself: the audio.
    await page.goto(`${server.url}/#/speak`);
    await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
    await generate(page, QUICK);
    await waitUntilFinished(page, QUICK);
    await page.waitForFunction(() => document.querySelector("#audio").duration > 0);

    // The session is taken away; what was being written stays.
    await page.fill("#text", "Half a sentence");
    server.command("keys", "revoke", "admin");
    const next = server.command("keys", "create", "--name", "next", "--scope", "speak");
    // The page notices by itself, since it follows what happens to jobs.
    await page.locator("#key-dialog[open]").waitFor();
    await page.fill("#key-input", next);
    await page.keyboard.press("Enter");
    await page.locator("#key-dialog").waitFor({ state: "detached" });
    // What the old key's owner heard is not this one's to hear, which the page says and clears away.
    await page.locator("#outcome[data-phase=lost]", { hasText: "belongs to another key" }).waitFor();
    await page.locator("#dismiss", { hasText: "Clear" }).click();
    await page.locator("#recent-empty").waitFor();
    assert.ok(await page.isVisible("#output-empty"));
    await page.click("#generate");
    await page.locator("#recent-list li", { hasText: /Half a sentence.*0:0\d/s }).waitFor({ timeout: 60_000 });
    await page.goto(`${server.url}/#/status`);
    await page.locator("#own-key", { hasText: "next" }).waitFor();
    assert.equal(await page.isVisible("#key-list"), false, "it is no administrator");
    await page.locator("#own-key button").click();
    await page.locator("#key-dialog").waitFor();
    // The server stops now: nothing of the page may be on its way to it.
    await page.goto("about:blank");
  } finally {
    await server.stop();
  }
});
