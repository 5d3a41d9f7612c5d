// Follows one job to its end. Whatever goes wrong in between (server restarted, laptop asleep, proxy hiccup) is retried
// for as long as the page is open; only the server's 404 means that the job no longer exists. While the feed tells what
// happens, the server is asked when something did; without it, again and again.

import { backoff, repeat } from "../base/loop.js";
import { movesQueue } from "./feed.js";
import { isTerminal } from "./job.js";

/** Short jobs are done in a blink, so the first questions come quickly; then once a second. */
const POLL_MS = [200, 300, 500, 700];
const STEADY_POLL_MS = 1000;
/** Beside the feed: estimates move, and other callers' jobs are told to nobody. */
const BESIDE_FEED_MS = 5000;

/**
 * Events: `{type: "status", status}`, `{type: "progress", progress, chunk}`, `{type: "retrying", failures, waitMs, message}`,
 * `{type: "lost", message}`.
 * @param {string} jobId
 * @param {object} parts
 * @param {(id: string, signal: AbortSignal) => Promise<object>} parts.fetchStatus
 * @param {(event: object) => void} parts.onEvent
 * @param {ReturnType<import("./feed.js").createFeed>|null} [parts.feed]
 */
export function followJob(jobId, { fetchStatus, onEvent, feed = null, timers = globalThis, random = Math.random }) {
  let answers = 0;
  let failures = 0;
  let last = null;

  const leave = feed?.listen((event) => {
    const isOwn = event.job_id === jobId;
    if (isOwn && event.event === "progress") onEvent({ type: "progress", progress: event.progress, chunk: event.current_chunk });
    // A chunk that is done moves the progress, which tells of itself.
    else if ((isOwn && event.event !== "chunk") || event.event === "lost" || (movesQueue(event) && last !== "running")) loop.nudge();
  });

  const loop = repeat(async (signal) => {
    signal.addEventListener("abort", () => leave?.(), { once: true });
    let status;
    try {
      status = await fetchStatus(jobId, signal);
    } catch (error) {
      if (signal.aborted) return null;
      if (error.status === 404) {
        onEvent({ type: "lost", message: error.message });
        return null;
      }
      failures += 1;
      const waitMs = backoff(failures, random);
      onEvent({ type: "retrying", failures, waitMs, message: error.message });
      return waitMs;
    }
    if (signal.aborted) return null;
    failures = 0;
    last = status.status;
    onEvent({ type: "status", status });
    if (isTerminal(status.status)) return null;
    if (feed?.isUp) return BESIDE_FEED_MS;
    answers += 1;
    return POLL_MS[answers - 1] ?? STEADY_POLL_MS;
  }, timers);
  return loop;
}
