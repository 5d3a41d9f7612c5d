// Plain text and Markdown as chapters. A chapter is a title and the text below it; what comes before the first title is a
// chapter too. Titles are spoken, so they begin the text of their chapter.

/** "Chapter 3", "KAPITEL IV. Der Hafen", "第十二章 港口", "Prologue": a line of its own, in the page's languages. */
const TITLE = new RegExp(
  "^(?:(?:chapter|kapitel|chapitre|capítulo|part|teil|partie|parte)\\s+(?:\\d+|[ivxlc]+|[\\p{L}-]+)\\b.{0,80}"
  + "|(?:prologue|epilogue|foreword|preface|introduction|prolog|epilog|vorwort|einleitung|prologue|épilogue|préface|prólogo|epílogo|prefacio)\\.?"
  + "|第[\\d一二三四五六七八九十百零〇]+[章回节].{0,40}|序[章言]?|后记)$",
  "iu",
);

/** @typedef {{title: string, text: string}} Chapter `text` begins with the title where there is one */

/** Chapters without words are left out. @returns {Chapter[]} */
function spoken(chapters) {
  return chapters.map(({ title, text }) => ({ title, text: text.trim() })).filter(({ text }) => text);
}

/** A text cut at the lines that `titleOf` knows. @param {(line: string, before: string) => string|null} titleOf */
function cut(text, titleOf) {
  const chapters = [{ title: "", lines: [] }];
  let before = "";
  for (const line of text.split("\n")) {
    const title = titleOf(line, before);
    if (title) chapters.push({ title, lines: [/[.!?。]$/.test(title) ? title : `${title}.`, ""] });
    else chapters.at(-1).lines.push(line);
    before = line;
  }
  return spoken(chapters.map(({ title, lines }) => ({ title, text: lines.join("\n") })));
}

const unified = (text) => text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");

/** A plain text: cut at lines that name a chapter and stand alone. @returns {Chapter[]} */
export function textChapters(text) {
  return cut(unified(text), (line, before) => {
    const trimmed = line.trim();
    return !before.trim() && trimmed.length < 100 && TITLE.test(trimmed) ? trimmed : null;
  });
}

/** Markdown: cut at headings of the first two levels; marks go, words stay. @returns {Chapter[]} */
export function markdownChapters(source) {
  // What is code is not read aloud.
  const text = unified(source).replace(/^---\n[\s\S]*?\n---\n/, "").replace(/^(```|~~~)[\s\S]*?^\1.*$/gm, "");
  const chapters = cut(text, (line) => /^#{1,2}\s+(.+?)\s*#*$/.exec(line)?.[1].trim() ?? null);
  return spoken(chapters.map(({ title, text: body }) => ({ title: plain(title), text: plain(body) })));
}

/** Markdown without its marks. */
function plain(text) {
  return text
    .replace(/!\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\[([^\]]+)\]\([^)]*\)/g, "$1")
    .replace(/^#{1,6}\s+/gm, "")
    .replace(/^[ \t]{0,3}>[ \t]?/gm, "")
    .replace(/^[ \t]*[-*+][ \t]+/gm, "")
    .replace(/^[ \t]*([-*_][ \t]*){3,}$/gm, "")
    .replace(/(\*\*|__)(?=\S)([\s\S]*?\S)\1/g, "$2")
    .replace(/(?<![\w*])[*_](?=\S)([^*_\n]*\S)[*_](?![\w*])/g, "$1")
    .replace(/`([^`]+)`/g, "$1")
    .replace(/<[^>\n]+>/g, "");
}
