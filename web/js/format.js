// Numbers as people read them. Pure; a fixed locale, because the page is English throughout.

const grouped = new Intl.NumberFormat("en");

/** 65 → "1:05", 3725 → "1:02:05". Rounds down, like a clock. */
export function clock(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "0:00";
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const tail = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** A rough length for running text: "8 s", "3 min", "1 h 20 min". */
export function roughly(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest ? `${Math.floor(minutes / 60)} h ${rest} min` : `${minutes / 60} h`;
}

/** 1536 → "1.5 KB"; powers of 1000, like file managers. */
export function bytes(count) {
  if (!Number.isFinite(count) || count < 0) return "";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** 12345 → "12,345" */
export function count(number) {
  return grouped.format(number);
}

/** 1 → "1.00×" */
export function speed(factor) {
  return `${factor.toFixed(2)}×`;
}

/** "just now", "5 min ago", "3 h ago", else the date. Both in milliseconds since the epoch. */
export function ago(then, now) {
  const seconds = (now - then) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 45) return "just now";
  if (seconds < 3570) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(then).toLocaleDateString("en", { day: "numeric", month: "short" });
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
