// The page, put together: what the parts tell each other. Rules live in the parts; this file only passes the word on.

import { ApiError, createApi } from "./api.js";
import { createCompose } from "./compose.js";
import { createCurrentJob } from "./current-job.js";
import { byId, say } from "./dom.js";
import { followJob } from "./follow.js";
import { roughly } from "./format.js";
import { createHistory, entryFor, patchFrom } from "./history.js";
import { createHistoryList } from "./history-list.js";
import { advance, isActive, startJob } from "./job.js";
import { createJobCard } from "./job-card.js";
import { createPlayer } from "./player.js";
import { refreshHistory } from "./refresh.js";
import { CONNECTING, watchServer } from "./server.js";
import { createStatusBar } from "./status-bar.js";
import { browserStorage } from "./storage.js";
import { startTheme } from "./theme.js";

const AGO_MS = 30_000;

const api = createApi();
const storage = browserStorage();
const currentJob = createCurrentJob(storage);

/** @type {import("./job.js").JobView|null} */
let job = null;
let follower = null;
let server = CONNECTING;
let voicesOf = null;

startTheme({ button: byId("theme"), storage });
const player = createPlayer({ audioOf: api.audio, onChange: renderHistory });
const compose = createCompose({ storage, onSubmit: (request) => void submit(request) });
const statusBar = createStatusBar({ onRetry: retryNow });
const history = createHistory(storage, renderHistory);
const jobCard = createJobCard({
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

function announce(text) {
  byId("announcer").textContent = text;
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

function renderEmpty() {
  byId("output-empty").hidden = job !== null || player.currentId !== null;
}

async function submit(request) {
  compose.setBusy(true);
  try {
    const { job_id: id } = await api.enqueue(request);
    history.add(entryFor(id, request, Date.now()));
    currentJob.save(id, request);
    follow(id, request);
    byId("output-title").scrollIntoView({ block: "nearest" });
  } catch (error) {
    compose.showError(error instanceof ApiError ? error.message : `${error.message} Your text is still here.`);
    watcher.nudge();
  } finally {
    compose.setBusy(false);
  }
}

function follow(id, params) {
  follower?.stop();
  job = startJob(id, params, Date.now());
  show();
  follower = followJob(id, { fetchStatus: api.status, onEvent });
}

function onEvent(event) {
  job = advance(job, event, Date.now());
  if (event.type === "status") history.update(job.id, patchFrom(event.status));
  if (event.type === "lost") history.update(job.id, { status: "expired" });
  if (event.type === "retrying") watcher.nudge();
  if (!isActive(job)) {
    currentJob.release(job.id);
    if (job.phase === "completed") finish();
  }
  show();
}

/** The job's audio goes to the player, and there is no current job any more. */
function finish() {
  const { id, params, status } = job;
  job = null;
  const entry = { ...entryFor(id, params, Date.now()), ...patchFrom(status) };
  play(entry, compose.plays);
  announce(`Finished: ${roughly(entry.durationSec ?? NaN)} of audio.`);
}

function play(entry, autoplay) {
  player.load(entry, { voiceName: compose.voiceName(entry.voice), autoplay });
  show();
}

function show() {
  jobCard.render(job);
  renderEmpty();
  renderHistory();
}

function dismiss() {
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
  job = advance(job, { type: "cancelling" }, Date.now());
  show();
  const problem = await cancelOnServer(id);
  if (job?.id !== id) return;
  if (problem && isActive(job)) {
    job = advance(job, { type: "cancel-failed", message: `Could not cancel: ${problem}` }, Date.now());
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
  if (problem) announce(`Could not cancel: ${problem}`);
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

async function onServer(view) {
  const wasReady = server.kind === "ready";
  server = view;
  statusBar.render(view);
  if (view.kind !== "ready") return;
  compose.setModel(view.info);
  if (wasReady && voicesOf === modelKey(view.info)) return;
  follower?.nudge();
  refresher.nudge();
  try {
    compose.setVoices(await api.voices());
    voicesOf = modelKey(view.info);
    renderHistory();
  } catch (error) {
    say(byId("voice-hint"), `The voices could not be listed: ${error.message}`);
  }
}

/** Another model has other voices. */
function modelKey(info) {
  return `${info.name ?? info.type} ${info.class_name}`;
}

function retryNow() {
  watcher.nudge();
  follower?.nudge();
  refresher.nudge();
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    compose.submit();
  } else if (event.key === "Escape" && !statusBar.close()) {
    void cancelCurrent();
  }
});
window.addEventListener("online", retryNow);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) retryNow();
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("shortcut").querySelector("kbd").textContent = "⌘";
setInterval(renderHistory, AGO_MS);

const resumed = currentJob.load();
const watcher = watchServer({ modelInfo: api.modelInfo, onView: (view) => void onServer(view) });
const refresher = refreshHistory({ history, fetchStatus: api.status, followedId: activeId });
if (resumed) {
  const known = history.entries().some((entry) => entry.id === resumed.id);
  if (!known) history.add(entryFor(resumed.id, resumed.params, Date.now()));
  follow(resumed.id, resumed.params);
} else {
  show();
}
