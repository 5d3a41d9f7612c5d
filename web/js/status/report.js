// How the server is doing, in sentences: what `declaim doctor` looks at, as far as it can be known from outside.

import { bytes, count } from "../base/format.js";
import { t } from "../base/i18n.js";
import { memoryOf } from "../models/models.js";

/**
 * @param {object} known
 * @param {import("../server/server.js").ServerView} known.server
 * @param {object[]} known.voices
 * @param {object|null} known.ready the answer of /readyz; null where it has none
 * @param {string|null} known.notReady why it says no
 * @returns {{grade: "good"|"fair"|"poor", title: string, text: string}[]}
 */
export function report({ server, voices, ready, notReady }) {
  const { info } = server;
  if (!info) return [{ grade: "poor", title: t("fact.server"), text: t(server.kind === "connecting" ? "server.kind-connecting" : "server.unreachable") }];
  const lines = [
    { grade: "good", title: t("fact.server"), text: t("report.answers", { version: info.version ?? "?" }) },
    notReady
      ? { grade: "poor", title: t("report.ready"), text: notReady }
      : { grade: ready ? "good" : "fair", title: t("report.ready"), text: t(ready ? "report.is-ready" : "models.asking") },
    modelLine(server),
    deviceLine(info),
    memoryLine(info),
    voices.length > 0
      ? { grade: "good", title: t("view.voices"), text: t("report.voices", { count: voices.length, clips: voices.filter((voice) => voice.clip).length }) }
      : { grade: "fair", title: t("view.voices"), text: t("speak.voiceless") },
  ];
  if (ready?.jobs) lines.push(queueLine(ready.jobs));
  return lines;
}

function modelLine({ kind, message, info }) {
  const name = info.name ?? info.type ?? "?";
  const title = t("fact.model");
  if (kind === "failed") return { grade: "poor", title, text: t("server.failed", { reason: message }) };
  if (kind === "loading") return { grade: "fair", title, text: t("report.loading", { name }) };
  return { grade: "good", title, text: t(info.loaded ? "report.loaded" : "report.unloaded", { name }) };
}

function deviceLine(info) {
  const title = t("fact.device");
  if (!info.device) return { grade: "fair", title, text: t("report.no-device") };
  const text = info.device_reason ? `${info.device}: ${info.device_reason}` : info.device;
  return { grade: "good", title, text };
}

function memoryLine(info) {
  const { used, budget } = memoryOf(info);
  const megabytes = (number) => bytes(number * 1024 * 1024);
  const text = budget
    ? t("models.memory-of", { used: megabytes(used), budget: megabytes(budget) })
    : t("models.memory", { used: megabytes(used) });
  return { grade: budget && used > 0.9 * budget ? "fair" : "good", title: t("models.in-memory"), text };
}

function queueLine(jobs) {
  const waiting = jobs.queued ?? 0;
  const failed = jobs.failed ?? 0;
  const text = t("report.jobs", { waiting: count(waiting), running: count(jobs.running ?? 0), done: count(jobs.completed ?? 0), failed: count(failed) });
  return { grade: "good", title: t("report.queue"), text };
}

/**
 * How fast finished jobs were made: seconds of audio per second of work, oldest first.
 * @param {object[]} jobs statuses
 */
export function speeds(jobs, most = 40) {
  return jobs
    .filter((job) => job.status === "completed" && job.elapsed_sec > 0 && job.duration_sec > 0)
    .slice(0, most)
    .reverse()
    .map((job) => ({ id: job.job_id, speed: job.duration_sec / job.elapsed_sec }));
}

/** Seconds that jobs waited until somebody began to speak them, oldest first. @param {object[]} jobs statuses */
export function waits(jobs, most = 40) {
  return jobs
    .filter((job) => typeof job.started_at === "number" && typeof job.created_at === "number")
    .slice(0, most)
    .reverse()
    .map((job) => Math.max(0, job.started_at - job.created_at));
}

/** The value in the middle; null of nothing. */
export function median(numbers) {
  if (numbers.length === 0) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
