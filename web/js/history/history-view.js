// The view of all jobs of the server: a live list with search and filters. It is asked for again while it is open, often
// while something is under way, and older jobs come as they are scrolled to.

import { jobsAddress, resultUrl } from "../base/api.js";
import { element, say } from "../base/dom.js";
import { t } from "../base/i18n.js";
import { repeat } from "../base/loop.js";
import { confirmed, viewHead } from "../base/widgets.js";
import { createBatchList } from "./batch-list.js";
import { batchStatus } from "../jobs/batches.js";
import { jobRow, metaOf } from "./job-row.js";
import { extended, isBusy, passes, refreshed } from "./jobs.js";
import { createVirtualList } from "./virtual-list.js";

const BUSY_MS = 1500;
const IDLE_MS = 8000;
const TYPING_MS = 200;
const MINUTE_MS = 60_000;
/** Events come in flocks; the list is asked for once for each. */
const FLOCK_MS = 300;
const STATES = ["", "queued", "running", "completed", "failed", "cancelled"];

export function createHistoryView({ solo, api, store, feed, root, announce, onEdit }) {
  const alert = element("p", { class: "alert", role: "alert", hidden: true });
  const search = element("input", { type: "search", id: "history-search", placeholder: t("history.search"), "aria-label": t("history.search"), oninput: typed });
  const status = element("select", { id: "history-status", "aria-label": t("history.state"), onchange: filter },
    ...STATES.map((name) => element("option", { value: name }, t(name ? `status.${name}` : "history.state-all"))));
  const favourite = element("input", { type: "checkbox", id: "history-favourites", onchange: filter });
  const favourites = element("label", { class: "check" }, favourite, element("span", {}, t("voices.only-favourites")));
  const exporting = element("a", { class: "button small", id: "history-export", download: true, hidden: true }, t("history.export"));
  const found = element("p", { class: "hint", id: "history-count", role: "status" });
  const box = element("div", { class: "card history-box", id: "history-list", tabindex: 0, role: "region", "aria-label": t("view.history") });
  const empty = element("p", { class: "hint history-empty", id: "history-empty" });
  const audio = new Audio();
  const stopAudio = () => audio.pause();
  audio.addEventListener("play", () => solo.take(stopAudio));
  const batchList = createBatchList({
    formats: () => store.get().server.info?.output_formats ?? ["wav", "flac"],
    alert,
    onCancel: async (batch) => {
      await api.cancelBatch(batch.batch_id);
      loop?.nudge();
    },
  });
  let batches = [];
  root.append(viewHead("title-history", t("view.history"), t("history.lead"), exporting),
    element("div", { class: "filters" }, search, status, favourites, found), alert, batchList.root, empty, box);

  let jobs = null;
  let next = null;
  let loop = null;
  let extending = false;
  let playingId = null;
  let typing = null;
  /** The filter that `jobs` was asked for with. */
  let loaded = "";

  const list = createVirtualList({
    box,
    keyOf: (job) => job.job_id,
    // Of what a row says, not of its words: writing those for every row in sight and each frame would be most of the work.
    signatureOf: (job) => [job.status, job.progress, job.favourite, job.queue_position, job.eta_sec, job.waiting_for, job.error, job.duration_sec,
      job.job_id === playingId, store.get().voices.length, Math.floor(Date.now() / MINUTE_MS)].join(),
    makeRow: (job) => jobRow(job, { playing: job.job_id === playingId, meta: metaOf(job, voiceName, Date.now()) }, { play, cancel, edit, retry, rerun, star, remove }),
    onEnd: () => void extend(),
  });

  function voiceName(id) {
    return store.get().voices.find((voice) => voice.id === id)?.name ?? id;
  }

  const wanted = () => ({ status: status.value, search: search.value, favourite: favourite.checked });

  function render() {
    const shown = (jobs ?? []).filter((job) => passes(job, wanted()));
    say(empty, shown.length > 0 ? null : t(jobs === null ? "models.asking" : jobs.length === 0 ? "history.empty" : "history.none"));
    box.hidden = shown.length === 0;
    found.textContent = shown.length > 0 ? t("history.count", { count: shown.length }) + (next ? "+" : "") : "";
    exporting.hidden = !shown.some((job) => job.status === "completed");
    exporting.href = jobsAddress("/api/jobs/export", { ...wanted(), status: "completed", limit: 1000 });
    list.show(shown);
  }

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(filter, TYPING_MS);
  }

  function filter() {
    box.scrollTop = 0;
    render();
    loop?.nudge();
  }

  /** The next, older page. */
  async function extend() {
    if (!next || extending) return;
    extending = true;
    try {
      const asked = JSON.stringify(wanted());
      const page = await api.jobs({ ...wanted(), cursor: next });
      if (asked !== loaded) return;
      jobs = extended(jobs, page.jobs);
      next = page.next;
    } catch (error) {
      say(alert, error.message);
      next = null;
    } finally {
      extending = false;
    }
    render();
  }

  async function play(job) {
    say(alert, null);
    if (playingId === job.job_id && !audio.paused) {
      audio.pause();
      return;
    }
    if (playingId !== job.job_id) audio.src = resultUrl(job.job_id);
    playingId = job.job_id;
    render();
    try {
      await audio.play();
    } catch (error) {
      if (error.name !== "AbortError") {
        say(alert, t("player.lost"));
        stopped();
      }
    }
  }

  function stopped() {
    playingId = null;
    render();
  }

  async function cancel(job) {
    say(alert, null);
    try {
      await api.cancel(job.job_id);
      announce(t("job.was-cancelled"));
    } catch (error) {
      if (error.status !== 404 && error.status !== 409) say(alert, t("job.cancel-failed", { reason: error.message }));
    }
    loop?.nudge();
  }

  /** Does something to a job, and shows what has become of the list. */
  async function change(deed, told) {
    say(alert, null);
    try {
      await deed();
      if (told) announce(told);
    } catch (error) {
      say(alert, error.message);
    }
    loop?.nudge();
  }

  const retry = (job) => void change(() => api.retryJob(job.job_id), t("history.queued"));
  const rerun = (job) => void change(() => api.rerunJob(job.job_id), t("history.queued"));
  const star = (job) => void change(async () => {
    await api.favourJob(job.job_id, !job.favourite);
    jobs = jobs.map((one) => (one === job ? { ...job, favourite: !job.favourite } : one));
    render();
  });

  async function remove(job) {
    if (!await confirmed(t("history.delete-question"), { action: t("history.delete") })) return;
    await change(async () => {
      await api.deleteJob(job.job_id);
      jobs = jobs.filter((one) => one.job_id !== job.job_id);
      render();
    });
  }

  function edit(job) {
    onEdit({ text: job.text ?? "", voice: job.voice, model: job.model, seed: String(job.seed ?? "") });
  }

  let flocking = null;
  feed.listen((event) => {
    if (!loop || jobs === null) return;
    if (event.event === "progress") {
      jobs = jobs.map((job) => (job.job_id === event.job_id && job.status === "running" ? { ...job, progress: event.progress } : job));
      render();
    } else if (event.event !== "chunk" && event.event !== "planned") {
      flocking ??= setTimeout(() => {
        flocking = null;
        loop?.nudge();
      }, FLOCK_MS);
    }
  });

  audio.addEventListener("pause", stopped);
  audio.addEventListener("ended", stopped);
  store.watch(["voices"], render);

  return {
    show() {
      loop ??= repeat(async (signal) => {
        try {
          const asked = JSON.stringify(wanted());
          const page = await api.jobs(wanted(), signal);
          if (signal.aborted) return null;
          const isWhole = page.next === null || asked !== loaded;
          loaded = asked;
          jobs = refreshed(jobs ?? [], page.jobs, isWhole);
          // Where more is known than this page, the older cursor still leads on from the oldest job.
          if (jobs.length === page.jobs.length) next = page.next;
          say(alert, null);
        } catch (error) {
          if (signal.aborted) return null;
          if (jobs === null) say(alert, error.message);
          return IDLE_MS;
        }
        // Servers of before have none.
        batches = await api.batches(signal).catch(() => batches);
        if (signal.aborted) return null;
        batchList.show(batches.filter((batch) => batchStatus(batch).isOpen || batchStatus(batch).hasSound));
        render();
        return isBusy(jobs) && !feed.isUp ? BUSY_MS : IDLE_MS;
      });
    },
    hide() {
      loop?.stop();
      loop = null;
      audio.pause();
    },
  };
}
