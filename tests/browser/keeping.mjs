// What the history does with ended jobs: keeping, speaking again, deleting, downloading together. Pages of the list, too.

import assert from "node:assert/strict";

import { test } from "./harness.mjs";
import { openView } from "./steps.mjs";

/** Jobs that are finished when this returns. */
async function spoken(url, texts) {
  let last = null;
  for (const text of texts) {
    const reply = await fetch(`${url}/tts/enqueue`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }) });
    last = (await reply.json()).job_id;
  }
  for (;;) {
    const { status } = await (await fetch(`${url}/tts/${last}/status`)).json();
    if (status === "completed") return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("a finished job is kept as a favourite, spoken again with another seed, and deleted", async ({ page, url }) => {
  await spoken(url, ["Kept for ever.", "Not kept."]);
  await openView(page, url, "history");
  const row = page.locator("#history-list li", { hasText: "Kept for ever" });
  await row.first().locator("[data-action=star]").click();
  await row.locator("[data-action=star][aria-pressed=true]").waitFor();
  await page.locator("#history-favourites").check();
  await page.locator("#history-list li", { hasText: "Not kept" }).waitFor({ state: "detached" });
  assert.equal(await row.count(), 1);
  await page.locator("#history-favourites").uncheck();

  await row.first().locator("[data-action=rerun]").click();
  await row.nth(1).waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll("#history-list li")]
    .filter((item) => item.textContent.includes("Kept for ever") && item.dataset.status === "completed").length === 2);

  await row.first().locator("[data-action=delete]").click();
  await page.locator("dialog .danger").click();
  await page.waitForFunction(() => [...document.querySelectorAll("#history-list li")].filter((item) => item.textContent.includes("Kept for ever")).length === 1);
});

test("a failed job is tried again from its row", { ownServer: true }, async ({ page, url }) => {
  const reply = await fetch(`${url}/tts/enqueue`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text: "Retried. [fail]" }) });
  const { job_id: id } = await reply.json();
  await openView(page, url, "history");
  const row = page.locator(`#history-list li[data-id="${id}"]`);
  await row.and(page.locator("[data-status=failed]")).waitFor({ timeout: 60_000 });
  const asked = page.waitForResponse((answer) => answer.url().endsWith(`/api/jobs/${id}/retry`));
  await row.locator("[data-action=retry]").click();
  assert.ok((await asked).ok());
});

test("the audio of what is shown is downloaded as one archive", async ({ page, url }) => {
  await spoken(url, ["Archived words."]);
  await openView(page, url, "history");
  await page.fill("#history-search", "archived");
  await page.waitForFunction(() => document.querySelector("#history-export").href.includes("search=archived"));
  const download = page.waitForEvent("download");
  await page.click("#history-export");
  assert.match((await download).suggestedFilename(), /\.zip$/);
});

test("older pages come as they are scrolled to", async ({ page, url }) => {
  await spoken(url, Array.from({ length: 230 }, (_, i) => `Page line ${i}.`));
  await openView(page, url, "history");
  await page.locator("#history-count", { hasText: "+" }).waitFor();
  await page.evaluate(() => { document.querySelector("#history-list").scrollTop = 1e6; });
  await page.waitForFunction(() => !document.querySelector("#history-count").textContent.endsWith("+"));
  await page.evaluate(() => { document.querySelector("#history-list").scrollTop = 1e6; });
  assert.ok(Number((await page.textContent("#history-count")).replace(/\D/g, "")) >= 230);
});
