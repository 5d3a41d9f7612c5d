// The page, put together: its language, its parts, and the ways between its views. Rules live in the parts.

import { createGate } from "./access/gate.js";
import { promptForKey } from "./access/key-prompt.js";
import { createApi } from "./base/api.js";
import { byId } from "./base/dom.js";
import { language, LANGUAGES, pickLanguage, translate, use } from "./base/i18n.js";
import { createRouter } from "./base/router.js";
import { browserStorage } from "./base/storage.js";
import { createStore } from "./base/store.js";
import { startTheme } from "./base/theme.js";
import { createModelsView } from "./models/models-view.js";
import { createHistoryView } from "./history/history-view.js";
import { CONNECTING, watchServer } from "./server/server.js";
import { createStatusBar } from "./server/status-bar.js";
import { createSpeakView } from "./speak/speak-view.js";
import { createStatusView } from "./status/status-view.js";
import { createFavourites } from "./voices/listing.js";
import { createVoicesView } from "./voices/voices-view.js";

const LANGUAGE_KEY = "declaim_language";
const VIEWS = ["speak", "history", "voices", "models", "status"];

const storage = browserStorage();
const chosen = pickLanguage(storage.get(LANGUAGE_KEY), navigator.languages);
use(chosen, (await import(`../i18n/${chosen}.js`)).default, navigator.languages);
document.documentElement.lang = language();
translate(document);

const api = createApi(undefined, createGate(() => promptForKey({ signIn: api.signIn })));
const store = createStore({ server: CONNECTING, voices: [] });
const theme = startTheme({ button: byId("theme"), storage });
const statusBar = createStatusBar({ onRetry: retryNow });
const favourites = createFavourites(storage, () => {
  views.speak.favouritesChanged();
  views.voices.favouritesChanged();
});

function announce(text) {
  byId("announcer").textContent = text;
}

/** What views share. */
const shared = { api, storage, store, favourites, announce, refreshServer: () => watcher.nudge(), refreshVoices };
const views = {
  speak: createSpeakView(shared),
  history: createHistoryView({ ...shared, root: byId("view-history"), onEdit: edit }),
  voices: createVoicesView({ ...shared, root: byId("view-voices"), onUse: edit }),
  models: createModelsView({ ...shared, root: byId("view-models"), onUse: (model) => edit({ model }) }),
  status: createStatusView({ ...shared, root: byId("view-status"), theme, languages: LANGUAGES, chooseLanguage }),
};

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
    for (const view of VIEWS) if (view !== name) views[view].hide?.();
    views[name].show?.(rest);
    if (!byHand) return;
    scrollTo(0, 0);
    // Screen readers begin where the new view does.
    byId(`view-${name}`).querySelector("h2")?.focus();
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
