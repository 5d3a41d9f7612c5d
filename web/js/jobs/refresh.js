// Keeps the list of recent jobs true: every entry is checked once after the page opens (the server may have expired it
// meanwhile), then only those that can still change.

import { backoff, repeat } from "../base/loop.js";
import { isOpen, patchFrom } from "./recent.js";

const OPEN_MS = 3000;
const IDLE_MS = 15_000;

/**
 * @param {object} parts
 * @param {ReturnType<import("./feed.js").createFeed>|null} [parts.feed]
 * @param {() => string|null} parts.followedId the job that is being followed anyway
 */
export function refreshHistory({ history, fetchStatus, followedId, feed = null, timers = globalThis, random = Math.random }) {
  const checked = new Set();
  let failures = 0;

  feed?.listen((event) => {
    const entry = history.entries().find(({ id }) => id === event.job_id);
    if (entry && entry.id !== followedId() && isOpen(entry)) {
      if (event.event === "progress") history.update(entry.id, { progress: event.progress, status: "running" });
      else if (event.event !== "chunk") loop.nudge();
    } else if (event.event === "found" || event.event === "lost") {
      loop.nudge();
    }
  });

  const loop = repeat(async (signal) => {
    const due = history.entries().filter((entry) => entry.id !== followedId() && (isOpen(entry) || !checked.has(entry.id)));
    for (const entry of due) {
      try {
        history.update(entry.id, patchFrom(await fetchStatus(entry.id, signal)));
        failures = 0;
      } catch (error) {
        if (signal.aborted) return null;
        if (error.status !== 404) {
          failures += 1;
          return backoff(failures, random);
        }
        history.update(entry.id, { status: "expired" });
      }
      checked.add(entry.id);
    }
    return due.some(isOpen) && !feed?.isUp ? OPEN_MS : IDLE_MS;
  }, timers);
  return {
    ...loop,
    /** Looks at every entry once more. */
    recheck() {
      checked.clear();
      loop.nudge();
    },
  };
}
