// What the form can do beyond text and voice: models and their parameters, presets, preview, documents, programs to copy,
// and a request whose answer is lost.

import assert from "node:assert/strict";
import { deflateRawSync } from "node:zlib";

import { zipFile } from "../../web/tests/zip-file.js";
import { test } from "./harness.mjs";
import { amend, drop, generate, open, QUICK, SLOW, stored, waitUntilFinished } from "./steps.mjs";

const PARAMETERS = [{ name: "temperature", default: 0.8 }, { name: "cfg_weight", default: 0.5 }];

/** The default model obeys PARAMETERS; the other one nothing. */
async function withParameters(page) {
  await amend(page, "**/api/model-info", (info) => ({
    ...info, models: info.models.map((model) => ({ ...model, parameters: model.default ? PARAMETERS : [] })),
  }));
}

test("another model brings its own voices, is named in the request, and is remembered", { ownServer: true }, async ({ page, url }) => {
  await open(page, url);
  await page.selectOption("#model-choice", "tone-low");
  assert.ok(await page.locator("#voice-grid label", { hasText: "Drone" }).count());
  assert.equal(await page.locator("#voice-grid label", { hasText: "Whistle" }).count(), 0);
  assert.equal(await page.isVisible("#tags"), true, "the test model has tags");
  const asked = page.waitForRequest("**/tts/enqueue");
  await generate(page, QUICK);
  const { model, predefined_voice_id: voice } = (await asked).postDataJSON();
  assert.deepEqual([model, voice], ["tone-low", "drone"]);
  await waitUntilFinished(page, QUICK);
  await page.reload();
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
  assert.equal(await page.inputValue("#model-choice"), "tone-low");
  await page.click(".nav a[href='#/voices']");
  await page.getByRole("button", { name: "Use: Whistle" }).click();
  await page.locator("#compose").waitFor();
  assert.equal(await page.inputValue("#model-choice"), "tone", "a voice of the default model brings that back");
  assert.ok(await page.locator("#voice-grid input[value=whistle]").isChecked());
});

test("only what the model obeys has a slider, only what was changed is sent, and Reset takes it back (parameters faked in the browser)", async ({ page, url }) => {
  await withParameters(page);
  await open(page, url);
  await page.click("#options > summary");
  assert.equal(await page.locator("#parameter-grid input").count(), 2);
  assert.equal(await page.inputValue("#parameter-cfg_weight"), "0.5");
  await page.locator("#parameter-temperature").focus();
  await page.keyboard.press("ArrowRight");
  const asked = page.waitForRequest("**/tts/enqueue");
  await generate(page, QUICK);
  const request = (await asked).postDataJSON();
  assert.equal(request.temperature, 0.85);
  assert.ok(!("cfg_weight" in request));
  await page.click("#parameters-reset");
  assert.equal(await page.inputValue("#parameter-temperature"), "0.8");
  assert.equal(await page.isVisible("#parameters-reset"), false);
});

test("a model of several languages asks for one and sends it (languages faked in the browser)", {
  expectedErrors: /Failed to load resource/,
}, async ({ page, url }) => {
  await amend(page, "**/api/model-info", (info) => ({ ...info, models: info.models.map((model) => ({ ...model, languages: ["en", "fr", "de"] })) }));
  await page.route("**/tts/enqueue", (route) => route.fulfill({ status: 422, json: { detail: "language must be en, found fr" } }));
  await open(page, url);
  assert.deepEqual(await page.locator("#language option").allTextContents(), ["English", "French", "German"]);
  await page.selectOption("#language", "fr");
  const asked = page.waitForRequest("**/tts/enqueue");
  await generate(page, QUICK);
  assert.equal((await asked).postDataJSON().language, "fr");
  await page.locator("#language[aria-invalid=true]").waitFor();
});

test("the preview shows the pieces and marks what is read differently, and follows the text", async ({ page, url }) => {
  await open(page, url);
  await page.click("#preview > summary");
  await page.fill("#text", "Dr. Lee paid $12.");
  await page.locator("#preview-chunks mark", { hasText: "twelve dollars" }).waitFor();
  assert.match(await page.textContent("#preview-facts"), /^1 piece · 2 places are read differently/);
  await page.fill("#text", SLOW);
  await page.locator("#preview-chunks li").nth(1).waitFor();
  assert.equal(await page.locator("#preview-chunks mark").count(), 0);
  await page.fill("#text", "");
  await page.waitForFunction(() => /Write something/.test(document.querySelector("#preview-facts").textContent));
});

