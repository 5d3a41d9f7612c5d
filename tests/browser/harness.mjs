// What the browser tests stand on: a server that can be killed and started again, Chromium, and a list of tests that are
// run one after another, each in a fresh browser profile, and fail on any console error or CSP violation.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { chromium } from "playwright-core";

import { clipFile } from "./clip-file.mjs";

const START_LIMIT_MS = 30_000;
const TEST_LIMIT_MS = 90_000;
/** Slow enough to be watched: 120 characters, one chunk, take about 0.7 seconds. */
const MS_PER_TOKEN = "3";

const registered = [];

/**
 * @param {string} name a sentence
 * @param {object} [options]
 * @param {boolean} [options.ownServer] needs a server that this run started: it kills it, or needs the test model
 * @param {RegExp} [options.expectedErrors] console errors that belong to the test, such as a refused request
 * @param {object} [options.context] of the browser: viewport, colour scheme …
 */
export function test(name, options, body) {
  registered.push(typeof options === "function" ? { name, options: {}, body: options } : { name, options, body });
}

/** `declaim serve` on a free port and a new data directory, with the test model where no other is asked for. */
export class OwnServer {
  #binary;
  #model;
  #keys;
  #data;
  #process = null;
  #port = 0;
  url = "";

  /** @param {{model?: string, keys?: boolean}} [options] keys: it asks for them */
  static async start(binary, { model = "tone", keys = false } = {}) {
    const server = new OwnServer();
    server.#binary = binary;
    server.#model = model;
    server.#keys = keys;
    server.#data = await mkdtemp(join(tmpdir(), "declaim-browser-"));
    await server.start();
    return server;
  }

  /** Starts it again on the same port and data. */
  async start() {
    const args = ["serve", "--model", this.#model, "--port", String(this.#port), "--data", this.#data];
    const child = spawn(this.#binary, args, {
      env: { ...process.env, DECLAIM_TONE_MS_PER_TOKEN: MS_PER_TOKEN, DECLAIM_AUTH__KEYS: this.#keys ? "required" : "off" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    let log = "";
    this.url = await new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`the server did not say where it listens:\n${log}`)), START_LIMIT_MS);
      const read = (bytes) => {
        log += bytes;
        const found = /http:\/\/[\d.]+:(\d+)/.exec(log);
        if (!found) return;
        clearTimeout(limit);
        this.#port = Number(found[1]);
        resolve(`http://127.0.0.1:${found[1]}`);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("error", reject);
      child.once("exit", (code, signal) => reject(new Error(`the server ended (${code ?? signal}):\n${log}`)));
    });
    await waitFor("the server to answer", () => fetch(`${this.url}/healthz`).then((reply) => reply.ok, () => false));
  }

  /** What a command line beside it prints. */
  command(...args) {
    return execFileSync(this.#binary, [...args, "--data", this.#data], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  }

  /** Pulls the plug. */
  async kill() {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async stop() {
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
  }
}

/** Asks `condition` until it is true. */
export async function waitFor(what, condition, limit = START_LIMIT_MS) {
  const end = Date.now() + limit;
  while (Date.now() < end) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${limit / 1000} s for ${what}`);
}

/** Chromium with a microphone that hears a clip over and over. */
export async function launch(executablePath) {
  const heard = join(await mkdtemp(join(tmpdir(), "declaim-microphone-")), "clip.wav");
  await writeFile(heard, clipFile({ seconds: 6 }));
  const browser = await chromium.launch({
    executablePath,
    args: [
      "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
      "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${heard}`,
    ],
  });
  browser.on("disconnected", () => rmSync(dirname(heard), { recursive: true, force: true }));
  return browser;
}

/** Runs all registered tests. @returns {Promise<{passed: number, failed: number, skipped: number}>} */
export async function runAll({ server, url, executablePath, only, shots }) {
  const browser = await launch(executablePath);
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const chosen = registered.filter(({ name }) => name.includes(only ?? ""));
  console.log(`TAP version 13\n1..${chosen.length}`);
  for (const [index, { name, options, body }] of chosen.entries()) {
    const line = `${index + 1} - ${name}`;
    if (options.ownServer && !server) {
      tally.skipped += 1;
      console.log(`ok ${line} # SKIP needs a server of its own (DECLAIM_BIN)`);
      continue;
    }
    const failure = await runOne(browser, { name, options, body, server, url, shots });
    tally[failure ? "failed" : "passed"] += 1;
    console.log(failure ? `not ok ${line}\n  ${failure.replaceAll("\n", "\n  ")}` : `ok ${line}`);
  }
  await browser.close();
  return tally;
}

/** @returns {Promise<string|null>} why it failed */
async function runOne(browser, { name, options, body, server, url, shots }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options.context });
  const problems = [];
  context.on("weberror", (error) => problems.push(`uncaught: ${error.error()}`));
  context.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    if (!options.expectedErrors?.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  let timer;
  try {
    await Promise.race([
      body({ page, context, server, url }),
      new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`longer than ${TEST_LIMIT_MS / 1000} s`)), TEST_LIMIT_MS);
      }),
    ]);
    assert.deepEqual(problems, [], "the page complained");
    return null;
  } catch (error) {
    if (shots) await page.screenshot({ path: join(shots, `failed ${name.replace(/[^\w ]/g, "")}.png`) }).catch(() => {});
    return [error.stack ?? String(error), ...problems].join("\n");
  } finally {
    clearTimeout(timer);
    await context.close();
  }
}
