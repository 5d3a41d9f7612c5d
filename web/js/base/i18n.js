// The page's words in the reader's language. One table per language under `i18n/`, loaded alone; a test holds all tables to
// the same keys. Numbers, times and names of languages come from Intl in the reader's locale, never from a table.

/** What can be chosen, each in its own words. */
export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français", es: "Español", zh: "中文" };

let code = "en";
let table = {};
let tag = "en";

/**
 * Which language to speak: the stored choice, else the first of the browser's that there is, else English.
 * @param {string|null} stored
 * @param {readonly string[]} preferred tags such as "de-CH", best first
 */
export function pickLanguage(stored, preferred) {
  if (stored in LANGUAGES) return stored;
  return preferred.map((wanted) => wanted.split("-")[0].toLowerCase()).find((wanted) => wanted in LANGUAGES) ?? "en";
}

/** Speaks with `words` from now on; numbers are written as in `preferred`'s region of that language. */
export function use(language, words, preferred = []) {
  code = language;
  table = words;
  tag = preferred.find((wanted) => wanted.split("-")[0].toLowerCase() === language) ?? language;
}

/** The chosen language: a key of LANGUAGES. */
export function language() {
  return code;
}

/** The tag for Intl: the language, with the reader's region where that speaks it. */
export function locale() {
  return tag;
}

/**
 * The words of `key`. `{name}` in them is replaced; numbers are written in the reader's way, and `count` chooses between
 * the plural forms of an entry that has several.
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 */
export function t(key, values = {}) {
  let words = table[key];
  if (words === undefined) return key;
  if (typeof words === "object") words = words[new Intl.PluralRules(tag).select(values.count)] ?? words.other;
  return words.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? new Intl.NumberFormat(tag).format(value) : String(value ?? "");
  });
}

const ATTRIBUTES = { label: "aria-label", placeholder: "placeholder", title: "title" };

/** Fills in what index.html leaves to the tables: `data-t` for the text, `data-t-label` and the like for attributes. */
export function translate(root) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const node of root.querySelectorAll(`[data-t-${name}]`)) {
      node.setAttribute(attribute, t(node.getAttribute(`data-t-${name}`)));
    }
  }
}
