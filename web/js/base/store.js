// What the page knows of the server, in one place: a value per name, and whoever shows one is told when it changes.

/** @template {object} State @param {State} initial */
export function createStore(initial) {
  let state = initial;
  const watchers = [];

  return {
    /** @returns {State} */
    get: () => state,
    /** Sets some values; watchers of those that are not the same as before are called once. */
    set(patch) {
      const changed = Object.keys(patch).filter((name) => state[name] !== patch[name]);
      if (changed.length === 0) return;
      state = { ...state, ...patch };
      for (const { names, callback } of watchers) {
        if (names.some((name) => changed.includes(name))) callback(state);
      }
    },
    /** Calls back now, and whenever one of `names` changes. */
    watch(names, callback) {
      watchers.push({ names, callback });
      callback(state);
    },
  };
}
