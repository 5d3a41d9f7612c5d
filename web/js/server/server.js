// Whether the server can be used, and as what: one loop asks for the model until it is there, and calmly after that.

import { decimal, languageName } from "../base/format.js";
import { t } from "../base/i18n.js";
import { backoff, repeat } from "../base/loop.js";

const LOADING_MS = 1000;
const READY_MS = 30_000;
const FAILED_MS = 10_000;
const HELD_MS = 5000;

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
  if (failed) return { kind: "failed", message: info.error || t("server.see-log"), info };
  return { kind: "loading", message: null, info };
}

/** Whether the queue is held: `paused`, `draining`; null where it is not. */
export function held(view) {
  const queue = view.info?.queue;
  return queue === "paused" || queue === "draining" ? queue : null;
}

/** The sentence for the banner; null when there is nothing to worry about. */
export function bannerText(view) {
  switch (view.kind) {
    case "connecting":
      return null;
    case "ready":
      return held(view) ? t(`server.${held(view)}`) : null;
    case "loading":
      return held(view) ? t(`server.${held(view)}`) : t("server.loading");
    case "failed":
      return t("server.failed", { reason: view.message });
    case "unreachable":
      return t("server.unreachable");
    default:
      throw new Error(`unknown kind ${view.kind}`);
  }
}

/** "pico on CPU (8 threads)" */
export function modelTitle(info) {
  if (!info) return t("server.no-model");
  const name = info.name ?? info.type ?? info.class_name ?? t("fact.model");
  return info.device ? t("server.model-on", { name, device: info.device }) : String(name);
}

/** The rows of the model panel: what is known, in a fixed order. @returns {[string, string][]} */
export function modelFacts(info) {
  if (!info) return [];
  const languages = info.supported_languages ? Object.keys(info.supported_languages).map(languageName).join(", ") : null;
  const rows = [
    [t("fact.model"), info.name ?? info.type],
    [t("fact.device"), info.device],
    [t("fact.device-reason"), info.device_reason],
    [t("fact.sample-rate"), info.sample_rate ? `${decimal(info.sample_rate / 1000, 1)} kHz` : null],
    [t("fact.languages"), languages],
    [t("fact.server"), info.version ? `declaim ${info.version}` : null],
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
        return held(view) ? HELD_MS : READY_MS;
      case "failed":
        return FAILED_MS;
      case "unreachable":
        return backoff(failures, random);
      default:
        return LOADING_MS;
    }
  }, timers);
}
