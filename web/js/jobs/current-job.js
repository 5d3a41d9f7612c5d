// The job that a reload comes back to, under the two keys that clients of this queue have always used. Several tabs share
// them: the newest job wins, and a tab only ever removes its own.

const ID_KEY = "tts_current_job_id";
const PARAMS_KEY = "tts_job_params";

export function createCurrentJob(storage) {
  return {
    /** @returns {{id: string, params: object}|null} */
    load() {
      const id = storage.get(ID_KEY);
      if (!id) return null;
      const params = storage.getJson(PARAMS_KEY);
      return { id, params: params && typeof params === "object" ? params : {} };
    },
    save(id, params) {
      storage.set(ID_KEY, id);
      storage.setJson(PARAMS_KEY, params);
    },
    /** Called when `id` has ended; leaves a newer job of another tab alone. */
    release(id) {
      if (storage.get(ID_KEY) !== id) return;
      storage.set(ID_KEY, null);
      storage.set(PARAMS_KEY, null);
    },
  };
}
