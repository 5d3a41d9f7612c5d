// The server as functions. Two ways to fail: it answered with an error (`ApiError`, with the server's own sentence), or
// it did not answer at all (`Unreachable`), which callers retry.

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
    super("The server cannot be reached.", { cause });
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
  return `The server answered with status ${status}.`;
}

/** Where the audio of a finished job is. */
export function resultUrl(jobId) {
  return `/tts/${encodeURIComponent(jobId)}/result`;
}

/** @param {typeof fetch} [fetchLike] */
export function createApi(fetchLike = (...args) => fetch(...args)) {
  async function json(path, { method = "GET", body, signal, timeout = 10_000 } = {}) {
    const limits = [AbortSignal.timeout(timeout), signal].filter(Boolean);
    let response;
    let parsed = null;
    try {
      response = await fetchLike(path, {
        method,
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
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
    if (!response.ok) throw new ApiError(response.status, detailOf(parsed, response.status));
    if (parsed === null) throw new ApiError(response.status, "The server's answer could not be read.");
    return parsed;
  }

  return {
    modelInfo: (signal) => json("/api/model-info", { signal }),
    voices: (signal) => json("/api/voices", { signal }),
    enqueue: (request) => json("/tts/enqueue", { method: "POST", body: request, timeout: 30_000 }),
    status: (jobId, signal) => json(`/tts/${encodeURIComponent(jobId)}/status`, { signal }),
    cancel: (jobId) => json(`/tts/${encodeURIComponent(jobId)}`, { method: "DELETE" }),
    /** The whole audio file, for drawing it. */
    async audio(jobId, signal) {
      let response;
      try {
        response = await fetchLike(resultUrl(jobId), { signal });
      } catch (cause) {
        throw new Unreachable(cause);
      }
      if (!response.ok) {
        throw new ApiError(response.status, detailOf(await response.json().catch(() => null), response.status));
      }
      return response.arrayBuffer();
    },
  };
}
