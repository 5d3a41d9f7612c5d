// The view in which people write and listen: form, output, recent jobs, and what they tell each other.

import { ApiError } from "../base/api.js";
import { byId, say } from "../base/dom.js";
import { roughly } from "../base/format.js";
import { t } from "../base/i18n.js";
import { createCurrentJob } from "../jobs/current-job.js";
import { followJob } from "../jobs/follow.js";
import { advance, isActive, startJob } from "../jobs/job.js";
import { createJobCard } from "../jobs/job-card.js";
import { createPlace } from "../jobs/place.js";
import { createPlayer } from "../jobs/player.js";
import { createHistory, entryFor, patchFrom } from "../jobs/recent.js";
import { createHistoryList } from "../jobs/recent-list.js";
import { refreshHistory } from "../jobs/refresh.js";
import { batchOf } from "../jobs/batches.js";
import { createCompose } from "./compose.js";
import { createCopyMenu } from "./copy-menu.js";
import { createDocumentPanel } from "./document-panel.js";
import { createPresetMenu } from "./preset-menu.js";
import { createPreviewPanel } from "./preview-panel.js";
import { buildRequest, speakingSeconds } from "./request.js";
import { createSending, newKey } from "./sending.js";

const AGO_MS = 30_000;
const LEAVING_MS = 250;
const LETTING_GO_MS = 50;

