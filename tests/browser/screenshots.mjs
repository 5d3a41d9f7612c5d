// Pictures of every view, in both themes, wide and on a phone: `DECLAIM_BIN=… node screenshots.mjs [FOLDER] [LANGUAGE]`.
// The server is its own, with the embedded model, so that the pictures show what people get; voices and jobs are made first.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { launch, OwnServer } from "./harness.mjs";
import { clipFile } from "./clip-file.mjs";

const VIEWS = ["speak", "history", "voices", "models", "status"];
const SIZES = { wide: { width: 1280, height: 860 }, phone: { width: 360, height: 740 } };
/** What is last to come in a view. */
const SHOWN = { models: "#model-list li[data-name=nano]", status: ".plot rect" };
const LINES = [
  "The tide went out before dawn and left the harbour empty, boats leaning like sleepers.",
  "Good morning. The 8:45 train to Lisbon leaves from platform 3 in about ten minutes.",
  "Once there was a lighthouse that was afraid of the dark.",
  "On 3/14/2026, Dr. Lee paid $1,299.50 for 2.5 kg of tea.",
  "Please keep your ticket at hand, and mind the gap between the train and the platform.",
];

const folder = process.argv[2] ?? "screenshots";
const locale = process.argv[3] ?? "en-US";
if (!process.env.DECLAIM_BIN) {
  console.error("set DECLAIM_BIN to the server's binary");
  process.exit(2);
}
await mkdir(folder, { recursive: true });
const server = await OwnServer.start(process.env.DECLAIM_BIN, { model: process.env.DECLAIM_MODEL ?? "pico" });
const browser = await launch(process.env.CHROMIUM ?? "/usr/bin/chromium");
try {
  await furnish(server.url);
  for (const theme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(SIZES)) await pictures(theme, size, viewport);
  }
} finally {
  await browser.close();
  await server.stop();
}

async function pictures(theme, size, viewport) {
  const context = await browser.newContext({ viewport, colorScheme: theme, locale, reducedMotion: "reduce", isMobile: size === "phone", hasTouch: size === "phone", deviceScaleFactor: 1 });
  const page = await context.newPage();
  for (const view of VIEWS) {
    await page.goto(`${server.url}/#/${view}`);
    await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
    if (view === "speak") await speak(page);
    else await page.locator(SHOWN[view] ?? `#view-${view} li`).first().waitFor();
    await page.waitForTimeout(600);
    await page.screenshot({ path: join(folder, `${view}-${size}-${theme}.png`) });
  }
  await context.close();
}

/** The form filled in, its preview open, and a finished job in the player. */
async function speak(page) {
  await page.fill("#text", `${LINES[0]} ${LINES[1]}`);
  await page.click("#preview > summary");
  await page.click("#generate");
  await page.locator("#wave[data-drawn]").waitFor({ timeout: 60_000 });
  // In the middle of its first sentence, silent.
  if (await page.getAttribute("#play", "aria-label") === "Pause") await page.click("#play");
  await page.locator("#wave").click({ position: { x: 90, y: 20 } });
  await page.locator(".sentence[aria-current]").waitFor();
  await page.evaluate(() => scrollTo(0, 0));
}

/** Voices and finished jobs for the pictures to show. */
async function furnish(url) {
  for (const [name, options] of [["Rosa", { seconds: 11 }], ["Telephone", { seconds: 4, gain: 2.5, noise: 0.05 }]]) {
    const form = new FormData();
    form.append("name", name);
    form.append("language", "en");
    form.append("consent", "My own voice");
    form.append("file", new Blob([clipFile(options)]), `${name}.wav`);
    const reply = await fetch(`${url}/api/voices`, { method: "POST", body: form });
    if (!reply.ok) throw new Error(await reply.text());
  }
  let last = null;
  const book = JSON.stringify({ title: "The lighthouse that was afraid of the dark", items: LINES.slice(2) });
  await fetch(`${url}/api/batches`, { method: "POST", headers: { "Content-Type": "application/json" }, body: book });
  for (const text of LINES) {
    const reply = await fetch(`${url}/tts/enqueue`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }) });
    last = (await reply.json()).job_id;
  }
  for (;;) {
    const { status } = await (await fetch(`${url}/tts/${last}/status`)).json();
    if (status === "completed") return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
