// A sentence in a voice, to hear whose it is: spoken once, as a job of its own, and heard as often as somebody likes.

import { resultUrl } from "../base/api.js";
import { t } from "../base/i18n.js";
import { followJob } from "../jobs/follow.js";
import { sentenceFor } from "./sentences.js";

export function createTrial({ api, solo, announce }) {
  const audio = new Audio();
  const pause = () => audio.pause();
  audio.addEventListener("play", () => solo.take(pause));
  /** Jobs of the sentences, by voice and model. */
  const spoken = new Map();

  async function play(address) {
    try {
      audio.src = address;
      await audio.play();
    } catch (error) {
      if (error.name !== "AbortError") throw new Error(t("player.lost"));
    }
  }

  async function speak(voice, model) {
    const request = { text: sentenceFor(voice.language), voice_mode: "predefined", predefined_voice_id: voice.id, ...(model ? { model } : {}) };
    const { job_id: id } = await api.enqueue(request);
    announce(t("voices.testing", { name: voice.name }));
    return new Promise((resolve, reject) => {
      followJob(id, { fetchStatus: api.status, onEvent({ type, status, message }) {
        if (type === "lost") reject(new Error(message));
        if (type !== "status") return;
        if (status.status === "completed") resolve(id);
        if (status.status === "failed") reject(new Error(status.error ?? t("job.failed-silently")));
        if (status.status === "cancelled") reject(new Error(t("job.was-cancelled")));
      } });
    });
  }

  return {
    pause,
    /** A voice that is gone: another may come to have its id. */
    forget(voice) {
      for (const key of spoken.keys()) if (JSON.parse(key)[0] === voice.id) spoken.delete(key);
    },
    /** Plays what is at an address, such as a voice's clip. */
    play,
    /** @param {string|null} model that shall speak; null for the default one */
    async hear(voice, model) {
      const key = JSON.stringify([voice.id, model]);
      if (!spoken.has(key)) spoken.set(key, await speak(voice, model));
      await play(resultUrl(spoken.get(key)));
    },
  };
}
