// The voices as cards. Radio buttons underneath, so arrow keys, labels and form semantics come from the browser.

import { byId, element, icon } from "../base/dom.js";
import { languageName } from "../base/format.js";
import { t } from "../base/i18n.js";
import { workButton } from "../base/widgets.js";
import { matches, ordered } from "../voices/listing.js";

/** From here on a list wants a search. */
const MANY = 8;

/** The line under a voice's name. */
export function voiceFacts({ gender, language }) {
  const known = ["male", "female"].includes(gender) ? t(`voices.${gender}`) : gender;
  const facts = [known, language ? languageName(language) : ""].filter(Boolean).join(", ");
  return facts.charAt(0).toUpperCase() + facts.slice(1);
}

/** The voices that a model can speak with: `model` by name, null for the server's default. */
export function usableVoices(voices, model = null) {
  return voices.filter((voice) => {
    const known = model && voice.models?.find((one) => one.name === model);
    return known ? known.usable : voice.usable !== false;
  });
}

/** Which voice is chosen when the list arrives: the one from before if it is still there, else the server's default. */
export function chooseVoice(voices, wanted) {
  const found = voices.find((voice) => voice.id === wanted) ?? voices.find((voice) => voice.default) ?? voices[0];
  return found?.id ?? null;
}

/**
 * @param {object} parts
 * @param {{has: (id: string) => boolean}} parts.favourites
 * @param {(voice: object) => Promise<void>} parts.onTry lets a voice be heard
 */
export function createVoicePicker({ chosen, favourites, onChange, onTry }) {
  const grid = byId("voice-grid");
  const hint = byId("voice-hint");
  const search = byId("voice-search");
  const attempt = workButton(t("voices.test"), () => onTry(voices.find((voice) => voice.id === value)), { kind: "quiet", alert: byId("form-alert") });
  attempt.id = "voice-try";
  attempt.hidden = true;
  byId("voice-foot").append(attempt);
  let listed = [];
  let model = null;
  /** @type {{id: string, name: string, gender?: string, language?: string, origin?: string, default?: boolean}[]} */
  let voices = [];
  let value = null;
  // Kept while the list is not there yet, so that a setting survives a server that is slow to start.
  let wanted = chosen;

  const nameOf = (id) => listed.find((voice) => voice.id === id)?.name ?? id;

  function choose(id) {
    value = id;
    wanted = id ?? wanted;
    hint.textContent = voices.find((voice) => voice.id === id)?.origin ?? "";
    hint.hidden = !hint.textContent;
    attempt.hidden = id === null;
    attempt.setAttribute("aria-label", `${t("voices.test")}: ${nameOf(id)}`);
  }

  function card(voice) {
    const input = element("input", { type: "radio", name: "voice", value: voice.id, onchange: () => {
      choose(voice.id);
      onChange();
    } });
    input.checked = voice.id === value;
    const name = element("span", { class: "voice-name" }, voice.name || voice.id);
    if (favourites.has(voice.id)) name.append(icon("starred"));
    return element("label", { class: "voice" },
      input,
      element("span", { class: "voice-card" }, name, element("span", { class: "voice-facts" }, voiceFacts(voice))));
  }

  function filter() {
    for (const [index, label] of [...grid.children].entries()) label.hidden = !matches(voices[index], search.value);
  }

  function render() {
    const list = ordered(usableVoices(listed, model), favourites);
    if (JSON.stringify(list) === JSON.stringify(voices) && grid.dataset.favourites === String(favourites.version)) return;
    grid.dataset.favourites = String(favourites.version);
    voices = list;
    choose(chooseVoice(voices, wanted));
    grid.replaceChildren(...voices.map(card));
    search.hidden = voices.length < MANY;
    if (search.hidden) search.value = "";
    filter();
    // In a long list the chosen one may be below the fold. Not scrollIntoView: the page itself must stay put.
    const label = grid.querySelector("label:has(input:checked)");
    if (label && label.offsetTop + label.offsetHeight > grid.clientHeight) grid.scrollTop = label.offsetTop - 8;
    if (voices.length === 0) {
      hint.hidden = false;
      hint.textContent = t("speak.voiceless");
    }
  }

  search.addEventListener("input", (event) => {
    event.stopPropagation();
    filter();
  });

  return {
    get value() {
      return value ?? wanted;
    },
    /** The element to focus when a voice is missing. */
    get control() {
      return grid.querySelector("input:checked") ?? grid.querySelector("input");
    },
    nameOf,
    choose(id) {
      wanted = id;
      voices = [];
      render();
    },
    setVoices(next) {
      listed = next;
      render();
    },
    setModel(name) {
      model = name;
      render();
    },
    refresh: render,
  };
}