test("presets fill the form; one's own are saved, survive a reload and can be removed", async ({ page, url }) => {
  await open(page, url);
  await page.click("#presets > summary");
  await page.getByRole("button", { name: "Harbour", exact: true }).click();
  assert.match(await page.inputValue("#text"), /^The tide went out/);
  await page.fill("#text", "My own words.");
  await page.click("#options > summary");
  await page.fill("#seed", "77");
  await page.click("#presets > summary");
  await page.getByLabel("Name of the preset").fill("Mine");
  await page.getByRole("button", { name: "Save current" }).click();
  await page.reload();
  await page.fill("#text", "something else");
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
  await page.click("#presets > summary");
  await page.getByRole("button", { name: "Mine", exact: true }).click();
  assert.equal(await page.inputValue("#text"), "My own words.");
  assert.equal(await page.inputValue("#seed"), "77");
  await page.click("#presets > summary");
  await page.getByRole("button", { name: "Remove this preset: Mine" }).click();
  assert.equal(await page.getByRole("button", { name: "Mine", exact: true }).count(), 0);
  await page.keyboard.press("Escape");
  assert.equal(await page.isVisible("#preset-panel"), false);
});

test("tags are put in at the cursor", { ownServer: true }, async ({ page, url }) => {
  await open(page, url);
  await page.fill("#text", "Well.");
  await page.locator("#text").press("Home");
  await page.locator("#tags button").first().click();
  assert.equal(await page.inputValue("#text"), "[fail] Well.");
});

test("a take's seed is kept for the next one, and the space bar plays", async ({ page, url }) => {
  await open(page, url);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  const [, seed] = /seed (\d+)/.exec(await page.textContent("#player-facts"));
  await page.click("#keep-seed");
  const asked = page.waitForRequest("**/tts/enqueue");
  await page.click("#generate");
  assert.equal((await asked).postDataJSON().seed, Number(seed));
  await waitUntilFinished(page, QUICK);
  await page.locator("#job").waitFor({ state: "hidden" });
  await page.locator("#output-title").click();
  await page.keyboard.press("Space");
  await page.waitForFunction(() => document.querySelector("#audio").currentTime > 0);
  await page.locator("#text").focus();
  await page.keyboard.press("End");
  await page.keyboard.press("Space");
  assert.ok((await page.inputValue("#text")).endsWith(" "), "in the text it is a space");
});

test("the counter estimates the wait once the server has heard the model", async ({ page, url }) => {
  await open(page, url);
  await page.fill("#text", SLOW);
  assert.match(await page.textContent("#counter"), /about \d+ sec/);
  await page.click("#generate");
  await waitUntilFinished(page, SLOW);
  await page.locator("#counter", { hasText: /about \d+ sec, made in \d+ sec$/ }).waitFor();
});

test("the request is copied as a command that the server obeys", { context: { permissions: ["clipboard-read", "clipboard-write"] } }, async ({ page, url }) => {
  await open(page, url);
  await page.fill("#text", "It's copied.");
  await page.click("#copy-as > summary");
  await page.click("[data-copy=curl]");
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(command.startsWith(`curl -sS --fail-with-body ${url}/tts`), command);
  assert.match(command, /It'\\''s copied\./);
  await page.click("#copy-as > summary");
  await page.click("[data-copy=python]");
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /"text": "It's copied\."/);
});

test("a request whose answer was lost is sent again after a reload with the same key, and only until it is answered", {
  expectedErrors: /Failed to load resource/,
}, async ({ page, url }) => {
  const keys = [];
  let lose = true;
  await page.route("**/tts/enqueue", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (!lose) return route.continue();
    // The server never answers, as when the line is cut on the way back.
    return new Promise(() => {});
  });
  await open(page, url);
  await generate(page, QUICK);
  await page.waitForFunction(() => localStorage.getItem("declaim_sending"));
  lose = false;
  await page.reload();
  await waitUntilFinished(page, QUICK);
  assert.equal(keys.length, 2);
  assert.match(keys[0], /^[0-9a-f-]{36}$/);
  assert.equal(keys[1], keys[0]);
  assert.equal(await stored(page, "declaim_sending"), null);
  await generate(page, QUICK);
  await waitUntilFinished(page, QUICK);
  assert.notEqual(keys[2], keys[0], "the same text on purpose is another job");
});

