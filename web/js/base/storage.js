// localStorage that never throws: it can be forbidden or full, and the page must work then, only forgetful. Values
// written by other tabs are announced, so that tabs agree instead of overwriting each other.

/** @param {Storage|null} backing */
export function createStorage(backing, events = globalThis) {
  const fallback = new Map();
  const listeners = new Map();

  events.addEventListener?.("storage", (event) => {
    // A null key means that everything was cleared.
    for (const [key, callbacks] of listeners) {
      if (event.key === null || event.key === key) for (const callback of callbacks) callback();
    }
  });

  return {
    /** @returns {string|null} */
    get(key) {
      if (fallback.has(key)) return fallback.get(key);
      try {
        return backing?.getItem(key) ?? null;
      } catch {
        return null;
      }
    },
    /** @param {string|null} value null removes */
    set(key, value) {
      fallback.delete(key);
      try {
        if (!backing) throw new Error("no storage");
        if (value === null) backing.removeItem(key);
        else backing.setItem(key, value);
      } catch {
        fallback.set(key, value);
      }
    },
    /** A value stored as JSON; null for what is absent or was damaged. */
    getJson(key) {
      try {
        return JSON.parse(this.get(key) ?? "null");
      } catch {
        return null;
      }
    },
    setJson(key, value) {
      this.set(key, value === null ? null : JSON.stringify(value));
    },
    /** Calls back when another tab changed `key`. */
    onChange(key, callback) {
      listeners.set(key, [...(listeners.get(key) ?? []), callback]);
    },
  };
}

/** The browser's own storage, or none where reading the property is already forbidden. */
export function browserStorage() {
  return storageOf("localStorage");
}

/** That of this tab alone; it outlives a reload. */
export function tabStorage() {
  return storageOf("sessionStorage");
}

function storageOf(name) {
  try {
    return createStorage(window[name]);
  } catch {
    return createStorage(null);
  }
}
