// Models as the page sees them: what can be installed (`/api/models`) joined with what can speak (`/api/model-info`), by name.

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {object|null} listed its entry in `/api/models`; null for the embedded ones
 * @property {object|null} described its entry in `/api/model-info`; null where it cannot speak yet
 * @property {"pulling"|"missing"|"partial"|"damaged"|"failed"|"loading"|"ready"|"unloaded"} kind
 */

/** @returns {Model[]} the ones that can speak first, in the server's order */
export function joined(listed, info) {
  const described = info?.models ?? [];
  const names = [...described.map((model) => model.name), ...listed.map((model) => model.name)];
  return [...new Set(names)].map((name) => {
    const model = {
      name,
      listed: listed.find((one) => one.name === name) ?? null,
      described: described.find((one) => one.name === name) ?? null,
    };
    return { ...model, kind: kindOf(model) };
  });
}

function kindOf({ listed, described }) {
  if (listed && isPulling(listed)) return "pulling";
  if (listed?.state === "damaged") return "damaged";
  if (described) return described.state ?? "unloaded";
  if (listed?.state === "partial") return "partial";
  return listed?.state === "installed" ? "unloaded" : "missing";
}

/** Whether its files are being fetched now. */
export function isPulling(listed) {
  return listed.pull?.state === "running";
}

/** What it takes while it is loaded, in bytes; NaN where that is not known. */
export function memoryNeeded({ listed, described }) {
  return described?.memory_mb ? described.memory_mb * 1024 * 1024 : (listed?.memory_bytes ?? NaN);
}

/** Seconds of audio in a second of work, and whether that was heard or reckoned; null where nobody knows. */
export function speedOf({ listed, described }) {
  if (described?.real_time_factor > 0) return { speed: 1 / described.real_time_factor, measured: true };
  if (listed?.real_time_factor > 0) return { speed: 1 / listed.real_time_factor, measured: listed.real_time_factor_is === "measured" };
  return null;
}

/** The finished share, 0 to 1; null while the size is not known. */
export function pullShare(progress) {
  return progress.bytes_total > 0 ? Math.min(1, progress.bytes_done / progress.bytes_total) : null;
}

/** What the loaded models take, and what they may take; in MB. */
export function memoryOf(info) {
  const loaded = (info?.models ?? []).filter((model) => model.state === "ready");
  return { used: loaded.reduce((sum, model) => sum + (model.memory_mb ?? 0), 0), budget: info?.memory_budget_mb ?? null, loaded };
}
