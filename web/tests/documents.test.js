import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";

import { markdownChapters, textChapters } from "../js/documents/chapters.js";
import { decoded, kindOf } from "../js/documents/read.js";
import { directory, DocumentError, extract } from "../js/documents/zip.js";
import { zipFile } from "./zip-file.js";

const titles = (chapters) => chapters.map(({ title }) => title);

test("a plain text is cut at lines that name a chapter and stand alone", () => {
  const text = "For Ada\r\n\r\nChapter 1\r\n\r\nIt rained.\r\nChapter and verse, he said.\r\n\r\nKAPITEL IV. Der Hafen\r\n\r\nLeer.\r\n\r\n第十二章 港口\r\n\r\n空。";
  const chapters = textChapters(text);
  assert.deepEqual(titles(chapters), ["", "Chapter 1", "KAPITEL IV. Der Hafen", "第十二章 港口"]);
  assert.equal(chapters[1].text, "Chapter 1.\n\nIt rained.\nChapter and verse, he said.".replace("\n\nIt", "\n\n\nIt"));
});

test("a text without chapters is one, and an empty one is none", () => {
  assert.deepEqual(textChapters("Just words."), [{ title: "", text: "Just words." }]);
  assert.deepEqual(textChapters(" \n\n "), []);
});

test("Markdown is cut at its headings and read without its marks", () => {
  const chapters = markdownChapters("---\ntitle: x\n---\n# One *day*\n\nSome **bold** and _soft_ [words](http://a.b) with `code`, snake_case_name, 2 * 3 * 4.\n\n```\nnot spoken\n```\n\n- a\n- b\n\n## Two\n> said");
  assert.deepEqual(titles(chapters), ["One day", "Two"]);
  assert.match(chapters[0].text, /Some bold and soft words with code, snake_case_name, 2 \* 3 \* 4\./);
  assert.doesNotMatch(chapters[0].text, /not spoken|^- /m);
  assert.equal(chapters[1].text, "Two.\n\nsaid");
});

test("files are known by their names, whatever the case", () => {
  assert.deepEqual(["a.TXT", "b.md", "c.xhtml", "d.epub", "e.pdf", "txt"].map(kindOf), ["text", "markdown", "html", "epub", null, null]);
});

test("texts of Windows and of UTF-16 are read too", () => {
  assert.equal(decoded(new Uint8Array([0x63, 0x61, 0x66, 0xe9]).buffer), "café");
  assert.equal(decoded(new Uint8Array([0xff, 0xfe, 0x41, 0, 0x42, 0]).buffer).replace("\ufeff", ""), "AB");
});

test("packed and plain entries of an archive come out as they went in", async () => {
  const long = "The tide went out. ".repeat(500);
  const buffer = zipFile({ "mimetype": "application/epub+zip", "text/één.html": long }, deflateRawSync);
  const entries = directory(buffer);
  assert.deepEqual([...entries.keys()], ["mimetype", "text/één.html"]);
  const read = async (name) => new TextDecoder().decode(await extract(buffer, entries.get(name)));
  assert.equal(await read("mimetype"), "application/epub+zip");
  assert.equal(await read("text/één.html"), long);
});

test("damaged archives and entries larger than they say are refused", async () => {
  assert.throws(() => directory(new ArrayBuffer(10)), DocumentError);
  assert.throws(() => directory(new TextEncoder().encode("no archive ".repeat(20)).buffer), DocumentError);
  const buffer = zipFile({ a: "x".repeat(1000) }, deflateRawSync);
  const entry = directory(buffer).get("a");
  await assert.rejects(extract(buffer, { ...entry, size: 10 }), DocumentError);
  await assert.rejects(extract(buffer, { ...entry, size: 1e9 }), DocumentError);
  await assert.rejects(extract(buffer.slice(0, 40), entry), DocumentError);
});
