// The page, put together: its language, its parts, and the ways between its views. Rules live in the parts.

import { createGate } from "./access/gate.js";
import { promptForKey } from "./access/key-prompt.js";
import { createApi } from "./base/api.js";
import { byId } from "./base/dom.js";
import { language, LANGUAGES, pickLanguage, translate, use } from "./base/i18n.js";
import { createRouter } from "./base/router.js";
import { createSolo } from "./base/solo.js";
import { browserStorage, tabStorage } from "./base/storage.js";
import { createStore } from "./base/store.js";
import { startTheme } from "./base/theme.js";
import { createFeed } from "./jobs/feed.js";
import { CONNECTING, watchServer } from "./server/server.js";
import { createStatusBar } from "./server/status-bar.js";
import { createSpeakView } from "./speak/speak-view.js";
import { createFavourites } from "./voices/listing.js";

const LANGUAGE_KEY = "declaim_language";
const VIEWS = ["speak", "history", "voices", "models", "status"];

const storage = browserStorage();
const chosen = pickLanguage(storage.get(LANGUAGE_KEY), navigator.languages);
use(chosen, (await import(`../i18n/${chosen}.js`)).default, navigator.languages);
document.documentElement.lang = language();
translate(document);

const api = createApi(undefined, createGate(async () => {
  await promptForKey({ signIn: api.signIn });
  views.speak.signedIn();
}));
const store = createStore({ server: CONNECTING, voices: [] });
const theme = startTheme({ button: byId("theme"), storage });
const statusBar = createStatusBar({ onRetry: retryNow, onResume: resumeQueue });
const favourites = createFavourites(storage, () => {
  for (const view of Object.values(views)) view.favouritesChanged?.();
});

function announce(text) {
  byId("announcer").textContent = text;
}

/** What happens to jobs. Its line is opened when the server is known to answer. */
const feed = createFeed({
  connect: () => new WebSocket(new URL("/tts/ws", location.href.replace(/^http/, "ws"))),
  onLost: () => watcher.nudge(),
});

/** What views share. */
const shared = { api, feed, solo: createSolo(), storage, tabStorage: tabStorage(), store, favourites, announce, refreshServer: () => watcher.nudge(), refreshVoices };
const views = { speak: createSpeakView(shared) };

/** The other views are fetched when somebody goes there, or shortly after the page can be used. */
const LATER = {
  history: async () => (await import("./history/history-view.js")).createHistoryView({ ...shared, root: byId("view-history"), onEdit: edit }),
  voices: async () => (await import("./voices/voices-view.js")).createVoicesView({ ...shared, root: byId("view-voices"), onUse: edit }),
  models: async () => (await import("./models/models-view.js")).createModelsView({ ...shared, root: byId("view-models"), onUse: (model) => edit({ model }) }),
  status: async () => (await import("./status/status-view.js"))
    .createStatusView({ ...shared, root: byId("view-status"), theme, languages: LANGUAGES, chooseLanguage }),
};
const FETCH_LATER_MS = 1500;
const coming = new Map();

/** Makes a view once; one that could not be fetched is tried again. */
async function made(name) {
  if (views[name]) return views[name];
  if (!coming.has(name)) coming.set(name, LATER[name]());
  try {
    views[name] = await coming.get(name);
    return views[name];
  } finally {
    coming.delete(name);
  }
}

async function showView(name, rest, byHand) {
  let view;
  try {
    view = await made(name);
  } catch {
    // The server is not there, which the banner says. It is shown when it is back.
    return;
  }
  if (router.shown !== name) return;
  view.show?.(rest);
  // Screen readers begin where the new view does.
  if (byHand) byId(`view-${name}`).querySelector("h2")?.focus();
}

/** Takes something to the form: the text of an old job, a voice, a model. */
function edit(from) {
  router.go("speak");
  views.speak.fillIn(from);
}

function chooseLanguage(code) {
  storage.set(LANGUAGE_KEY, code);
  // Texts and jobs survive a reload anyway, so that there is one way to come to a language.
  location.reload();
}

async function refreshVoices() {
  store.set({ voices: await api.voices() });
}

let voicesOf = null;
async function onServer(view) {
  const wasReady = store.get().server.kind === "ready";
  store.set({ server: view });
  statusBar.render(view);
  if (view.info) {
    feed.ensure();
    if (router.shown && !views[router.shown]) void showView(router.shown, "", false);
  }
  if (view.kind !== "ready") return;
  // Other models have other voices.
  const models = JSON.stringify([view.info.name ?? view.info.type, (view.info.models ?? []).map((model) => model.name)]);
  if (wasReady && voicesOf === models) return;
  views.speak.nudge();
  try {
    await refreshVoices();
    voicesOf = models;
  } catch (error) {
    views.speak.voicesFailed(error.message);
  }
}

async function resumeQueue() {
  await api.resumeQueue();
  retryNow();
}

function retryNow() {
  watcher.nudge();
  views.speak.nudge();
}

const router = createRouter({
  views: VIEWS,
  onShow(name, rest, byHand) {
    for (const view of VIEWS) byId(`view-${view}`).hidden = view !== name;
    for (const link of document.querySelectorAll(".nav a")) {
      if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const view of VIEWS) if (view !== name) views[view]?.hide?.();
    if (byHand) scrollTo(0, 0);
    void showView(name, rest, byHand);
  },
});

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented) return;
  if (event.key === "Escape" && (statusBar.close() || closeMenus())) return;
  if (router.shown === "speak") views.speak.onKey(event);
});
document.addEventListener("click", (event) => closeMenus(event.target));

/** Closes open menus but the one that holds `except`; whether there was one. */
function closeMenus(except = null) {
  const open = [...document.querySelectorAll("details.menu[open]")].filter((menu) => !menu.contains(except));
  for (const menu of open) {
    menu.open = false;
    if (except === null) menu.querySelector("summary").focus();
  }
  return open.length > 0;
}

window.addEventListener("online", retryNow);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) retryNow();
});
const watcher = watchServer({ modelInfo: api.modelInfo, onView: (view) => void onServer(view) });
router.start();
views.speak.resume();
setTimeout(() => {
  // What is wanted later is there then, also without the server.
  for (const name of VIEWS) made(name).catch(() => {});
}, FETCH_LATER_MS);
