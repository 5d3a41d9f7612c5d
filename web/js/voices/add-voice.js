// Adding a voice: a clip that is dropped, chosen or recorded; its shape and length are shown before it is sent, and its
// name, language and a note of consent go with it.

import { element, icon, say } from "../base/dom.js";
import { clock, languageName } from "../base/format.js";
import { t } from "../base/i18n.js";
import { workButton } from "../base/widgets.js";
import { decode, draw, peaks } from "../jobs/waveform.js";
import { record } from "./recorder.js";
import { sentenceFor } from "./sentences.js";
import { isVoiceFile, unpackVoice } from "./voice-file.js";

const SHAPE = 600;
const DECODE_HZ = 16_000;
/** The languages of the model family. */
const LANGUAGES = ["en", "ar", "da", "de", "el", "es", "fi", "fr", "he", "hi", "it", "ja", "ko", "ms", "nl", "no", "pl", "pt", "ru", "sv", "sw", "tr", "zh"];
/** Of a name and of a note; the server's limits. */
const MOST_NAME = 80;
const MOST_NOTE = 500;
/** Bytes of an exported voice that is read. */
const MOST_FILE = 64e6;

/** "My Voice.v2.wav" → "My Voice.v2" */
export function nameFrom(fileName) {
  return fileName.replace(/\.[^.]{1,5}$/, "").replace(/[_]+/g, " ").trim().slice(0, MOST_NAME);
}

