// A clock that only moves when a test says so, and storage like a browser's.

/** Timers whose waits can be read and skipped. */
export function fakeTimers() {
  let now = 0;
  let next = 1;
  const due = new Map();
  return {
    setTimeout(callback, wait) {
      due.set(next, { callback, at: now + wait });
      return next++;
    },
    clearTimeout: (id) => due.delete(id),
    /** The waits that are pending, in milliseconds from now. */
    get pending() {
      return [...due.values()].map(({ at }) => at - now);
    },
    /** Lets time pass and everything that follows from it happen. */
    async pass(milliseconds) {
      now += milliseconds;
      for (const [id, { callback, at }] of [...due]) {
        if (at <= now) {
          due.delete(id);
          callback();
        }
      }
      await settle();
    },
  };
}

/** Lets promises that are ready run. */
export function settle() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** localStorage of one browser, and windows that see each other's changes, as tabs do. */
export function fakeBrowser() {
  const data = new Map();
  const tabs = [];
  return {
    data,
    openTab() {
      const listeners = [];
      const tab = {
        addEventListener: (_name, callback) => listeners.push(callback),
        backing: {
          getItem: (key) => data.get(key) ?? null,
          setItem(key, value) {
            data.set(key, String(value));
            tell(tab, key);
          },
          removeItem(key) {
            data.delete(key);
            tell(tab, key);
          },
        },
        hear: (key) => listeners.forEach((callback) => callback({ key })),
      };
      tabs.push(tab);
      return tab;
    },
  };
  function tell(from, key) {
    for (const tab of tabs) if (tab !== from) tab.hear(key);
  }
}
