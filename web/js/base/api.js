// The server as functions. Two ways to fail: it answered with an error (`ApiError`, with the server's own sentence), or
// it did not answer at all (`Unreachable`), which callers retry.

import { t } from "./i18n.js";

/** The server said no. `message` is its `detail`, fit to be shown. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** No answer: the server is down, the network is, or it took too long. */
export class Unreachable extends Error {
  constructor(cause) {
    super(t("server.no-answer"), { cause });
    this.name = "Unreachable";
  }
}

/** The text in an error body: `{"detail": "…"}`, or the list of `{loc, msg}` that FastAPI-like servers send. */
export function detailOf(body, status) {
  const detail = body && typeof body === "object" ? body.detail : null;
  if (typeof detail === "string" && detail.trim()) return detail;
  if (Array.isArray(detail)) {
    const lines = detail.map((item) => {
      const field = Array.isArray(item?.loc) ? item.loc.filter((part) => part !== "body").join(".") : "";
      return [field, item?.msg].filter(Boolean).join(": ");
    });
    if (lines.some(Boolean)) return lines.filter(Boolean).join("; ");
  }
  return t("server.status", { status: String(status) });
}

/** Where the audio of a finished job is; in a format of one's choice where one is named. */
export function resultUrl(jobId, format = "") {
  return `/tts/${encodeURIComponent(jobId)}/result${format ? `?format=${encodeURIComponent(format)}` : ""}`;
}

/** Where its captions are: "srt", "vtt" or "json". */
export function captionsUrl(jobId, format) {
  return `/tts/${encodeURIComponent(jobId)}/captions?format=${format}`;
}

/** The address of a page of jobs, or of their audio as an archive. */
export function jobsAddress(path, { status = "", search = "", favourite = false, cursor = "", limit = 200 } = {}) {
  const asked = new URLSearchParams({ limit: String(limit) });
  if (status) asked.set("status", status);
  if (search.trim()) asked.set("search", search.trim());
  if (favourite) asked.set("favourite", "true");
  if (cursor) asked.set("cursor", cursor);
  return `${path}?${asked}`;
}

/**
 * @param {typeof fetch} [fetchLike]
 * @param {(() => Promise<void>)|null} [keyNeeded] waited for where the server asks for a key; then the request is sent again
 */
