import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import en from "../i18n/en.js";
import { LANGUAGES, pickLanguage, t, use } from "../js/base/i18n.js";

const web = join(import.meta.dirname, "..");
const tables = await Promise.all(Object.keys(LANGUAGES).map(async (code) => [code, (await import(`../i18n/${code}.js`)).default]));
const sources = readdirSync(join(web, "js"), { recursive: true }).filter((name) => name.endsWith(".js")).map((name) => readFileSync(join(web, "js", name), "utf8"));
sources.push(readFileSync(join(web, "index.html"), "utf8"));

/** Every form that an entry has. */
const forms = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry));
const placeholders = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("every table has the keys of the English one and no others", () => {
  for (const [code, table] of tables) assert.deepEqual(Object.keys(table).sort(), Object.keys(en).sort(), code);
});

test("no entry is empty, and each has the placeholders of the English one", () => {
  for (const [code, table] of tables) {
    for (const [key, entry] of Object.entries(table)) {
      const expected = [...new Set(forms(en[key]).flatMap(placeholders))].sort();
      for (const form of forms(entry)) {
        assert.ok(form.trim(), `${code} ${key}`);
        const found = placeholders(form);
        // "one job" may leave its number out.
        assert.deepEqual([...new Set(found)], expected.filter((name) => name !== "count" || found.includes("count")), `${code} ${key}`);
      }
    }
  }
});

test("every plural entry has the forms that its language asks for", () => {
  for (const [code, table] of tables) {
    const wanted = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
    for (const [key, entry] of Object.entries(table)) {
      if (typeof entry === "string") continue;
      assert.ok("other" in entry, `${code} ${key}`);
      // "many" begins at a million in French and Spanish, where "other" reads well too.
      for (const form of wanted.filter((name) => name !== "many")) assert.ok(form in entry, `${code} ${key} ${form}`);
    }
  }
});

test("every key that the page asks for exists, and none is left over", () => {
  const asked = new Set();
  const families = [];
  for (const source of sources) {
    for (const [, key] of source.matchAll(/\bt\([^`()]*?"([a-z]+\.[\w.-]+)"/g)) asked.add(key);
    // A second key of the same call, or one that is handed on.
    for (const [, key] of source.matchAll(/"([a-z]+\.[\w.-]+)"/g)) if (key in en) asked.add(key);
    for (const [, key] of source.matchAll(/data-t(?:-\w+)?="([\w.-]+)"/g)) asked.add(key);
    // A family of keys, such as `status.${…}`, stands for all of its members.
    for (const [, before, after] of source.matchAll(/\bt\(`([\w.-]+)\$\{[^}]*\}([\w.-]*)`/g)) families.push([before, after]);
  }
  const inFamily = (key) => families.some(([before, after]) => key.startsWith(before) && key.endsWith(after));
  assert.deepEqual([...asked].filter((key) => !(key in en)), []);
  assert.deepEqual(Object.keys(en).filter((key) => !asked.has(key) && !inFamily(key)), []);
  assert.ok(families.every(([before, after]) => Object.keys(en).some((key) => key.startsWith(before) && key.endsWith(after))));
});

test("the language is the stored one, else the browser's best, else English", () => {
  assert.equal(pickLanguage("de", ["fr"]), "de");
  assert.equal(pickLanguage(null, ["pt-BR", "fr-CA", "de"]), "fr");
  assert.equal(pickLanguage("klingon", ["pt"]), "en");
});

test("numbers, plurals and regions follow the reader", () => {
  use("en", { jobs: { one: "{count} job", other: "{count} jobs" }, of: "{a} of {b}" }, ["de", "en-IN"]);
  assert.equal(t("jobs", { count: 1 }), "1 job");
  assert.equal(t("jobs", { count: 1234567 }), "12,34,567 jobs");
  assert.equal(t("of", { a: "<b>", b: "2" }), "<b> of 2");
  assert.equal(t("not there"), "not there");
  use("en", en, ["en-US"]);
});
