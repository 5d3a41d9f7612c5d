// One way to ask again and again: a step says how long to wait for the next one. Following a job, watching the server
// and refreshing the list are all this loop, so waiting, waking and stopping behave the same everywhere.

/** Waits between failed attempts, in seconds: quick at first, then calm. The last one repeats. */
const BACKOFF = [1, 2, 3, 5, 10];

/**
 * How long to wait after the `failures`-th failure in a row, in milliseconds. Up to a quarter is taken off at random, so
 * that the tabs of a restarted server do not all knock at once.
 * @param {number} failures from 1
 * @param {() => number} random 0..1
 */
export function backoff(failures, random = Math.random) {
  const seconds = BACKOFF[Math.min(failures, BACKOFF.length) - 1];
  return Math.round(seconds * 1000 * (1 - 0.25 * random()));
}

/**
 * Runs `step` at once, then again after as many milliseconds as it resolved to; null ends the loop. Steps never overlap.
 * @param {(signal: AbortSignal) => Promise<number|null>} step must not reject
 * @returns {{nudge: () => void, stop: () => void}} nudge: now instead of later; stop: never again, and abort
 */
export function repeat(step, timers = globalThis) {
  const aborter = new AbortController();
  let timer = null;
  let running = false;

  async function run() {
    timer = null;
    running = true;
    const wait = await step(aborter.signal);
    running = false;
    if (wait === null) aborter.abort();
    if (!aborter.signal.aborted) timer = timers.setTimeout(run, wait);
  }

  void run();
  return {
    nudge() {
      if (running || aborter.signal.aborted) return;
      timers.clearTimeout(timer);
      void run();
    },
    stop() {
      aborter.abort();
      timers.clearTimeout(timer);
    },
  };
}
