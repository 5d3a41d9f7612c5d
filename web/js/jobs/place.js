// Where this tab was in what it heard, so that a page that is loaded anew goes on there. Of the tab alone: another one hears
// something else.

const KEY = "declaim_heard";

/** @param {ReturnType<import("../base/storage.js").createStorage>} storage that of the tab */
export function createPlace(storage) {
  const read = () => {
    const stored = storage.getJson(KEY);
    return typeof stored?.id === "string" && Number.isFinite(stored.seconds) && stored.seconds >= 0 ? stored : null;
  };
  return {
    get: read,
    /** @param {{id: string, seconds: number}|null} place */
    set: (place) => storage.setJson(KEY, place),
    /** Seconds into this job; 0 where it is not the one that was heard. */
    of(id) {
      const place = read();
      return place?.id === id ? place.seconds : 0;
    },
  };
}
