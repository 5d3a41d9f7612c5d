// What the page knows of the job it shows, as a value, and what each event makes of it. No DOM, no clock, no network:
// times are handed in, so every state a job can be in is one test away.

import { t } from "../base/i18n.js";

const TERMINAL = ["completed", "failed", "cancelled"];

/** States that the server never leaves again. */
export function isTerminal(status) {
  return TERMINAL.includes(status);
}

/**
 * @typedef {object} JobView
 * @property {string} id
 * @property {object} params the request, as stored under `tts_job_params`; may be empty
 * @property {"queued"|"running"|"cancelling"|"completed"|"failed"|"cancelled"|"lost"} phase
 * @property {object|null} status the server's last answer
 * @property {number} answeredAt when that was, ms
 * @property {number} progress 0..100, never less than before
 * @property {{failures: number, retryAt: number}|null} trouble set while the server does not answer
 * @property {string|null} message why it ended, for people
 */

/** A job just accepted, or found in storage after a reload. @returns {JobView} */
export function startJob(id, params, now) {
  return {
    id,
    params: params ?? {},
    phase: "queued",
    status: null,
    answeredAt: now,
    progress: 0,
    trouble: null,
    message: null,
  };
}

/** @param {JobView} job @returns {JobView} */
export function advance(job, event, now) {
  switch (event.type) {
    case "status":
      return { ...answered(job, event.status), status: event.status, answeredAt: now, trouble: null };
    case "progress":
      // Told between two answers; of a job that was not running at the last one, the next answer tells all.
      if (job.phase !== "running" || !job.status) return job;
      return { ...job, progress: Math.max(job.progress, Math.min(100, event.progress)), status: { ...job.status, current_chunk: event.chunk } };
    case "retrying":
      return { ...job, trouble: { failures: event.failures, retryAt: now + event.waitMs } };
    case "lost":
      return { ...job, phase: "lost", trouble: null, message: null };
    case "cancelling":
      return { ...job, phase: "cancelling", message: null };
    case "cancel-failed":
      return { ...job, phase: job.status?.status === "running" ? "running" : "queued", message: event.message };
    default:
      throw new Error(`unknown event ${event.type}`);
  }
}

function answered(job, status) {
  const progress = Math.max(job.progress, Math.min(100, Number(status.progress) || 0));
  switch (status.status) {
    case "completed":
      return { ...job, phase: "completed", progress: 100, message: null };
    case "failed":
      return { ...job, phase: "failed", message: status.error || t("job.failed-silently") };
    case "cancelled":
      return { ...job, phase: "cancelled", message: null };
    default:
      // A cancellation under way stays on show until the server confirms it.
      return { ...job, progress, phase: job.phase === "cancelling" ? "cancelling" : runningOrQueued(status.status) };
  }
}

function runningOrQueued(status) {
  return status === "running" ? "running" : "queued";
}

/** Whether the job still needs following. */
export function isActive(job) {
  return job !== null && ["queued", "running", "cancelling"].includes(job.phase);
}

/** Seconds of work so far: the server's count, carried on between its answers. Null before it starts. */
export function elapsedSeconds(job, now) {
  const counted = job.status?.elapsed_sec;
  if (typeof counted !== "number" || job.status.status !== "running") return null;
  return counted + Math.max(0, now - job.answeredAt) / 1000;
}

/** Seconds still to go: the server's estimate, else the pace so far; null while that would be a guess. */
export function remainingSeconds(job, now) {
  const since = Math.max(0, now - job.answeredAt) / 1000;
  const estimate = job.status?.eta_sec;
  if (typeof estimate === "number" && ["queued", "running"].includes(job.phase)) return Math.max(0, estimate - since);
  const elapsed = elapsedSeconds(job, now);
  if (elapsed === null || job.phase !== "running" || job.progress < 8 || elapsed < 2) return null;
  // The pace was measured when the server answered; since then only time has passed.
  const atAnswer = job.status.elapsed_sec;
  const total = (atAnswer * 100) / job.progress;
  return Math.max(0, total - elapsed);
}

/** Which chunk of how many is spoken; null for a job of one piece. */
export function chunkOf(status) {
  const total = status?.total_chunks ?? 0;
  if (total < 2) return null;
  return { chunk: Math.min(Math.max(status.current_chunk ?? 1, 1), total), total };
}

/** What is happening, as a line. @param {JobView} job */
export function phaseText(job) {
  switch (job.phase) {
    case "queued": {
      if (job.status?.waiting_for) return t("job.waiting-for", { reason: job.status.waiting_for });
      const ahead = (job.status?.queue_position ?? 1) - 1;
      return ahead > 0 ? t("job.ahead", { count: ahead }) : t("job.waiting");
    }
    case "running": {
      const chunk = chunkOf(job.status);
      return chunk ? t("job.speaking-chunk", chunk) : t("job.speaking");
    }
    default:
      return t(`job.${job.phase}`);
  }
}
