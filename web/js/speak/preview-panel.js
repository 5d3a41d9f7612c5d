// "How it will be read": asks the server while the panel is open and the text rests, and shows chunks and changes.

import { byId, element } from "../base/dom.js";
import { count, snippet } from "../base/format.js";
import { t } from "../base/i18n.js";
import { marked } from "./preview.js";

const PAUSE_MS = 350;
/** More than anybody reads here; the whole of a book is cut by the server when it is spoken. */
const MOST_CHARACTERS = 20_000;
const MOST_CHUNKS = 60;

/**
 * @param {object} parts
 * @param {(request: object, signal: AbortSignal) => Promise<object>} parts.preview
 * @param {() => {text: string, model: string|null}} parts.current
 */
export function createPreviewPanel({ preview, current }) {
  const panel = byId("preview");
  const facts = byId("preview-facts");
  const list = byId("preview-chunks");
  let timer = null;
  let asking = new AbortController();
  let shown = "";

  function chunkItem(chunk) {
    const runs = chunk.runs.flatMap((run) => [run.changed ? element("mark", {}, run.text) : run.text, " "]);
    return element("li", {}, element("p", {}, ...runs), element("span", { class: "hint" }, t("preview.characters", { count: chunk.characters })));
  }

  async function ask() {
    const { text, model } = current();
    const key = JSON.stringify([text, model]);
    if (key === shown) return;
    asking.abort();
    asking = new AbortController();
    if (!text.trim()) {
      shown = key;
      list.replaceChildren();
      facts.textContent = t("preview.empty");
      return;
    }
    const { signal } = asking;
    const part = text.slice(0, MOST_CHARACTERS);
    try {
      const plan = await preview({ text: part, ...(model ? { model } : {}) }, signal);
      if (signal.aborted) return;
      shown = key;
      const chunks = marked(part, plan.chunks.slice(0, MOST_CHUNKS));
      list.replaceChildren(...chunks.map(chunkItem));
      const changes = chunks.flatMap((chunk) => chunk.runs).filter((run) => run.changed).length;
      const told = [t("preview.chunks", { count: plan.total_chunks }), changes ? t("preview.changes", { count: changes }) : t("preview.unchanged")];
      if (part.length < text.length || chunks.length < plan.total_chunks) told.push(t("preview.part", { shown: count(chunks.length) }));
      facts.textContent = told.join(" · ");
    } catch (error) {
      if (signal.aborted) return;
      list.replaceChildren();
      facts.textContent = snippet(error.message, 200);
    }
  }

  panel.addEventListener("toggle", () => {
    if (panel.open) void ask();
  });

  return {
    /** Text or model changed. */
    changed() {
      clearTimeout(timer);
      if (panel.open) timer = setTimeout(() => void ask(), PAUSE_MS);
    },
  };
}
