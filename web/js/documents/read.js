// Any document that people drop, as chapters.

import { markdownChapters, textChapters } from "./chapters.js";
import { epubChapters, htmlChapters } from "./markup.js";
import { DocumentError } from "./zip.js";

const MOST_BYTES = 64e6;

/** What a file is, by its name; null for what cannot be read. */
export function kindOf(fileName) {
  const extension = /\.([^.]+)$/.exec(fileName.toLowerCase())?.[1];
  const kinds = { txt: "text", text: "text", md: "markdown", markdown: "markdown", html: "html", htm: "html", xhtml: "html", epub: "epub" };
  return kinds[extension] ?? null;
}

/**
 * @param {File} file
 * @returns {Promise<import("./chapters.js").Chapter[]>} rejects with an error whose message is a key of the tables
 */
export async function readDocument(file) {
  const kind = kindOf(file.name);
  if (!kind) throw new DocumentError("document.unknown");
  if (file.size > MOST_BYTES) throw new DocumentError("document.too-large");
  if (kind === "epub") return epubChapters(await file.arrayBuffer());
  const text = decoded(await file.arrayBuffer());
  if (kind === "html") return htmlChapters(text);
  return kind === "markdown" ? markdownChapters(text) : textChapters(text);
}

/** UTF-8 if it is that, else what Windows wrote for decades. */
export function decoded(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(buffer);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(buffer);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer);
  } catch {
    return new TextDecoder("windows-1252").decode(buffer);
  }
}
