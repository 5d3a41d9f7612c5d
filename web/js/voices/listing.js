// Lists of voices as values: searching, ordering, favourites. Favourites belong to this browser.

const KEY = "declaim_favourites";

/** Whether a voice is found by these words: name, id, language, gender, origin, in any order. */
export function matches(voice, search) {
  const hay = [voice.name, voice.id, voice.language, voice.gender, voice.origin].filter(Boolean).join(" ").toLowerCase();
  return search.toLowerCase().split(/\s+/).filter(Boolean).every((word) => hay.includes(word));
}

/** Favourites first; otherwise the server's order. */
export function ordered(voices, favourites) {
  return [...voices].sort((a, b) => Number(favourites.has(b.id)) - Number(favourites.has(a.id)));
}

/** @param {() => void} onChange here or in another tab */
export function createFavourites(storage, onChange) {
  const read = () => {
    const stored = storage.getJson(KEY);
    return Array.isArray(stored) ? stored.filter((id) => typeof id === "string") : [];
  };
  let version = 0;
  const changed = () => {
    version += 1;
    onChange();
  };
  storage.onChange(KEY, changed);
  return {
    /** Changes whenever the favourites do. */
    get version() {
      return version;
    },
    has: (id) => read().includes(id),
    toggle(id) {
      const ids = read();
      storage.setJson(KEY, ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]);
      changed();
    },
  };
}
