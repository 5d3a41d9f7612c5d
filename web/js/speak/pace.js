// How fast this server speaks with each model, learned from finished jobs: seconds of work per second of audio. From it
// comes the estimate of the wait, which is better than none and says so.

const KEY = "declaim_pace";
/** Weight of the newest job: a machine's pace changes slowly, a single job may be odd. */
const NEWEST = 0.4;

export function learned(old, workSeconds, audioSeconds) {
  if (!(workSeconds > 0) || !(audioSeconds > 0.5)) return old;
  const pace = workSeconds / audioSeconds;
  return typeof old === "number" ? old + NEWEST * (pace - old) : pace;
}

export function createPace(storage) {
  const read = () => {
    const stored = storage.getJson(KEY);
    return stored && typeof stored === "object" && !Array.isArray(stored) ? stored : {};
  };
  return {
    /** A finished job's status. */
    learn(status) {
      const paces = read();
      const name = status.model ?? "";
      const pace = learned(paces[name], status.elapsed_sec, status.duration_sec);
      if (pace !== undefined && pace !== paces[name]) storage.setJson(KEY, { ...paces, [name]: pace });
    },
    /** Seconds of work for so much audio; null while nothing is known. */
    workSeconds(model, audioSeconds) {
      const pace = read()[model];
      return typeof pace === "number" ? pace * audioSeconds : null;
    },
  };
}
