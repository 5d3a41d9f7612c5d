// Texts to begin with: a few that came with the page, and those that people save with their settings. Saved ones live in
// this browser; what is stored is checked when it is read, because older pages and curious people write there too.

const KEY = "declaim_presets";
const MOST = 100;

/** Each in a language that a model must know for it to be offered. */
export const BUILT_IN = [
  { name: "Harbour", language: "en", text: "The tide went out before dawn and left the harbour empty, boats leaning like sleepers. By noon the water was back, and nobody who came down for the ferry could have said that it had ever been away." },
  { name: "Announcement", language: "en", text: "Good morning. The 8:45 train to Lisbon leaves from platform 3 in about ten minutes. Please keep your ticket at hand, and mind the gap between the train and the platform." },
  { name: "Figures and symbols", language: "en", text: "On 3/14/2026, Dr. Lee paid $1,299.50 for 2.5 kg of tea, i.e. 15% more than in 1998. Call 555-0199 or write to tea@example.com." },
  { name: "Laughter", language: "en", tag: "laugh", text: "You will not believe this. [laugh] I had the key in my hand the whole time, and I walked back four flights of stairs to look for it." },
  { name: "Bedtime", language: "en", speed: 0.9, text: "Once there was a lighthouse that was afraid of the dark. Every evening it took a deep breath, lit its lamp, and was surprised again that the dark went away." },
  { name: "Hafen", language: "de", text: "Vor dem Morgengrauen ging die Flut hinaus und ließ den Hafen leer zurück. Um zwölf Uhr war das Wasser wieder da, als wäre nichts gewesen." },
  { name: "Le port", language: "fr", text: "La marée s’est retirée avant l’aube et a laissé le port vide. À midi, l’eau était revenue, comme si de rien n’était." },
  { name: "El puerto", language: "es", text: "La marea se retiró antes del amanecer y dejó el puerto vacío. A mediodía el agua había vuelto, como si nada hubiera pasado." },
  { name: "港口", language: "zh", text: "天还没亮,潮水就退了,港口空空的。到了中午,水又回来了,好像什么都没有发生过。" },
];

/** The built-in ones that a model can speak. */
export function presetsFor(model) {
  const languages = model?.languages ?? ["en"];
  const tags = model?.available_paralinguistic_tags ?? [];
  return BUILT_IN.filter((preset) => languages.includes(preset.language) && (!preset.tag || tags.includes(preset.tag)));
}

/** @typedef {{name: string, text: string, voice?: string, model?: string, language?: string, speed?: number, seed?: string, parameters?: Record<string, number>}} Preset */

/** @returns {Preset[]} */
export function parse(stored) {
  if (!Array.isArray(stored)) return [];
  return stored.filter((preset) => preset && typeof preset.name === "string" && preset.name.trim() && typeof preset.text === "string").slice(0, MOST);
}

/** With `preset` at the top, in place of one of the same name. */
export function added(presets, preset) {
  return [preset, ...presets.filter((other) => other.name !== preset.name)].slice(0, MOST);
}

export function createPresets(storage) {
  const read = () => parse(storage.getJson(KEY));
  return {
    list: read,
    save: (preset) => storage.setJson(KEY, added(read(), preset)),
    remove: (name) => storage.setJson(KEY, read().filter((preset) => preset.name !== name)),
  };
}
