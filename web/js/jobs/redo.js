// One sentence once more: the piece of the text that holds it is spoken with another seed, as a job of its own; when that has
// ended, the result of the first one has the new take in it.

import { byId } from "../base/dom.js";
import { t } from "../base/i18n.js";
import { followJob } from "./follow.js";

/**
 * @param {object} parts
 * @param {object} parts.api
 * @param {() => import("./captions.js").Line|null} parts.line the sentence that is heard, or was last
 * @param {(id: string, line: import("./captions.js").Line) => void} parts.onDone the result of this job is another one now
 * @param {(text: string|null) => void} parts.onTrouble
 */
export function createRedo({ api, feed, line, onDone, onTrouble, announce }) {
  const button = byId("redo");
  /** The job that is shown, and the one that speaks a piece of it anew. */
  let shownId = null;
  let follower = null;

  function setBusy(isBusy) {
    button.setAttribute("aria-disabled", String(isBusy));
    button.dataset.busy = String(isBusy);
  }

  async function redo() {
    const chosen = line();
    if (!chosen || button.getAttribute("aria-disabled") === "true") return;
    const id = shownId;
    setBusy(true);
    onTrouble(null);
    try {
      const { job_id: takeId } = await api.redoChunk(id, chosen.chunk);
      if (id !== shownId) return;
      announce(t("player.redoing"));
      follower = followJob(takeId, { fetchStatus: api.status, feed, onEvent: (event) => ended(id, chosen, event) });
    } catch (error) {
      setBusy(false);
      onTrouble(error.message);
    }
  }

  function ended(id, chosen, event) {
    if (id !== shownId) return;
    const status = event.type === "lost" ? "lost" : event.status?.status;
    if (!["completed", "failed", "cancelled", "lost"].includes(status)) return;
    setBusy(false);
    if (status !== "completed") {
      onTrouble(t("player.redo-failed", { reason: event.status?.error ?? event.message ?? t(`job.${status}`) }));
      return;
    }
    announce(t("player.redone"));
    onDone(id, chosen);
  }

  button.addEventListener("click", () => void redo());

  return {
    /** Another job is shown; null for none. The button is there where the server can still speak its pieces again. */
    async show(id) {
      if (id !== shownId) {
        follower?.stop();
        follower = null;
        setBusy(false);
        button.hidden = true;
      }
      shownId = id;
      if (id === null) return;
      try {
        const job = await api.job(id);
        if (id === shownId) button.hidden = job.can_regenerate !== true;
      } catch {
        // Servers of before have no such thing.
      }
    },
  };
}
