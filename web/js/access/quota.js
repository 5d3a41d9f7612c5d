// What a key may do and has used, in words.

import { count } from "../base/format.js";
import { t } from "../base/i18n.js";

/** The scopes of a key as words. @param {string[]} scopes */
export function scopesText(scopes) {
  return scopes.map((scope) => t(`key.scope-${scope}`)).join(", ");
}

/** One line for each limit, with what is used of it. */
export function quotaLines(key) {
  const audio = count(Math.round(key.usage.audio_seconds_today));
  const { characters_per_minute: characters, audio_seconds_per_day: seconds } = key;
  return [
    seconds === null ? t("key.audio", { used: audio }) : t("key.audio-of", { used: audio, most: count(seconds) }),
    characters === null ? "" : t("key.characters-of", { used: count(key.usage.characters_in_this_minute), most: count(characters) }),
  ].filter(Boolean);
}

/**
 * What the form says as the body of POST /api/keys. An empty limit is that of the settings.
 * @param {{name: string, scopes: string[], characters: string, seconds: string}} form
 */
export function wishOf({ name, scopes, characters, seconds }) {
  const limit = (text) => (text.trim() === "" ? null : Number(text));
  return { name: name.trim(), scopes, characters_per_minute: limit(characters), audio_seconds_per_day: limit(seconds) };
}
