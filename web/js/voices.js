// The voices as cards. Radio buttons underneath, so arrow keys, labels and form semantics come from the browser.

import { byId, element } from "./dom.js";

/** "en-US" → "American English"; codes that nobody knows stay as they are. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** The line under a voice's name. */
export function voiceFacts({ gender, language }) {
  const facts = [gender, language ? languageName(language) : ""].filter(Boolean).join(", ");
  return facts.charAt(0).toUpperCase() + facts.slice(1);
}

/** The voices that the server's default model can speak with; servers that do not tell have no others. */
export function usableVoices(voices) {
  return voices.filter((voice) => voice.usable !== false);
}

/** Which voice is chosen when the list arrives: the one from before if it is still there, else the server's default. */
export function chooseVoice(voices, wanted) {
  const found = voices.find((voice) => voice.id === wanted) ?? voices.find((voice) => voice.default) ?? voices[0];
  return found?.id ?? null;
}

/** @param {{chosen: string|null, onChange: () => void}} parts */
export function createVoicePicker({ chosen, onChange }) {
  const grid = byId("voice-grid");
  const hint = byId("voice-hint");
  /** @type {{id: string, name: string, gender?: string, language?: string, origin?: string, default?: boolean}[]} */
  let voices = [];
  let value = null;
  // Kept while the list is not there yet, so that a setting survives a server that is slow to start.
  let wanted = chosen;

  function choose(id) {
    value = id;
    wanted = id;
    hint.textContent = voices.find((voice) => voice.id === id)?.origin ?? "";
    hint.hidden = !hint.textContent;
  }

  function card(voice) {
    const input = element("input", { type: "radio", name: "voice", value: voice.id, onchange: () => {
      choose(voice.id);
      onChange();
    } });
    input.checked = voice.id === value;
    return element("label", { class: "voice" },
      input,
      element("span", { class: "voice-card" },
        element("span", { class: "voice-name" }, voice.name || voice.id),
        element("span", { class: "voice-facts" }, voiceFacts(voice))));
  }

  return {
    get value() {
      return value ?? wanted;
    },
    /** The element to focus when a voice is missing. */
    get control() {
      return grid.querySelector("input:checked") ?? grid.querySelector("input");
    },
    nameOf: (id) => voices.find((voice) => voice.id === id)?.name ?? id,
    setVoices(listed) {
      const list = usableVoices(listed);
      if (JSON.stringify(list) === JSON.stringify(voices)) return;
      voices = list;
      choose(chooseVoice(voices, wanted));
      grid.replaceChildren(...voices.map(card));
      // In a long list the chosen one may be below the fold. Not scrollIntoView: the page itself must stay put.
      const label = grid.querySelector("label:has(input:checked)");
      if (label && label.offsetTop + label.offsetHeight > grid.clientHeight) grid.scrollTop = label.offsetTop - 8;
      if (voices.length === 0) {
        hint.hidden = false;
        hint.textContent = "This model has no voices.";
      }
    },
  };
}
