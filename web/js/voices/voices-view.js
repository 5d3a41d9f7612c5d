// The view of voices: all there are, with search and favourites; clips are added, tried, renamed and deleted here.

import { element, say } from "../base/dom.js";
import { languageName } from "../base/format.js";
import { t } from "../base/i18n.js";
import { asked, confirmed, viewHead } from "../base/widgets.js";
import { createAddVoice } from "./add-voice.js";
import { matches, ordered } from "./listing.js";
import { createTrial } from "./trial.js";
import { speakers, voiceCard } from "./voice-card.js";
import { packVoice } from "./voice-file.js";

const MOST_NAME = 80;

export function createVoicesView({ solo, api, store, favourites, root, announce, refreshVoices, onUse }) {
  const alert = element("p", { class: "alert", role: "alert", hidden: true });
  const search = element("input", { type: "search", id: "voices-search", placeholder: t("voices.search"), "aria-label": t("voices.search"), oninput: render });
  const language = element("select", { id: "voices-language", "aria-label": t("speak.language"), onchange: render });
  const only = element("input", { type: "checkbox", id: "voices-favourites", onchange: render });
  const list = element("ul", { class: "cards", id: "voice-list" });
  const empty = element("p", { class: "hint", id: "voices-empty" });
  const trial = createTrial({ api, solo, announce });
  const add = createAddVoice({ send: api.addVoice, announce, onAdded: (voice) => void changed(voice.id) });
  root.append(
    viewHead("title-voices", t("view.voices"), t("voices.lead")),
    add.root,
    element("div", { class: "filters" }, search, language,
      element("label", { class: "check" }, only, element("span", {}, t("voices.only-favourites")))),
    alert, empty, list);

  function render() {
    const { voices } = store.get();
    const codes = [...new Set(voices.map((voice) => voice.language).filter(Boolean))].sort();
    if (language.dataset.codes !== codes.join()) {
      const kept = language.value;
      language.dataset.codes = codes.join();
      language.replaceChildren(element("option", { value: "" }, t("voices.all-languages")),
        ...codes.map((code) => element("option", { value: code }, languageName(code))));
      language.value = codes.includes(kept) ? kept : "";
    }
    const shown = ordered(voices, favourites).filter((voice) =>
      matches(voice, search.value) && (!language.value || voice.language === language.value) && (!only.checked || favourites.has(voice.id)));
    say(empty, shown.length > 0 ? null : t(voices.length === 0 ? "models.asking" : "voices.none"));
    const focus = focused();
    list.replaceChildren(...shown.map(card));
    restore(focus);
  }

  function focused() {
    const item = document.activeElement?.closest("#voice-list > li");
    return item && { id: item.dataset.id, action: document.activeElement.dataset.action };
  }

  function restore(focus) {
    if (!focus) return;
    const item = list.querySelector(`[data-id="${CSS.escape(focus.id)}"]`) ?? list.firstElementChild;
    (item?.querySelector(focus.action ? `[data-action="${focus.action}"], [data-action="un${focus.action}"]` : "button") ?? item?.querySelector("button") ?? search).focus();
  }

  function card(voice) {
    return voiceCard(voice, {
      isFavourite: favourites.has(voice.id),
      onStar: () => favourites.toggle(voice.id),
      onUse: () => onUse({ voice: voice.id, model: modelFor(voice) }),
      onTest: () => trial.hear(voice, modelFor(voice)),
      onPlayClip: () => void attempt(() => trial.play(voice.clip.audio_url)),
      onExport: () => void exportVoice(voice),
      onRename: () => void rename(voice),
      onRemove: () => void remove(voice),
      alert,
    });
  }

  /** The clip and what is known of it, as one file that can be added elsewhere. */
  async function exportVoice(voice) {
    say(alert, null);
    try {
      const address = URL.createObjectURL(packVoice(voice, await api.clip(voice.clip.audio_url)));
      element("a", { href: address, download: `${voice.id}.voice.zip` }).click();
      // The browser has begun to save it by then.
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      say(alert, error.message);
    }
  }

  /** A model that can speak with it; null where the default one can. */
  function modelFor(voice) {
    return voice.usable === false ? (speakers(voice)?.[0] ?? null) : null;
  }

  async function changed(id) {
    await refreshVoices().catch((error) => say(alert, error.message));
    if (!id) return;
    const item = list.querySelector(`[data-id="${CSS.escape(id)}"]`);
    if (!item) return;
    item.querySelector("details").open = true;
    item.scrollIntoView({ block: "nearest" });
  }

  async function rename(voice) {
    const name = await asked(t("voices.rename-question"), { value: voice.name, action: t("voices.rename"), most: MOST_NAME });
    if (name === null || name === voice.name) return;
    await attempt(async () => {
      await api.renameVoice(voice.id, name);
      await changed();
    });
  }

  async function remove(voice) {
    if (!await confirmed(t("voices.delete-question", { name: voice.name }), { action: t("voices.delete") })) return;
    await attempt(async () => {
      await api.removeVoice(voice.id);
      trial.forget(voice);
      await changed();
    });
  }

  async function attempt(deed) {
    say(alert, null);
    try {
      await deed();
    } catch (error) {
      say(alert, error.message);
    }
  }

  store.watch(["voices"], render);
  return {
    favouritesChanged: render,
    show: () => void refreshVoices().catch(() => {}),
    hide() {
      trial.pause();
      add.hide();
    },
  };
}