export function createSpeakView({ api, storage, tabStorage, store, feed, solo, favourites, announce, refreshServer }) {
  const currentJob = createCurrentJob(storage);
  const sending = createSending(storage);
  /** @type {import("../jobs/job.js").JobView|null} */
  let job = null;
  let follower = null;
  /** A book that is on its way to the server. */
  let book = null;
  /** Jobs that somebody sent from this very page: only they may sound by themselves. */
  const sent = new Set();

  const compose = createCompose({ storage, favourites, onSubmit: (request) => void submit(request), onChange: () => preview.changed(), onTry: tryVoice });
  const preview = createPreviewPanel({ preview: api.preview, current: compose.values });
  const place = createPlace(tabStorage);
  const player = createPlayer({
    api,
    feed,
    solo,
    announce,
    place,
    onChange: renderHistory,
    onGone: showGone,
    onKeepSeed(seed) {
      compose.keepSeed(seed);
      announce(t("player.seed-kept", { seed: String(seed) }));
    },
  });
  createPresetMenu({ storage, current: presetNow, model: () => compose.model, onChoose: compose.fillIn });
  createDocumentPanel({ current: compose.values, onInsert: (text) => compose.fillIn({ text }), onSpeak: speakChapter, onBook: speakBook, announce });
  createCopyMenu({ current: compose.request, announce });
  const history = createHistory(storage, renderHistory);
  const jobCard = createJobCard({
    onListen: listen,
    onCancel: () => void cancelCurrent(),
    onAgain: () => void submit(job.params),
    onDismiss: dismiss,
    announce,
  });
  const historyList = createHistoryList({
    onPlay: (entry) => (player.currentId === entry.id ? player.toggle() : play(entry, true)),
    onShow: (entry) => follow(entry.id, { text: entry.text, predefined_voice_id: entry.voice }),
    onCancel: (entry) => void cancelEntry(entry),
    onRemove: remove,
    onClear: history.clear,
    voiceName: compose.voiceName,
  });
  const refresher = refreshHistory({ history, fetchStatus: api.status, followedId: activeId, feed });

  store.watch(["server"], ({ server }) => {
    if (server.kind !== "ready") return;
    compose.setInfo(server.info);
    player.setServer(server.info);
  });
  store.watch(["voices"], ({ voices }) => {
    if (voices.length === 0) return;
    compose.setVoices(voices);
    renderHistory();
  });

  let trial = null;
  /** Fetched when the first voice is tried. */
  async function tryVoice(voice, model) {
    const { createTrial } = await import("../voices/trial.js");
    trial ??= createTrial({ api, solo, announce });
    await trial.hear(voice, model);
  }

  function presetNow() {
    const { text, voice, speed, seed, model, language, parameters } = compose.values();
    return { text, voice, speed, seed, model, language, parameters };
  }

  /** The id of the job that is being followed. */
  function activeId() {
    return isActive(job) ? job.id : null;
  }

  function renderHistory() {
    historyList.render(history.entries(), {
      shownId: activeId() ?? player.currentId,
      playingId: player.playing ? player.currentId : null,
    });
  }

  /** @param {boolean} byHand somebody pressed something, so it may sound */
  async function submit(request, byHand = true) {
    compose.setBusy(true);
    const key = sending.begin(request);
    try {
      const { job_id: id } = await api.enqueue(request, key);
      sending.end(key);
      history.add(entryFor(id, request, Date.now()));
      currentJob.save(id, request);
      follow(id, request);
      if (byHand) sent.add(id);
      // What sounds already is heard to its end first.
      if (byHand && compose.plays && !player.playing) listen();
      byId("output-title").scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error instanceof ApiError) {
        sending.end(key);
      } else {
        // A page that is being left sees its requests fail too; it does not live to tell anybody.
        await new Promise((resolve) => setTimeout(resolve, LEAVING_MS));
        sending.told(key);
      }
      compose.showError(error instanceof ApiError ? error.message : `${error.message} ${t("speak.text-kept")}`);
      refreshServer();
    } finally {
      compose.setBusy(false);
    }
  }

  /** A chapter as a job of its own, with everything else as the form says. */
  async function speakChapter({ text }) {
    const { request, problems } = buildRequest({ ...compose.values(), text });
    if (problems) throw new Error(problems[0].message);
    const key = newKey();
    const { job_id: id } = await api.enqueue(request, key);
    history.add(entryFor(id, request, Date.now()));
    if (!isActive(job)) {
      currentJob.save(id, request);
      follow(id, request);
    }
    refresher.nudge();
  }

  /** Chapters that are spoken one after the other and fetched together. */
  async function speakBook(title, chapters) {
    const { request, problems } = buildRequest({ ...compose.values(), text: chapters[0].text });
    if (problems) throw new Error(problems[0].message);
    // The same press that is repeated after a lost answer is the same book.
    const wish = JSON.stringify([title, chapters, request]);
    if (book?.wish !== wish) book = { wish, key: newKey() };
    await api.addBatch(batchOf(title, chapters, request), book.key);
    book = null;
  }

  function follow(id, params) {
    follower?.stop();
    job = startJob(id, params, Date.now());
    show();
    follower = followJob(id, { fetchStatus: api.status, onEvent, feed });
  }

  function onEvent(event) {
    job = advance(job, event, Date.now());
    if (event.type === "status") history.update(job.id, patchFrom(event.status));
    if (event.type === "progress" && job.phase === "running") history.update(job.id, { progress: job.progress });
    if (event.type === "lost") history.update(job.id, { status: "expired" });
    if (event.type === "retrying") refreshServer();
    if (!isActive(job)) {
      currentJob.release(job.id);
      if (job.phase === "completed") finish();
      else if (player.currentId === job.id) player.unload();
    }
    show();
  }

  /** Hears the followed job while it is spoken. */
  function listen() {
    if (!isActive(job) || job.phase === "cancelling") return;
    const entry = entryFor(job.id, job.params, Date.now());
    const seconds = speakingSeconds(String(job.params.text ?? ""), Number(job.params.speed_factor) || 1);
    player.listen(entry, { voiceName: compose.voiceName(entry.voice), seconds });
    show();
  }

  /** The job's audio goes to the player, unless another one sounds there; and there is no current job any more. */
  function finish() {
    const { id, params, status } = job;
    job = null;
    // It knows better now how fast it speaks.
    refreshServer();
    const entry = { ...entryFor(id, params, Date.now()), ...patchFrom(status) };
    const heard = player.currentId === id;
    if (heard || !player.playing) play(entry, compose.plays && sent.has(id) && !heard, place.of(id));
    announce(t("job.done", { time: roughly(entry.durationSec ?? NaN) }));
  }

  function play(entry, autoplay, seconds = 0) {
    player.load(entry, { voiceName: compose.voiceName(entry.voice), autoplay, seconds });
    show();
  }

  function show() {
    jobCard.render(job, { heard: job !== null && job.id === player.currentId });
    byId("output-empty").hidden = job !== null || player.currentId !== null;
    renderHistory();
  }

  /** The server has no such job, or not for this key. */
  function showGone(id) {
    history.update(id, { status: "expired" });
    player.unload();
    // A job under way is what the card is for.
    if (!isActive(job)) job = advance(startJob(id, {}, Date.now()), { type: "lost" }, Date.now());
    show();
  }

  function dismiss() {
    if (job.phase === "lost") history.remove(job.id);
    job = null;
    show();
    byId("text").focus();
  }

  function remove(entry) {
    if (player.currentId === entry.id) player.unload();
    history.remove(entry.id);
    show();
  }

  async function cancelCurrent() {
    if (!isActive(job) || job.phase === "cancelling") return;
    const { id } = job;
    sent.delete(id);
    const wasHeard = player.currentId === id;
    if (wasHeard) player.unload();
    job = advance(job, { type: "cancelling" }, Date.now());
    show();
    // The stream is let go before the server breaks it off.
    if (wasHeard) await new Promise((resolve) => setTimeout(resolve, LETTING_GO_MS));
    const problem = await cancelOnServer(id);
    if (job?.id !== id) return;
    if (problem && isActive(job)) {
      job = advance(job, { type: "cancel-failed", message: t("job.cancel-failed", { reason: problem }) }, Date.now());
      show();
    }
    follower.nudge();
  }

  async function cancelEntry(entry) {
    if (job?.id === entry.id) {
      await cancelCurrent();
      return;
    }
    const problem = await cancelOnServer(entry.id);
    if (problem) announce(t("job.cancel-failed", { reason: problem }));
    refresher.nudge();
  }

  /** What went wrong, or null. A job that had ended, or is unknown, is not wrong: its next status tells. */
  async function cancelOnServer(id) {
    try {
      await api.cancel(id);
      return null;
    } catch (error) {
      return error.status === 404 || error.status === 409 ? null : error.message;
    }
  }

  if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("shortcut").querySelector("kbd").textContent = "⌘";
  setInterval(renderHistory, AGO_MS);

  return {
    fillIn: compose.fillIn,
    favouritesChanged: compose.refreshVoices,
    voicesFailed: (reason) => say(byId("voice-hint"), t("speak.voices-failed", { reason })),
    onKey(event) {
      const typing = event.target.closest("button, a, input, textarea, select, summary, audio, [role=slider]");
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        compose.submit();
      } else if (event.key === "Escape") {
        void cancelCurrent();
      } else if (event.key === " " && !typing && (player.currentId !== null || isActive(job))) {
        event.preventDefault();
        if (isActive(job) && !player.playing && player.currentId !== job.id) listen();
        else player.toggle();
      }
    },
    nudge() {
      follower?.nudge();
      refresher.nudge();
    },
    /** With another key, other jobs are there. */
    signedIn() {
      player.check();
      refresher.recheck();
    },
    /** Goes on with what a reload interrupted: a job that runs, or a request that was never answered. */
    resume() {
      const resumed = currentJob.load();
      if (resumed) {
        const known = history.entries().some((entry) => entry.id === resumed.id);
        if (!known) history.add(entryFor(resumed.id, resumed.params, Date.now()));
        follow(resumed.id, resumed.params);
      } else {
        const heard = history.entries().find((entry) => entry.id === place.get()?.id && entry.status === "completed");
        if (heard) play(heard, false, place.of(heard.id));
        show();
      }
      const unanswered = sending.left();
      if (unanswered) void submit(unanswered, false);
    },
  };
}
