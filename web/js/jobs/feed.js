// What happens to the jobs of this caller, as it happens: one WebSocket for the whole page. Event streams would do too, but each
// takes one of the six connections that a browser has for a server, and a few tabs with a job each would stand still. Nobody
// relies on it: while it is down, and where a proxy lets none through, everything is asked for as before, only more often.

import { backoff } from "../base/loop.js";

/**
 * @param {object} parts
 * @param {() => WebSocket} parts.connect
 * @param {() => void} parts.onLost the line broke; whoever knows that the server answers calls `ensure`
 */
export function createFeed({ connect, onLost, timers = globalThis, random = Math.random }) {
  const listeners = new Set();
  let socket = null;
  let isUp = false;
  let failures = 0;
  let waiting = null;

  function tell(event) {
    for (const listener of listeners) listener(event);
  }

  function lost(which) {
    if (which !== socket) return;
    socket = null;
    const wasUp = isUp;
    isUp = false;
    failures = wasUp ? 1 : failures + 1;
    waiting = timers.setTimeout(() => {
      waiting = null;
      onLost();
    }, backoff(failures, random));
    // Who was told things until now asks for itself again.
    if (wasUp) tell({ event: "lost" });
  }

  return {
    get isUp() {
      return isUp;
    },
    /** Opens the line if there is none. To be called when the server is known to answer. */
    ensure() {
      if (socket !== null || waiting !== null) return;
      const line = connect();
      socket = line;
      line.addEventListener("open", () => line.send(JSON.stringify({ type: "subscribe" })));
      line.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "subscribed") {
          isUp = true;
          failures = 0;
          // What happened before is asked for.
          tell({ event: "found" });
        } else if (message.type === "event") {
          tell(message);
        }
      });
      line.addEventListener("close", () => lost(line));
    },
    /** Calls back for each event: `{event, job_id, …}`; `found` and `lost` when the line comes and goes. */
    listen(callback) {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
  };
}

/** Events that move a job into, within or out of the queue, so that the places of others change. */
export function movesQueue({ event }) {
  return ["found", "queued", "started", "yielded", "interrupted", "retrying", "retried", "completed", "failed", "cancelled"].includes(event);
}