test("a failed send is the user's to repeat: the same text keeps its key, and a reload sends nothing", {
  expectedErrors: /Failed to load resource/,
}, async ({ page, url }) => {
  const keys = [];
  await page.route("**/tts/enqueue", (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    return keys.length === 1 ? route.abort() : route.continue();
  });
  await open(page, url);
  await generate(page, QUICK);
  await page.locator("#form-alert:not([hidden])").waitFor();
  await page.reload();
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
  await page.waitForTimeout(300);
  assert.equal(keys.length, 1);
  await page.click("#generate");
  await waitUntilFinished(page, QUICK);
  assert.equal(keys[1], keys[0]);
});

const CHAPTERS = { one: "It rained all day and nobody came. ".repeat(4), two: "Then the sun rose over the harbour. ".repeat(4) };

function epub() {
  const page = (title, text) => `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title><style>p{}</style></head><body><h1>${title}</h1><p>${text}</p><script>alert(1)</script></body></html>`;
  return Buffer.from(zipFile({
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
    "OPS/book.opf": '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/><item id="a" href="text/a%20b.xhtml" media-type="application/xhtml+xml"/><item id="b" href="text/c.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
    "OPS/nav.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><ol><li><a href="text/a%20b.xhtml#x">The Rain</a></li><li><a href="text/c.xhtml">The Sun</a></li></ol></nav></body></html>',
    "OPS/text/a b.xhtml": page("1", CHAPTERS.one),
    "OPS/text/c.xhtml": page("2", CHAPTERS.two),
  }, deflateRawSync));
}

const dropped = (name, buffer) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(buffer) });

test("an EPUB shows its chapters by their titles; chosen ones go into the text", async ({ page, url }) => {
  await open(page, url);
  await drop(page, "#text-field", dropped("book.epub", epub()));
  await page.locator("#document .chapters li").nth(1).waitFor();
  assert.deepEqual(await page.locator(".chapter-title").allTextContents(), ["The Rain", "The Sun"]);
  await page.locator(".chapters input").first().uncheck();
  assert.match(await page.textContent("#document [role=status]"), /^1 of 2 chosen/);
  await page.getByRole("button", { name: "Put into the text" }).click();
  const text = await page.inputValue("#text");
  assert.ok(text.includes("the sun rose") && !text.includes("rained") && !text.includes("alert"), text);
  assert.equal(await page.isVisible("#document"), false);
});

test("each chapter becomes a job of its own, in order", async ({ page, url }) => {
  const texts = [];
  await page.route("**/tts/enqueue", (route) => {
    texts.push(route.request().postDataJSON().text);
    return route.continue();
  });
  await open(page, url);
  await page.setInputFiles("#file", dropped("book.md", "# Rain\n\nIt rained.\n\n# Sun\n\nIt shone.\n"));
  await page.getByRole("button", { name: "One job per chapter" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#recent-list li[data-status=completed]").length === 2);
  assert.deepEqual(texts, ["Rain.\n\n\nIt rained.", "Sun.\n\n\nIt shone."]);
  assert.match(await page.textContent("#document"), /in the queue/);
});

test("text and HTML are read, other files and broken ones are refused in words", async ({ page, url }) => {
  await open(page, url);
  await page.setInputFiles("#file", dropped("plain.txt", "Just a line."));
  await page.waitForFunction(() => document.querySelector("#text").value === "Just a line.");
  await page.setInputFiles("#file", dropped("page.html", "<title>T</title><style>p{}</style><body style='color:red'><nav>menu</nav><h1>First</h1><p>One<br>two</p><script>bad()</script><h2>Second</h2><p>Three</p>"));
  await page.locator("#document .chapters li").nth(1).waitFor();
  assert.deepEqual(await page.locator(".chapter-title").allTextContents(), ["First", "Second"]);
  await page.setInputFiles("#file", dropped("scan.pdf", "%PDF"));
  await page.locator("#document .alert", { hasText: "scan.pdf cannot be read" }).waitFor();
  await page.setInputFiles("#file", dropped("broken.epub", "PK no"));
  await page.locator("#document .alert", { hasText: "damaged" }).waitFor();
});
