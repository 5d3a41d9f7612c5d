// Whether the server can be used, and as what: one loop asks for the model until it is there, and calmly after that.

import { backoff, repeat } from "./loop.js";

const LOADING_MS = 1000;
const READY_MS = 30_000;
const FAILED_MS = 10_000;

/**
 * @typedef {{kind: "connecting"|"loading"|"ready"|"failed"|"unreachable", message: string|null, info: object|null}} ServerView
 */

/** @type {ServerView} */
export const CONNECTING = { kind: "connecting", message: null, info: null };

/** What an answer of `/api/model-info` means. @returns {ServerView} */
export function viewOf(info) {
  // A model that is not in memory comes back with the next request.
  if (info.loaded || info.state === "unloaded") return { kind: "ready", message: null, info };
  const failed = info.state === "failed" || typeof info.error === "string";
  if (failed) return { kind: "failed", message: info.error || "The server's log says why.", info };
  return { kind: "loading", message: null, info };
}

/** The sentence for the banner; null when there is nothing to worry about. */
export function bannerText(view) {
  switch (view.kind) {
    case "connecting":
    case "ready":
      return null;
    case "loading":
      return "The model is loading. You can write meanwhile.";
    case "failed":
      return `The model could not be loaded: ${view.message}`;
    case "unreachable":
      return "The server cannot be reached. Jobs it accepted are safe; this page keeps trying.";
    default:
      throw new Error(`unknown kind ${view.kind}`);
  }
}

/** "pico on CPU (8 threads)" */
export function modelTitle(info) {
  if (!info) return "No model";
  const name = info.name ?? info.type ?? info.class_name ?? "Model";
  return info.device ? `${name} on ${info.device}` : String(name);
}

/** The rows of the model panel: what is known, in a fixed order. @returns {[string, string][]} */
export function modelFacts(info) {
  if (!info) return [];
  const languages = info.supported_languages ? Object.values(info.supported_languages).join(", ") : null;
  const rows = [
    ["Model", info.name ?? info.type],
    ["Device", info.device],
    ["Why this device", info.device_reason],
    ["Sample rate", info.sample_rate ? `${info.sample_rate / 1000} kHz` : null],
    ["Languages", languages],
    ["Server", info.version ? `declaim ${info.version}` : null],
  ];
  return rows.filter(([, value]) => value).map(([name, value]) => [name, String(value)]);
}

/**
 * Watches until the page closes.
 * @param {(view: ServerView) => void} onView called after every attempt
 */
export function watchServer({ modelInfo, onView, timers = globalThis, random = Math.random }) {
  let failures = 0;
  return repeat(async (signal) => {
    let view;
    try {
      view = viewOf(await modelInfo(signal));
      failures = 0;
    } catch (error) {
      if (signal.aborted) return null;
      failures += 1;
      view = { kind: "unreachable", message: error.message, info: null };
    }
    onView(view);
    switch (view.kind) {
      case "ready":
        return READY_MS;
      case "failed":
        return FAILED_MS;
      case "unreachable":
        return backoff(failures, random);
      default:
        return LOADING_MS;
    }
  }, timers);
}
