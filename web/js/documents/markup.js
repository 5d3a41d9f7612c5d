// HTML and EPUB as chapters, through the browser's own parsers. Nothing of a document is ever put into the page: only its
// text is read.

import { directory, extract, DocumentError } from "./zip.js";

/** Elements that end a line when they are read aloud. */
const BLOCKS = "address article aside blockquote dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header li main nav ol p pre section table tr ul br hr".split(" ");
const SILENT = "script style noscript template svg math nav rp rt head".split(" ");
const MOST_TEXT = 64e6;

/** The words of an element, a blank line between blocks. */
export function textOf(root) {
  const parts = [];
  (function walk(node) {
    for (const child of node.childNodes) {
      if (child.nodeType === 3) {
        parts.push(child.data.replace(/\s+/g, " "));
        continue;
      }
      const name = child.nodeType === 1 ? child.localName : "";
      if (!name || SILENT.includes(name) || child.hasAttribute("hidden")) continue;
      const isBlock = BLOCKS.includes(name);
      if (isBlock) parts.push("\n");
      walk(child);
      if (isBlock) parts.push("\n");
    }
  })(root);
  return parts.join("").replace(/[ \t]*\n[ \t]*/g, "\n").replace(/\n+/g, "\n\n").trim();
}

/** @returns {import("./chapters.js").Chapter[]} cut at its headings of the first two levels */
export function htmlChapters(source) {
  const page = new DOMParser().parseFromString(source, "text/html");
  const body = page.querySelector("main, article") ?? page.body;
  const headings = [...body.querySelectorAll("h1, h2")];
  if (headings.length === 0) return [{ title: page.title.trim(), text: textOf(body) }].filter(({ text }) => text);
  // A mark before each heading, which no text has, and then a cut at the marks.
  for (const heading of headings) heading.prepend(page.createTextNode("\u0001"));
  const [before, ...rest] = textOf(body).split("\u0001").map((text) => text.trim());
  const chapters = rest.map((text) => {
    const title = text.split("\n", 1)[0].trim();
    return { title, text: /[.!?。]$/.test(title) ? text : text.replace(title, `${title}.`) };
  });
  return [{ title: "", text: before }, ...chapters].filter(({ text }) => text);
}

/** @param {ArrayBuffer} buffer @returns {Promise<import("./chapters.js").Chapter[]>} one for each document of its spine */
export async function epubChapters(buffer) {
  const entries = directory(buffer);
  let read = 0;
  async function file(name) {
    const entry = entries.get(name);
    if (!entry) return null;
    const bytes = await extract(buffer, entry);
    read += bytes.length;
    if (read > MOST_TEXT) throw new DocumentError("document.too-large");
    return new TextDecoder().decode(bytes);
  }
  const xml = (text) => new DOMParser().parseFromString(text, "application/xml");
  const all = (node, name) => [...node.getElementsByTagNameNS("*", name)];

  const container = await file("META-INF/container.xml");
  const path = container && all(xml(container), "rootfile")[0]?.getAttribute("full-path");
  const source = path && await file(path);
  if (!source) throw new DocumentError("document.not-epub");
  const book = xml(source);
  const items = new Map(all(book, "item").map((item) => [item.getAttribute("id"), item]));
  const titles = await tableOfContents(book, path, items, file, xml, all);

  const chapters = [];
  for (const reference of all(book, "itemref")) {
    const href = items.get(reference.getAttribute("idref"))?.getAttribute("href");
    const name = href && resolved(path, href);
    if (!name || reference.getAttribute("linear") === "no") continue;
    const markup = await file(name);
    if (!markup) continue;
    const page = new DOMParser().parseFromString(markup, "text/html");
    const text = textOf(page.body);
    if (!text) continue;
    const heading = page.querySelector("h1, h2, h3")?.textContent.replace(/\s+/g, " ").trim();
    chapters.push({ title: titles.get(name) ?? heading ?? "", text });
  }
  return chapters;
}

/** Titles by file, of EPUB 3's navigation document or EPUB 2's `toc.ncx`. */
async function tableOfContents(book, path, items, file, xml, all) {
  const titles = new Map();
  const add = (base, href, title) => {
    const name = href && resolved(base, href);
    if (name && !titles.has(name)) titles.set(name, title.replace(/\s+/g, " ").trim());
  };
  for (const item of items.values()) {
    const name = resolved(path, item.getAttribute("href") ?? "");
    const isNavigation = item.getAttribute("properties")?.split(/\s+/).includes("nav");
    const isNcx = item.getAttribute("media-type") === "application/x-dtbncx+xml";
    const source = isNavigation || isNcx ? await file(name) : null;
    if (!source) continue;
    if (isNavigation) {
      for (const link of new DOMParser().parseFromString(source, "text/html").querySelectorAll("nav a[href]")) add(name, link.getAttribute("href"), link.textContent);
    } else {
      for (const point of all(xml(source), "navPoint")) add(name, all(point, "content")[0]?.getAttribute("src"), all(point, "text")[0]?.textContent ?? "");
    }
  }
  return titles;
}

/** A reference within the archive, from the file that makes it. */
function resolved(from, href) {
  const url = new URL(href, new URL(from, "archive://book/"));
  return decodeURIComponent(url.pathname.replace(/^\/+/, ""));
}
