// Follows one job to its end. Whatever goes wrong in between (server restarted, laptop asleep, proxy hiccup) is retried
// for as long as the page is open; only the server's 404 means that the job no longer exists.

import { backoff, repeat } from "../base/loop.js";
import { isTerminal } from "./job.js";

/** Short jobs are done in a blink, so the first questions come quickly; then once a second. */
const POLL_MS = [200, 300, 500, 700];
const STEADY_POLL_MS = 1000;

/**
 * Events: `{type: "status", status}`, `{type: "retrying", failures, waitMs, message}`, `{type: "lost", message}`.
 * @param {string} jobId
 * @param {object} parts
 * @param {(id: string, signal: AbortSignal) => Promise<object>} parts.fetchStatus
 * @param {(event: object) => void} parts.onEvent
 */
export function followJob(jobId, { fetchStatus, onEvent, timers = globalThis, random = Math.random }) {
  let answers = 0;
  let failures = 0;

  return repeat(async (signal) => {
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
    onEvent({ type: "status", status });
    if (isTerminal(status.status)) return null;
    answers += 1;
    return POLL_MS[answers - 1] ?? STEADY_POLL_MS;
  }, timers);
}
