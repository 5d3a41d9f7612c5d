// The last jobs of this browser: ids and a little about them, newest first. The audio stays on the server; an entry is a
// way back to it. Lists are values that functions make from values; `createHistory` keeps one in storage.

import { isTerminal } from "./job.js";
import { snippet } from "../base/format.js";

const KEY = "declaim_history";
const LIMIT = 20;
const SNIPPET_CHARACTERS = 140;

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} text the beginning of it
 * @property {string} voice
 * @property {string} format
 * @property {number} createdAt ms
 * @property {"queued"|"running"|"completed"|"failed"|"cancelled"|"expired"} status expired: gone from the server
 * @property {number} [progress]
 * @property {number} [durationSec]
 * @property {number} [bytes]
 * @property {number} [seed]
 * @property {string} [error]
 */

/** @returns {Entry} */
export function entryFor(id, params, now) {
  return {
    id,
    text: snippet(String(params?.text ?? ""), SNIPPET_CHARACTERS),
    voice: String(params?.predefined_voice_id ?? ""),
    format: String(params?.output_format ?? "wav"),
    createdAt: now,
    status: "queued",
  };
}

/** What a status reply says about an entry. */
export function patchFrom(status) {
  const patch = { status: status.status === "queued" || isTerminal(status.status) ? status.status : "running" };
  if (typeof status.progress === "number") patch.progress = status.progress;
  if (typeof status.duration_sec === "number") patch.durationSec = status.duration_sec;
  if (typeof status.file_size_bytes === "number") patch.bytes = status.file_size_bytes;
  if (typeof status.output_format === "string") patch.format = status.output_format;
  if (typeof status.seed === "number") patch.seed = status.seed;
  if (typeof status.error === "string") patch.error = snippet(status.error, SNIPPET_CHARACTERS);
  return patch;
}

/** Adds an entry at the top, in place of an older one of the same id; the oldest beyond the limit fall out. */
export function remember(entries, entry) {
  return [entry, ...entries.filter((other) => other.id !== entry.id)].slice(0, LIMIT);
}

/** The same list when nothing changes, so that callers can tell. */
export function update(entries, id, patch) {
  const old = entries.find((entry) => entry.id === id);
  if (!old || Object.entries(patch).every(([key, value]) => old[key] === value)) return entries;
  return entries.map((entry) => (entry === old ? { ...entry, ...patch } : entry));
}

export function forget(entries, id) {
  return entries.some((entry) => entry.id === id) ? entries.filter((entry) => entry.id !== id) : entries;
}

/** Drops what can no longer be heard nor waited for; entries under way stay. */
export function clearEnded(entries) {
  return entries.filter((entry) => isOpen(entry));
}

/** Whether the server may still change it. */
export function isOpen(entry) {
  return entry.status === "queued" || entry.status === "running";
}

/** Reads a stored list, leaving out what is not an entry: older pages and curious people write there too. */
export function parse(stored) {
  if (!Array.isArray(stored)) return [];
  return stored
    .filter((entry) => entry && typeof entry.id === "string" && entry.id && typeof entry.status === "string")
    .map((entry) => ({
      ...entry,
      text: String(entry.text ?? ""),
      voice: String(entry.voice ?? ""),
      format: String(entry.format ?? "wav"),
    }))
    .slice(0, LIMIT);
}

/** The stored list. Every change starts from what is stored now, so that tabs do not undo each other's entries. */
export function createHistory(storage, onChange) {
  const read = () => parse(storage.getJson(KEY));
  function change(make) {
    const before = read();
    const after = make(before);
    if (after === before) return;
    storage.setJson(KEY, after);
    onChange();
  }
  storage.onChange(KEY, onChange);
  return {
    entries: read,
    add: (entry) => change((entries) => remember(entries, entry)),
    update: (id, patch) => change((entries) => update(entries, id, patch)),
    remove: (id) => change((entries) => forget(entries, id)),
    clear: () => change(clearEnded),
  };
}
