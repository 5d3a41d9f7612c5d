// The form: text, voice, options. Knows how to show what is wrong and where; what becomes of a request is not its matter.

import { byId, element, say } from "./dom.js";
import { characters, count, roughly, speed as speedText } from "./format.js";
import { buildRequest, excess, excessText, fieldOf, insertTag, optionsSummary, speakingSeconds } from "./request.js";
import { createVoicePicker } from "./voices.js";

const DRAFT_KEY = "declaim_draft";
const SETTINGS_KEY = "declaim_settings";
const DRAFT_PAUSE_MS = 400;
/** From here on the counter also says how much is allowed. */
const NEAR_LIMIT = 0.8;
/** Drafts beyond this stay in the form only: storage is a few megabytes for everything. */
const MAX_DRAFT_CHARACTERS = 500_000;

/** @param {{storage: object, onSubmit: (request: object) => void}} parts */
export function createCompose({ storage, onSubmit }) {
  const form = byId("compose");
  const text = byId("text");
  const speed = byId("speed");
  const seed = byId("seed");
  const autoplay = byId("autoplay");
  const options = byId("options");
  const alert = byId("form-alert");
  const generate = byId("generate");
  let maxCharacters = Infinity;
  let busy = false;
  let draftTimer = null;

  const settings = storage.getJson(SETTINGS_KEY) ?? {};
  const voices = createVoicePicker({ chosen: settings.voice ?? null, onChange: changed });

  const format = () => form.elements.format.value;
  const values = () => ({
    text: text.value,
    voice: voices.value,
    speed: Number(speed.value),
    format: format(),
    seed: seed.value,
    autoplay: autoplay.checked,
  });

  function restore() {
    text.value = storage.get(DRAFT_KEY) ?? "";
    if (typeof settings.speed === "number") speed.value = String(settings.speed);
    if (settings.format === "flac") form.elements.format.value = "flac";
    autoplay.checked = settings.autoplay === true;
  }

  function showCounter() {
    const length = characters(text.value);
    const over = excess(text.value, maxCharacters);
    const counter = byId("counter");
    counter.dataset.over = String(over > 0);
    text.setAttribute("aria-invalid", String(over > 0));
    if (over > 0) {
      counter.textContent = `${count(length)} of ${count(maxCharacters)}`;
      say(byId("text-problem"), `The text is ${excessText(over)}.`);
      return;
    }
    say(byId("text-problem"), null);
    const limit = length > maxCharacters * NEAR_LIMIT ? ` of ${count(maxCharacters)}` : "";
    const unit = length === 1 ? "character" : "characters";
    const spoken = length > 0 ? `, about ${roughly(speakingSeconds(text.value, Number(speed.value)))}` : "";
    counter.textContent = `${count(length)}${limit} ${unit}${spoken}`;
  }

  function showOptions() {
    byId("speed-value").textContent = speedText(Number(speed.value));
    const filled = (Number(speed.value) - Number(speed.min)) / (Number(speed.max) - Number(speed.min));
    speed.style.setProperty("--fill", `${filled * 100}%`);
    byId("options-summary").textContent = optionsSummary(values());
  }

  function changed() {
    showCounter();
    showOptions();
    const { voice, speed: factor, format: chosenFormat, autoplay: plays } = values();
    storage.setJson(SETTINGS_KEY, { voice, speed: factor, format: chosenFormat, autoplay: plays });
    clearTimeout(draftTimer);
    draftTimer = setTimeout(saveDraft, DRAFT_PAUSE_MS);
  }

  function saveDraft() {
    storage.set(DRAFT_KEY, text.value && text.value.length <= MAX_DRAFT_CHARACTERS ? text.value : null);
  }

  /** The control of a field, and the line below it for a problem, where it has one. */
  const controls = () => ({
    text: { control: text, problem: byId("text-problem") },
    seed: { control: seed, problem: byId("seed-problem") },
    speed: { control: speed, problem: null },
    format: { control: form.elements.format[0], problem: null },
    voice: { control: voices.control, problem: null },
  });

  function clearProblems() {
    say(alert, null);
    for (const { control, problem } of Object.values(controls())) {
      control?.removeAttribute("aria-invalid");
      if (problem) say(problem, null);
    }
    showCounter();
  }

  function showProblem({ field, message }) {
    const control = mark(field);
    const noVoices = field === "voice" && !control;
    say(controls()[field].problem ?? alert, noVoices ? "The voices are not known yet: the server has not answered." : message);
    return control;
  }

  /** Marks a field as wrong and brings it to light. @returns {HTMLElement|null} its control */
  function mark(field) {
    const control = controls()[field]?.control ?? null;
    if (control && options.contains(control)) options.open = true;
    control?.setAttribute("aria-invalid", "true");
    return control;
  }

  function submit() {
    if (busy) return;
    clearProblems();
    const built = buildRequest(values(), { maxCharacters });
    if (built.problems) {
      const first = built.problems.map(showProblem)[0];
      first?.focus();
      return;
    }
    saveDraft();
    onSubmit(built.request);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("input", (event) => {
    // The picker calls `changed` itself, once it knows the new voice.
    if (event.target.name === "voice") return;
    clearProblems();
    changed();
  });
  window.addEventListener("pagehide", saveDraft);

  restore();
  showCounter();
  showOptions();

  return {
    submit,
    get plays() {
      return autoplay.checked;
    },
    voiceName: voices.nameOf,
    setVoices: voices.setVoices,
    setBusy(next) {
      busy = next;
      // Not `disabled`, which would throw the focus away.
      generate.setAttribute("aria-disabled", String(busy));
      generate.textContent = busy ? "Sending…" : "Generate";
    },
    /** What the server said, beside the buttons; the field it speaks of is marked and opened. */
    showError(message) {
      mark(fieldOf(message));
      say(alert, message);
      alert.scrollIntoView({ block: "nearest" });
    },
    setModel(info) {
      maxCharacters = info.max_text_chars ?? Infinity;
      showCounter();
      const tags = info.available_paralinguistic_tags ?? [];
      byId("tags").hidden = tags.length === 0;
      byId("tags").replaceChildren(...tags.map((tag) => element("button", {
        type: "button",
        class: "tag",
        onclick: () => {
          const inserted = insertTag(text.value, text.selectionStart, text.selectionEnd, tag);
          text.value = inserted.text;
          text.focus();
          text.setSelectionRange(inserted.cursor, inserted.cursor);
          changed();
        },
      }, tag)));
    },
  };
}
