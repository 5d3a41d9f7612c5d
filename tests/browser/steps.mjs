// The moves that tests share, named as a user would name them.

const WORK_LIMIT_MS = 60_000;

export const QUICK = "The tide went out before dawn.";
/** Several chunks and a few seconds of work for the test model. */
export const SLOW = "The tide went out before dawn and left the harbour empty, boats leaning like sleepers. ".repeat(6).trim();

/** Opens the page for somebody who wants no sound by itself, and waits until a voice can be chosen. */
export async function open(page, url) {
  await page.addInitScript(() => {
    if (!localStorage.getItem("declaim_settings")) localStorage.setItem("declaim_settings", JSON.stringify({ autoplay: false }));
  });
  await openListening(page, url);
}

/** Opens the page as it comes: what is sent is heard at once. */
export async function openListening(page, url) {
  await page.goto(url);
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
}

export async function generate(page, text) {
  await page.fill("#text", text);
  await page.click("#generate");
}

/** The job is being worked on, a little already. */
export async function waitUntilRunning(page, progress = 5) {
  await page.waitForFunction(
    (least) => !document.querySelector("#job").hidden && document.querySelector("#job-progress").value >= least,
    progress,
    { timeout: WORK_LIMIT_MS },
  );
}

/** The player shows this text, and its waveform is drawn. */
export async function waitUntilFinished(page, text) {
  await page.waitForFunction(
    (beginning) => !document.querySelector("#player").hidden && document.querySelector("#player-text").textContent.startsWith(beginning),
    text.slice(0, 25),
    { timeout: WORK_LIMIT_MS },
  );
  await page.locator("#wave[data-drawn]").waitFor();
}

/** Drops a file on what the selector finds. */
export async function drop(page, selector, { name, mimeType, buffer }) {
  const dropped = await page.evaluateHandle(([named, type, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], named, { type }));
    return data;
  }, [name, mimeType, buffer.toString("base64")]);
  for (const type of ["dragover", "drop"]) await page.dispatchEvent(selector, type, { dataTransfer: dropped });
}

/** What is downloaded after a press. */
export async function fetched(page, press) {
  const started = page.waitForEvent("download");
  await press();
  const download = await started;
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) };
}

export function stored(page, key) {
  return page.evaluate((name) => localStorage.getItem(name), key);
}

/** Answers matching requests with this instead of the server. */
export async function answer(page, pattern, status, body) {
  await page.route(pattern, (route) => route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) }));
}

/** Lets the server answer, and changes what it said. */
export async function amend(page, pattern, change) {
  await page.route(pattern, async (route) => {
    try {
      const reply = await route.fetch();
      await route.fulfill({ response: reply, json: change(await reply.json()) });
    } catch (error) {
      // The test may end, and its page close, while the server answers.
      if (!/disposed|closed/.test(error.message)) throw error;
    }
  });
}

/** Opens a view by its address and waits until the server's voices are known. */
export async function openView(page, url, view) {
  await page.goto(`${url}/#/${view}`);
  await page.locator("#voice-grid input").first().waitFor({ state: "attached" });
}
