// What requests mean by default on this server, as a form: which settings there are, what stands in a field, and what of it is
// to be saved. The server checks everything again and has the last word.

/**
 * Labels are keys of the tables. `kind`: number (empty where `optional`), whole, flag, text, format or voice.
 * @type {{path: string, label: string, kind: string, least?: number, most?: number, step?: number, optional?: boolean}[]}
 */
export const FIELDS = [
  { path: "tts_engine.default_voice_id", label: "speak.voice", kind: "voice", optional: true },
  { path: "generation_defaults.language", label: "speak.language", kind: "text" },
  { path: "generation_defaults.speed_factor", label: "speak.speed", kind: "number", least: 0.25, most: 4, step: 0.05 },
  { path: "generation_defaults.temperature", label: "parameter.temperature", kind: "number", least: 0, most: 2, step: 0.05, optional: true },
  { path: "generation_defaults.exaggeration", label: "parameter.exaggeration", kind: "number", least: 0, most: 2, step: 0.05, optional: true },
  { path: "generation_defaults.cfg_weight", label: "parameter.cfg_weight", kind: "number", least: 0, most: 1, step: 0.05, optional: true },
  { path: "generation_defaults.seed", label: "defaults.seed", kind: "whole", least: 0, most: Number.MAX_SAFE_INTEGER },
  { path: "generation_defaults.chunk_size", label: "defaults.chunk-size", kind: "whole", least: 50, most: 500 },
  { path: "generation_defaults.retakes", label: "defaults.retakes", kind: "whole", least: 0, most: 5 },
  { path: "audio_output.format", label: "speak.format", kind: "format" },
  { path: "audio_output.sample_rate", label: "defaults.sample-rate", kind: "whole", least: 8000, most: 48000 },
  { path: "audio_output.bitrate_kbps", label: "defaults.bitrate", kind: "whole", least: 6, most: 320, optional: true },
  { path: "generation_defaults.split_text", label: "defaults.split", kind: "flag" },
  { path: "text.normalize", label: "defaults.normalize", kind: "flag" },
];

const at = (tree, path) => path.split(".").reduce((value, key) => value?.[key], tree);

/** What holds from the next start on: what was saved, else what holds now. */
export function valueOf(shown, path) {
  const saved = at(shown.saved, path);
  return saved === undefined ? at(shown.now, path) ?? null : saved;
}

/** Whether this setting waits for a start of the server. */
export function isWaiting(shown, path) {
  const saved = at(shown.saved, path);
  return saved !== undefined && saved !== (at(shown.now, path) ?? null);
}

/** What was entered as the server knows it; undefined where it is nothing that a setting can be. */
export function parsed(field, entered) {
  if (field.kind === "flag") return entered;
  const text = entered.trim();
  if (text === "") return field.optional ? null : undefined;
  if (field.kind !== "number" && field.kind !== "whole") return text;
  const number = Number(text.replace(",", "."));
  const fits = Number.isFinite(number) && number >= field.least && number <= field.most;
  return fits && (field.kind === "number" || Number.isInteger(number)) ? number : undefined;
}

/**
 * What to save: fields that are not as they were.
 * @param {object} shown the server's answer
 * @param {Record<string, string|boolean>} entered by path
 * @returns {{changes: object, wrong: string[]}} wrong: paths of what cannot be a setting
 */
export function changesOf(shown, entered) {
  const changes = {};
  const wrong = [];
  for (const field of FIELDS) {
    if (!(field.path in entered)) continue;
    const value = parsed(field, entered[field.path]);
    if (value === undefined) wrong.push(field.path);
    else if (value !== valueOf(shown, field.path)) {
      const [section, key] = field.path.split(".");
      changes[section] = { ...changes[section], [key]: value };
    }
  }
  return { changes, wrong };
}
