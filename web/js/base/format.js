// Numbers, times and sizes as the reader of the page writes them. Pure but for the chosen language.

import { locale } from "./i18n.js";

/** 65 → "1:05", 3725 → "1:02:05". Rounds down, like a clock. */
export function clock(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "0:00";
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const tail = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** A rough length for running text: "8 sec", "3 min", "1 hr 20 min", in the reader's language. */
export function roughly(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  if (seconds < 59.5) return unit(Math.max(1, Math.round(seconds)), "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return unit(minutes, "minute");
  const hours = unit(Math.floor(minutes / 60), "hour");
  return minutes % 60 ? `${hours} ${unit(minutes % 60, "minute")}` : hours;
}

/** 1536 → "1.5 kB"; powers of 1000, like file managers. */
export function bytes(count) {
  if (!Number.isFinite(count) || count < 0) return "";
  const units = ["kilobyte", "megabyte", "gigabyte", "terabyte"];
  let value = count / 1000;
  let step = 0;
  while (value >= 999.5 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = value >= 99.5 ? 0 : 1;
  return unit(value, units[step], { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** 12345 → "12,345" */
export function count(number) {
  return new Intl.NumberFormat(locale()).format(number);
}

/** A number with at most so many digits behind the point, in the reader's way. */
export function decimal(number, digits) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(number);
}

/** 0.42 → "42%" */
export function percent(share) {
  return new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(share);
}

/** 1 → "1.00×" */
export function speed(factor) {
  return `${new Intl.NumberFormat(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(factor)}×`;
}

/** "now", "5 min. ago", "3 hr. ago", else the date. Both in milliseconds since the epoch. */
export function ago(then, now) {
  const seconds = (now - then) / 1000;
  if (!Number.isFinite(seconds)) return "";
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" });
  if (seconds < 45) return relative.format(0, "second");
  if (seconds < 3570) return relative.format(-Math.max(1, Math.round(seconds / 60)), "minute");
  if (seconds < 86400) return relative.format(-Math.round(seconds / 3600), "hour");
  return new Date(then).toLocaleDateString(locale(), { day: "numeric", month: "short" });
}

/** A moment in full, for tooltips and tables. */
export function moment(ms) {
  return new Date(ms).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });
}

/** "en" → "English"; codes that nobody knows stay as they are. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames([locale()], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

function unit(value, name, digits = {}) {
  return new Intl.NumberFormat(locale(), { style: "unit", unit: name, unitDisplay: "short", ...digits }).format(value);
}

/** One line of at most `limit` characters; the cut falls between words where one is near. */
export function snippet(text, limit) {
  // Only the head is looked at: the text may be a book.
  const line = text.slice(0, limit * 4).replace(/\s+/g, " ").trim();
  const characters = [...line];
  if (characters.length <= limit) return line;
  const head = characters.slice(0, limit - 1).join("");
  const space = head.lastIndexOf(" ");
  return `${(space > limit * 0.6 ? head.slice(0, space) : head).replace(/[\s,;:.–—-]+$/u, "")}…`;
}

/** Unicode characters, as the server counts them: an astral character is one, not two. */
export function characters(text) {
  let pairs = 0;
  for (let i = 0; i < text.length - 1; i += 1) {
    const high = text.charCodeAt(i);
    if (high >= 0xd800 && high <= 0xdbff) {
      const low = text.charCodeAt(i + 1);
      if (low >= 0xdc00 && low <= 0xdfff) {
        pairs += 1;
        i += 1;
      }
    }
  }
  return text.length - pairs;
}
