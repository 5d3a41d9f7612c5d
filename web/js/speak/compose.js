// The form: text, model, voice, options. Knows how to show what is wrong and where; what becomes of a request is not its
// matter.

import { byId, element, say } from "../base/dom.js";
import { characters, count, roughly, speed as speedText } from "../base/format.js";
import { t } from "../base/i18n.js";
import { createModelChooser } from "./model-chooser.js";
import { createParameterPanel, fill } from "./parameter-panel.js";
import { buildRequest, excess, fieldOf, insertTag, optionsSummary, speakingSeconds } from "./request.js";
import { createVoicePicker } from "./voice-picker.js";

const DRAFT_KEY = "declaim_draft";
const SETTINGS_KEY = "declaim_settings";
const DRAFT_PAUSE_MS = 400;
/** From here on the counter also says how much is allowed. */
const NEAR_LIMIT = 0.8;
/** Drafts beyond this stay in the form only: storage is a few megabytes for everything. */
const MAX_DRAFT_CHARACTERS = 500_000;

/**
 * @param {object} parts
 * @param {(request: object) => void} parts.onSubmit
 * @param {() => void} parts.onChange text or model changed
 * @param {(voice: object, model: string|null) => Promise<void>} parts.onTry lets a voice be heard
 */
export function createCompose({ storage, favourites, onSubmit, onChange, onTry }) {
  const form = byId("compose");
  const text = byId("text");
  const speed = byId("speed");
  const seed = byId("seed");
  const autoplay = byId("autoplay");
  const priority = byId("priority");
  const options = byId("options");
  const alert = byId("form-alert");
  const generate = byId("generate");
  let maxCharacters = Infinity;
  let busy = false;
  let draftTimer = null;

  const settings = storage.getJson(SETTINGS_KEY) ?? {};
  let wantedFormat = settings.format ?? "wav";
  const voices = createVoicePicker({ chosen: settings.voice ?? null, favourites, onChange: changed, onTry: (voice) => onTry(voice, models.model) });
  const models = createModelChooser({
    chosen: { model: settings.model ?? null, language: settings.language ?? null },
    onChange: () => {
      modelChanged();
      changed();
    },
  });
  const parameters = createParameterPanel({ chosen: settings.parameters ?? {}, onChange: changed });

  const format = () => form.elements.format?.value || wantedFormat;
  const values = () => ({
    text: text.value,
    voice: voices.value,
    speed: Number(speed.value),
    format: format(),
    seed: seed.value,
    autoplay: autoplay.checked,
    priority: priority.value,
    model: models.model,
    language: models.language,
    parameters: parameters.value,
  });

  function showFormats(names) {
    const shown = names.join();
    if (byId("formats").dataset.shown === shown) return;
    byId("formats").dataset.shown = shown;
    byId("formats").replaceChildren(...names.map((name) => {
      const input = element("input", { type: "radio", name: "format", value: name });
      input.checked = name === (names.includes(wantedFormat) ? wantedFormat : names[0]);
      return element("label", {}, input, element("span", {}, name.toUpperCase()));
    }));
    showOptions();
  }

  function restore() {
    text.value = storage.get(DRAFT_KEY) ?? "";
    if (typeof settings.speed === "number") speed.value = String(settings.speed);
    if (typeof settings.seed === "string") seed.value = settings.seed;
    autoplay.checked = settings.autoplay !== false;
    showFormats(["wav", "flac"]);
  }

  /** "about 12 sec, made in 5 sec" as far as that is known. */
  function estimate() {
    const seconds = speakingSeconds(text.value, Number(speed.value));
    const factor = models.current?.real_time_factor;
    return factor > 0
      ? t("speak.lasts-and-takes", { time: roughly(seconds), work: roughly(seconds * factor) })
      : t("speak.lasts", { time: roughly(seconds) });
  }

  /** Lets the text area grow with its text where the style sheet cannot (`field-sizing`). */
  function grow() {
    if (CSS.supports("field-sizing", "content")) return;
    text.style.blockSize = "auto";
    text.style.blockSize = `${text.scrollHeight + 2}px`;
  }

  function showCounter() {
    grow();
    const length = characters(text.value);
    const over = excess(text.value, maxCharacters);
    const counter = byId("counter");
    counter.dataset.over = String(over > 0);
    text.setAttribute("aria-invalid", String(over > 0));
    if (over > 0) {
      counter.textContent = t("speak.count-of", { now: length, most: maxCharacters });
      say(byId("text-problem"), t("speak.too-long", { count: over }));
      return;
    }
    say(byId("text-problem"), null);
    const counted = length > maxCharacters * NEAR_LIMIT
      ? t("speak.characters-of", { count: length, most: count(maxCharacters) })
      : t("speak.characters", { count: length });
    counter.textContent = length > 0 ? `${counted}, ${estimate()}` : counted;
  }

  function showOptions() {
    byId("speed-value").textContent = speedText(Number(speed.value));
    fill(speed);
    byId("options-summary").textContent = optionsSummary(values());
  }

  function changed() {
    showCounter();
    showOptions();
    wantedFormat = format();
    const { voice, speed: factor, autoplay: plays, model, language, seed: kept } = values();
    storage.setJson(SETTINGS_KEY, { voice, speed: factor, format: wantedFormat, autoplay: plays, model, language, seed: kept, parameters: parameters.all });
    clearTimeout(draftTimer);
    draftTimer = setTimeout(saveDraft, DRAFT_PAUSE_MS);
    onChange();
  }

  function saveDraft() {
    storage.set(DRAFT_KEY, text.value && text.value.length <= MAX_DRAFT_CHARACTERS ? text.value : null);
  }

  /** The control of a field, and the line below it for a problem, where it has one. */
  const controls = () => ({
    text: { control: text, problem: byId("text-problem") },
    seed: { control: seed, problem: byId("seed-problem") },
    speed: { control: speed, problem: null },
    format: { control: byId("formats").querySelector("input"), problem: null },
    priority: { control: priority, problem: null },
    voice: { control: voices.control, problem: null },
    model: { control: byId("model-choice"), problem: null },
    language: { control: byId("language"), problem: null },
    parameters: { control: byId("parameter-grid").querySelector("input"), problem: null },
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
    say(controls()[field].problem ?? alert, noVoices ? t("speak.no-voices") : message);
    return control;
  }

  /** Marks a field as wrong and brings it to light. @returns {HTMLElement|null} its control */
  function mark(field) {
    const control = controls()[field]?.control ?? null;
    if (control && options.contains(control)) options.open = true;
    control?.setAttribute("aria-invalid", "true");
    return control;
  }

  /** The request as the form stands; null, with the problems shown, where it is none. */
  function request() {
    clearProblems();
    const built = buildRequest(values(), { maxCharacters });
    if (!built.problems) return built.request;
    built.problems.map(showProblem)[0]?.focus();
    return null;
  }

  function submit() {
    if (busy) return;
    const built = request();
    if (!built) return;
    saveDraft();
    onSubmit(built);
  }

  function modelChanged() {
    const model = models.current;
    voices.setModel(model?.name ?? null);
    parameters.setModel(model?.parameters ?? []);
    showTags(model?.available_paralinguistic_tags ?? []);
  }

  function showTags(tags) {
    const shown = tags.join();
    if (byId("tags").dataset.shown === shown) return;
    byId("tags").dataset.shown = shown;
    byId("tags").hidden = tags.length === 0;
    byId("tags").replaceChildren(...tags.map((tag) => element("button", { type: "button", class: "tag", onclick: () => {
      const inserted = insertTag(text.value, text.selectionStart, text.selectionEnd, tag);
      text.value = inserted.text;
      text.focus();
      text.setSelectionRange(inserted.cursor, inserted.cursor);
      changed();
    } }, tag)));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("input", (event) => {
    // The other parts tell of their changes themselves, once they know the new value.
    if (!["text", "speed", "seed", "format", "autoplay", "priority"].includes(event.target.name)) return;
    clearProblems();
    changed();
  });
  window.addEventListener("pagehide", saveDraft);

  restore();
  showCounter();
  showOptions();

  return {
    submit,
    request,
    values,
    get plays() {
      return autoplay.checked;
    },
    get model() {
      return models.current;
    },
    voiceName: voices.nameOf,
    setVoices: voices.setVoices,
    refreshVoices: voices.refresh,
    /** Fills in what a preset or an earlier job says; the rest stays. */
    fillIn(from) {
      if (from.model !== undefined || from.language) models.choose(from.model, from.language);
      modelChanged();
      if (typeof from.text === "string") text.value = from.text;
      if (from.voice) voices.choose(from.voice);
      if (typeof from.speed === "number") speed.value = String(from.speed);
      if (typeof from.seed === "string") seed.value = from.seed;
      if (from.parameters) parameters.set(from.parameters);
      clearProblems();
      changed();
      text.focus();
    },
    keepSeed(number) {
      seed.value = String(number);
      changed();
    },
    setBusy(next) {
      busy = next;
      // Not `disabled`, which would throw the focus away.
      generate.setAttribute("aria-disabled", String(busy));
      generate.textContent = t(busy ? "speak.sending" : "speak.generate");
    },
    /** What the server said, beside the buttons; the field it speaks of is marked and opened. */
    showError(message) {
      mark(fieldOf(message));
      say(alert, message);
      alert.scrollIntoView({ block: "nearest" });
    },
    setInfo(info) {
      maxCharacters = info.max_text_chars ?? Infinity;
      showFormats(info.output_formats ?? ["wav", "flac"]);
      // Servers that describe one model only tell its tags beside it.
      models.setInfo(info.models ? { ...info, models: info.models.map((model) =>
        model.default ? { available_paralinguistic_tags: info.available_paralinguistic_tags, ...model } : model) } : info);
      modelChanged();
      showCounter();
    },
  };
}