export function createApi(fetchLike = (...args) => fetch(...args), keyNeeded = null) {
  /** The parsed answer. */
  async function json(path, options = {}) {
    const { method = "GET", body, form, headers = {}, signal, timeout = 10_000, asks = true } = options;
    const limits = [AbortSignal.timeout(timeout), signal].filter(Boolean);
    let response;
    let parsed = null;
    try {
      response = await fetchLike(path, {
        method,
        headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
        body: body === undefined ? form : JSON.stringify(body),
        signal: AbortSignal.any(limits),
        cache: "no-store",
      });
      const text = await response.text();
      try {
        parsed = JSON.parse(text);
      } catch {
        // A proxy's error page, say. The status tells enough; a success without JSON is handled below.
      }
    } catch (cause) {
      throw new Unreachable(cause);
    }
    if (response.status === 401 && keyNeeded && asks) {
      await keyNeeded();
      signal?.throwIfAborted();
      return json(path, options);
    }
    if (!response.ok) throw new ApiError(response.status, detailOf(parsed, response.status));
    if (parsed === null) throw new ApiError(response.status, t("server.unreadable"));
    return parsed;
  }

  async function sound(path, signal) {
    let response;
    try {
      response = await fetchLike(path, { signal });
    } catch (cause) {
      throw new Unreachable(cause);
    }
    if (!response.ok) {
      throw new ApiError(response.status, detailOf(await response.json().catch(() => null), response.status));
    }
    return response;
  }

  const part = encodeURIComponent;
  /** Reading a few gigabytes takes what it takes. */
  const LONG = 30 * 60_000;
  return {
    modelInfo: (signal) => json("/api/model-info", { signal }),
    voices: (signal) => json("/api/voices", { signal }),
    /** @param {string} [key] the same for the same request, however often it is sent */
    enqueue: (request, key) => json("/tts/enqueue", { method: "POST", body: request, headers: key ? { "Idempotency-Key": key } : {}, timeout: 30_000 }),
    status: (jobId, signal) => json(`/tts/${part(jobId)}/status`, { signal }),
    cancel: (jobId) => json(`/tts/${part(jobId)}`, { method: "DELETE" }),
    preview: (request, signal) => json("/api/preview", { method: "POST", body: request, signal }),

    resumeQueue: () => json("/api/queue/resume", { method: "POST", body: {} }),
    /** What requests mean by default: as it holds now, and as it was saved for the next start. */
    settings: (signal) => json("/api/settings", { signal }),
    saveSettings: (changes) => json("/save_settings", { method: "POST", body: changes }),
    resetSettings: () => json("/reset_settings", { method: "POST", body: {} }),
    session: (signal) => json("/api/session", { signal }),
    signIn: (key) => json("/api/session", { method: "POST", body: { key }, asks: false }),
    signOut: () => json("/api/session", { method: "DELETE", asks: false }),
    keys: (signal) => json("/api/keys", { signal }),
    createKey: (wish) => json("/api/keys", { method: "POST", body: wish }),
    revokeKey: (id) => json(`/api/keys/${part(id)}`, { method: "DELETE" }),

    ready: (signal) => json("/readyz", { signal }),
    /** A page of jobs, newest first, and where the next one begins. @returns {Promise<{jobs: object[], next: string|null}>} */
    async jobs(filter, signal) {
      const page = await json(jobsAddress("/api/jobs", filter), { signal });
      return { jobs: page.jobs, next: page.next_cursor };
    },
    /** Everything about one job; of a finished one also whether its chunks can be spoken again (`can_regenerate`). */
    job: (jobId, signal) => json(`/api/jobs/${part(jobId)}`, { signal }),
    /** Speaks one chunk, counted from 1, with a new seed: as a job, whose end changes the result of this one. */
    redoChunk: (jobId, chunk) => json(`/api/jobs/${part(jobId)}/chunks/${chunk}/regenerate`, { method: "POST", body: {} }),
    /** Texts that were sent together, newest first. */
    batches: (signal) => json("/api/batches", { signal }),
    addBatch: (batch, key) => json("/api/batches", { method: "POST", body: batch, headers: { "Idempotency-Key": key }, timeout: 60_000 }),
    cancelBatch: (id) => json(`/api/batches/${part(id)}`, { method: "DELETE" }),
    retryJob: (jobId) => json(`/api/jobs/${part(jobId)}/retry`, { method: "POST", body: {} }),
    /** As a new job, with a seed of its own. */
    rerunJob: (jobId) => json(`/api/jobs/${part(jobId)}/rerun`, { method: "POST", body: { seed: "new" } }),
    favourJob: (jobId, favourite) => json(`/api/jobs/${part(jobId)}/favourite`, { method: favourite ? "PUT" : "DELETE" }),
    deleteJob: (jobId) => json(`/api/jobs/${part(jobId)}`, { method: "DELETE" }),

    models: (signal) => json("/api/models", { signal }),
    pullModel: (name) => json(`/api/models/${part(name)}/pull`, { method: "POST", body: {} }),
    cancelPull: (name) => json(`/api/models/${part(name)}/pull`, { method: "DELETE" }),
    verifyModel: (name) => json(`/api/models/${part(name)}/verify`, { method: "POST", body: {}, timeout: LONG }),
    removeModel: (name) => json(`/api/models/${part(name)}`, { method: "DELETE", timeout: 60_000 }),
    loadModel: (name) => json(`/api/models/${part(name)}/load`, { method: "POST", body: {} }),
    unloadModel: (name) => json(`/api/models/${part(name)}/unload`, { method: "POST", body: {}, timeout: 60_000 }),

    /** @param {FormData} form with `file`, and `name`, `language`, `consent` where they are known */
    addVoice: (form) => json("/api/voices", { method: "POST", form, timeout: 120_000 }),
    renameVoice: (id, name) => json(`/api/voices/${part(id)}`, { method: "PATCH", body: { name } }),
    removeVoice: (id) => json(`/api/voices/${part(id)}`, { method: "DELETE" }),
    /** The clip of a voice as it was given. */
    clip: async (address, signal) => (await sound(address, signal)).arrayBuffer(),
    /** When each sentence is heard; of a job under way what is known so far. */
    captions: (jobId, signal) => json(captionsUrl(jobId, "json"), { signal }),
    /** The whole audio file, for drawing it. */
    audio: async (jobId, signal) => (await sound(resultUrl(jobId), signal)).arrayBuffer(),
    /** A job from its first word on, as WAV, while it is spoken. Resolves with the first sound. */
    stream: async (jobId, signal) => (await sound(`/tts/${part(jobId)}/stream?format=wav`, signal)).body.getReader(),
  };
}