/** @param {{send: (form: FormData) => Promise<object>, onAdded: (voice: object) => void, announce: (text: string) => void}} parts */
export function createAddVoice({ send, onAdded, announce }) {
  const alert = element("p", { class: "alert", role: "alert", id: "voice-alert", hidden: true });
  const file = element("input", { type: "file", id: "voice-file", accept: "audio/*,.wav,.flac,.mp3,.ogg,.m4a,.webm,.zip", class: "visually-hidden", tabindex: -1, "aria-label": t("add.choose") });
  const choose = element("button", { type: "button", class: "button small", onclick: () => file.click() }, t("add.choose"));
  const recordButton = element("button", { type: "button", class: "button small", id: "record" }, icon("mic"), t("record.start"));
  const level = element("progress", { max: 100, value: 0, "aria-label": t("record.level"), hidden: true });
  const told = element("p", { class: "hint", role: "status", id: "record-status" }, t("add.advice", { sentence: sentenceFor(document.documentElement.lang) }));
  const drop = element("div", { class: "drop", id: "voice-drop" },
    element("p", {}, t("add.drop")), element("div", { class: "page-tools" }, choose, recordButton, file), level, told);

  const canvas = element("canvas", { "aria-hidden": "true" });
  const facts = element("p", { class: "hint", id: "clip-facts" });
  const listen = element("audio", { controls: true, class: "clip-audio", "aria-label": t("add.listen") });
  const name = element("input", { type: "text", id: "voice-name", maxlength: MOST_NAME, required: true });
  const language = element("select", { id: "voice-language" });
  const consent = element("input", { type: "text", id: "voice-consent", maxlength: MOST_NOTE, placeholder: t("add.consent-example"), "aria-describedby": "consent-hint" });
  const save = workButton(t("add.save"), submit, { kind: "primary", alert });
  const details = element("div", { class: "clip", hidden: true },
    element("div", { class: "clip-wave" }, canvas), facts, listen,
    element("div", { class: "two" },
      field(name, t("add.name")), field(language, t("speak.language")),
      field(consent, t("add.consent"), element("p", { class: "hint", id: "consent-hint" }, t("add.consent-hint")))),
    element("div", { class: "card-tools" }, save, workButton(t("action.cancel"), async () => reset())));
  const root = element("section", { class: "card add-voice", "aria-label": t("add.title") },
    element("h3", { class: "label" }, t("add.title")), drop, alert, details);

  let clip = null;
  let address = null;
  let recording = null;
  let shape = new Float32Array(0);

  function field(control, label, ...more) {
    return element("div", { class: "field" }, element("label", { class: "label", for: control.id }, label), control, ...more);
  }

  function fillLanguages() {
    const named = LANGUAGES.map((code) => [code, languageName(code)]).sort((a, b) => a[1].localeCompare(b[1]));
    language.replaceChildren(...named.map(([code, text]) => element("option", { value: code }, text)));
    const own = document.documentElement.lang;
    language.value = LANGUAGES.includes(own) ? own : "en";
  }

  function reset() {
    clip = null;
    if (address) URL.revokeObjectURL(address);
    address = null;
    listen.removeAttribute("src");
    details.hidden = true;
    file.value = "";
    say(alert, null);
    choose.focus();
  }

  /** A clip, or a voice that was exported: then what is known of it is filled in. */
  async function takeFile(chosen) {
    if (!isVoiceFile(chosen.name)) {
      await take(chosen, chosen.name);
      return;
    }
    // A server takes smaller clips than this.
    const voice = chosen.size < MOST_FILE ? await unpackVoice(await chosen.arrayBuffer()) : null;
    if (!voice) {
      say(alert, t("add.no-voice-file", { name: chosen.name }));
      return;
    }
    await take(new Blob([voice.clip]), voice.file);
    name.value = voice.name.slice(0, MOST_NAME) || nameFrom(voice.file);
    if (LANGUAGES.includes(voice.language)) language.value = voice.language;
    consent.value = (voice.consent ?? "").slice(0, MOST_NOTE);
  }

  async function take(blob, fileName) {
    say(alert, null);
    if (address) URL.revokeObjectURL(address);
    clip = { blob, fileName };
    address = URL.createObjectURL(blob);
    listen.src = address;
    details.hidden = false;
    name.value = nameFrom(fileName);
    shape = new Float32Array(0);
    facts.textContent = fileName;
    name.focus();
    name.select();
    try {
      const samples = await decode(await blob.arrayBuffer());
      if (clip?.blob !== blob) return;
      shape = peaks(samples, SHAPE);
      facts.textContent = `${fileName} · ${clock(samples.length / DECODE_HZ)}`;
    } catch {
      // The browser cannot draw every format that the server reads.
      facts.textContent = `${fileName} · ${t("add.not-drawn")}`;
    }
    draw(canvas, shape, 0);
  }

  async function toggleRecording() {
    say(alert, null);
    if (recording) {
      const { stop } = recording;
      recording = null;
      recordButton.replaceChildren(icon("mic"), t("record.start"));
      level.hidden = true;
      told.textContent = t("record.done");
      const blob = await stop();
      await take(blob, `${t("record.name")}.wav`);
      return;
    }
    try {
      recording = await record(({ seconds, level: loudest }) => {
        level.value = Math.round(loudest * 100);
        told.textContent = `${clock(seconds)} · ${t("add.advice", { sentence: sentenceFor(document.documentElement.lang) })}`;
      }, () => void toggleRecording());
      recordButton.replaceChildren(icon("stop"), t("record.stop"));
      level.hidden = false;
    } catch (error) {
      say(alert, error.message);
    }
  }

  async function submit() {
    if (!clip) return;
    if (!name.value.trim()) {
      name.focus();
      throw new Error(t("add.no-name"));
    }
    const form = new FormData();
    form.append("name", name.value.trim());
    form.append("language", language.value);
    form.append("consent", consent.value.trim());
    form.append("file", clip.blob, clip.fileName);
    const voice = await send(form);
    announce(t("add.added", { name: voice.name }));
    reset();
    onAdded(voice);
  }

  file.addEventListener("change", () => {
    if (file.files[0]) void takeFile(file.files[0]);
  });
  recordButton.addEventListener("click", () => void toggleRecording());
  for (const type of ["dragover", "dragleave", "drop"]) {
    root.addEventListener(type, (event) => {
      event.preventDefault();
      drop.dataset.over = String(type === "dragover");
      const dropped = type === "drop" ? event.dataTransfer.files[0] : null;
      if (dropped) void takeFile(dropped);
    });
  }
  document.addEventListener("themechange", () => draw(canvas, shape, 0));
  fillLanguages();

  return {
    root,
    /** The view is left: the microphone is let go. */
    hide() {
      if (recording) void toggleRecording();
    },
  };
}
