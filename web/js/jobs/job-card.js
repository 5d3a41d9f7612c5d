// Shows the followed job: its progress while it lasts, and what to do about it when it ends badly. Finished jobs go to
// the player instead.

import { byId, say } from "../base/dom.js";
import { clock, percent, roughly, snippet } from "../base/format.js";
import { t } from "../base/i18n.js";
import { elapsedSeconds, isActive, phaseText, remainingSeconds } from "./job.js";

const TICK_MS = 250;
const SNIPPET_CHARACTERS = 160;

/**
 * @param {object} parts
 * @param {(text: string) => void} parts.announce reads a line out to screen readers
 */
export function createJobCard({ onListen, onCancel, onAgain, onDismiss, announce }) {
  /** @type {import("./job.js").JobView|null} */
  let job = null;
  let announced = "";
  let ticking = null;

  byId("listen").addEventListener("click", onListen);
  byId("cancel").addEventListener("click", onCancel);
  byId("again").addEventListener("click", onAgain);
  byId("dismiss").addEventListener("click", onDismiss);

  function timeText(now) {
    const elapsed = elapsedSeconds(job, now);
    const remaining = remainingSeconds(job, now);
    const priority = job.status?.priority;
    return [
      elapsed === null ? "" : clock(elapsed),
      remaining === null ? "" : t("job.left", { time: roughly(remaining) }),
      priority && priority !== "normal" ? t(`priority.${priority}`) : "",
    ].filter(Boolean).join(" · ");
  }

  function troubleText(now) {
    if (!job.trouble) return job.message;
    const seconds = Math.ceil((job.trouble.retryAt - now) / 1000);
    return seconds > 0 ? t("job.trouble", { seconds }) : t("job.trouble-now");
  }

  function tick() {
    const now = Date.now();
    byId("job-time").textContent = timeText(now);
    say(byId("job-trouble"), troubleText(now));
  }

  function showActive() {
    const phase = phaseText(job);
    byId("job-text").textContent = snippet(String(job.params.text ?? ""), SNIPPET_CHARACTERS);
    byId("job-phase").textContent = phase;
    const started = job.status?.status === "running";
    byId("job-percent").textContent = started ? percent(job.progress / 100) : "";
    byId("job-progress").value = job.progress;
    byId("job").dataset.phase = job.phase;
    byId("cancel").setAttribute("aria-disabled", String(job.phase === "cancelling"));
    document.title = `${started ? percent(job.progress / 100) : t("job.waiting")} · declaim`;
    tick();
    if (phase !== announced) announce(phase);
    announced = phase;
    ticking ??= setInterval(tick, TICK_MS);
  }

  function outcomeText() {
    switch (job?.phase) {
      case "failed":
        return t("job.failed-because", { reason: job.message });
      case "lost":
        return t("job.gone");
      case "cancelled":
        return t("job.was-cancelled");
      default:
        return null;
    }
  }

  return {
    /**
     * @param {import("./job.js").JobView|null} next
     * @param {{heard: boolean}} shown whether it is in the player already
     */
    render(next, { heard }) {
      const focused = byId("job").contains(document.activeElement);
      const wasListening = document.activeElement === byId("listen");
      job = next;
      const active = isActive(job);
      byId("job").hidden = !active;
      // The player shows the text too.
      byId("job-text").hidden = heard;
      byId("listen").hidden = heard || next?.phase === "cancelling";
      if (active) {
        showActive();
      } else {
        clearInterval(ticking);
        ticking = null;
        announced = "";
        document.title = "declaim";
      }
      const outcome = outcomeText();
      byId("outcome").hidden = outcome === null;
      byId("outcome").dataset.phase = job?.phase ?? "";
      say(byId("outcome-alert"), outcome);
      // A job shown from the list has only the beginning of its text here, which must not be spoken as if it were all.
      byId("again").hidden = !job?.params.voice_mode;
      byId("dismiss").textContent = t(job?.phase === "lost" ? "recent.clear" : "output.dismiss");
      // The Cancel button that had the focus is gone: keyboard users go on where they would next.
      if (focused && !active) (outcome ? byId("dismiss") : byId("play")).focus();
      else if (wasListening && heard) byId("play").focus();
    },
  };
}
