// From what stands in the form to what the server is sent, or to what is wrong with it and where. The server checks
// everything again and has the last word; this only spares people a round trip.

import { characters, decimal } from "../base/format.js";
import { t } from "../base/i18n.js";

/** Brisk reading aloud; only for the estimate beside the counter. */
const CHARACTERS_PER_SECOND = 15;

/** Largest seed that a JSON number carries without rounding in a browser. */
const MAX_SEED = Number.MAX_SAFE_INTEGER;

/**
 * @typedef {object} Form
 * @property {string} text
 * @property {string|null} voice
 * @property {number} speed
 * @property {string} format
 * @property {string} seed as it was entered
 * @property {string|null} [model] null for the server's default
 * @property {string|null} [language] null where the model has only one
 * @property {"high"|"normal"|"low"} [priority] in the queue
 * @property {Record<string, number>} [parameters] those that differ from the model's own
 */

/**
 * @param {Form} form
 * @returns {{request: object} | {problems: {field: "text"|"voice"|"seed", message: string}[]}}
 */
export function buildRequest(form, { maxCharacters = Infinity } = {}) {
  const problems = [];
  const text = form.text;
  if (!text.trim()) problems.push({ field: "text", message: t("speak.no-text") });
  else if (excess(text, maxCharacters) > 0) {
    problems.push({ field: "text", message: t("speak.too-long", { count: excess(text, maxCharacters) }) });
  }
  if (!form.voice) problems.push({ field: "voice", message: t("speak.no-voice") });
  const seed = parseSeed(form.seed);
  if (Number.isNaN(seed)) problems.push({ field: "seed", message: t("speak.bad-seed") });
  if (problems.length > 0) return { problems };

  const request = {
    text,
    voice_mode: "predefined",
    predefined_voice_id: form.voice,
    output_format: form.format,
    speed_factor: form.speed,
  };
  // What is not said is the server's default, also when that changes.
  if (form.model) request.model = form.model;
  if (form.language) request.language = form.language;
  Object.assign(request, form.parameters);
  if (seed !== null) request.seed = seed;
  if (form.priority && form.priority !== "normal") request.priority = form.priority;
  return { request };
}

/** null when empty (random), NaN when it is no seed. */
export function parseSeed(entered) {
  const trimmed = entered.trim();
  if (trimmed === "") return null;
  if (!/^\d+$/.test(trimmed)) return NaN;
  const number = Number(trimmed);
  return number <= MAX_SEED ? number : NaN;
}

/** How many characters there are too many; negative when there is room. */
export function excess(text, maxCharacters) {
  return characters(text) - maxCharacters;
}

/** Seconds that the text takes to say, roughly. */
export function speakingSeconds(text, speed) {
  return characters(text.trim()) / CHARACTERS_PER_SECOND / speed;
}

/** What differs from the defaults, for the closed Options. */
export function optionsSummary({ speed, format, seed, autoplay, priority = "normal", parameters = {} }) {
  const parts = [];
  if (speed !== 1) parts.push(`${decimal(speed, 2)}×`);
  parts.push(format.toUpperCase());
  for (const [name, value] of Object.entries(parameters)) parts.push(`${t(`parameter.${name}`)} ${decimal(value, 2)}`);
  if (seed.trim()) parts.push(t("speak.seed-is", { seed: seed.trim() }));
  if (priority !== "normal") parts.push(t(`priority.${priority}`));
  if (!autoplay) parts.push(t("speak.plays-not"));
  return parts.join(" · ");
}

/** The form field that a server's message speaks of, by the name of the request's field in it; null if none. */
export function fieldOf(message) {
  const names = [
    [/\bseed\b/, "seed"],
    [/\bspeed(_factor)?\b/, "speed"],
    [/\b(output_)?format\b/, "format"],
    [/\b(temperature|exaggeration|cfg_weight|top_k|top_p|min_p|repetition_penalty)\b/, "parameters"],
    [/\blanguage\b/, "language"],
    [/\b(predefined_voice_id|voice)\b/, "voice"],
    [/\bmodel\b/, "model"],
    [/\bpriority\b/, "priority"],
    [/\btext\b/, "text"],
  ];
  return names.find(([pattern]) => pattern.test(message))?.[1] ?? null;
}

/** Puts a tag such as `[laugh]` in at the cursor, with spaces where words would touch it. */
export function insertTag(text, start, end, tag) {
  const before = text.slice(0, start);
  const after = text.slice(end);
  const left = before && !/\s$/.test(before) ? " " : "";
  const right = /^[\s.,;:!?]/.test(after) ? "" : " ";
  const inserted = `${left}[${tag}]${right}`;
  return { text: before + inserted + after, cursor: start + inserted.length };
}
