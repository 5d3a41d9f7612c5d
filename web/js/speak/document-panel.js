// A document that was opened or dropped: its chapters to choose from, put into the text or spoken as one job each.

import { byId, element, say } from "../base/dom.js";
import { characters, count, roughly } from "../base/format.js";
import { t } from "../base/i18n.js";
import { workButton } from "../base/widgets.js";
import { speakingSeconds } from "./request.js";

/**
 * @param {object} parts
 * @param {() => {speed: number}} parts.current
 * @param {(text: string) => void} parts.onInsert
 * @param {(chapter: {title: string, text: string}) => Promise<void>} parts.onSpeak makes one chapter a job
 * @param {(title: string, chapters: {title: string, text: string}[]) => Promise<void>} parts.onBook makes chapters one book
 */
export function createDocumentPanel({ current, onInsert, onSpeak, onBook, announce }) {
  const panel = byId("document");
  const file = byId("file");
  const target = byId("text-field");
  let chapters = [];
  let name = "";

  async function open(chosen) {
    name = chosen.name;
    try {
      // Fetched when the first document is opened: most people never open one.
      const { readDocument } = await import("../documents/read.js");
      chapters = (await readDocument(chosen)).map((chapter) => ({ ...chapter, chosen: true, sent: false }));
    } catch (error) {
      // Trouble with a document is named by a key of the tables; anything else speaks for itself.
      chapters = [];
      showTrouble(t("document.unreadable", { name, reason: t(error.message) }));
      return;
    }
    if (chapters.length === 0) {
      showTrouble(t("document.unreadable", { name, reason: t("document.empty") }));
      return;
    }
    // A text of one piece needs no list.
    if (chapters.length === 1) {
      onInsert(chapters[0].text);
      close();
      return;
    }
    render();
    panel.querySelector("input").focus();
  }

  function showTrouble(sentence) {
    panel.hidden = false;
    panel.replaceChildren(element("p", { class: "alert", role: "alert" }, sentence), element("div", { class: "card-tools" }, closer()));
  }

  function closer() {
    return element("button", { type: "button", class: "button small quiet", onclick: close }, t("document.close"));
  }

  function close() {
    panel.hidden = true;
    panel.replaceChildren();
    file.value = "";
  }

  const chosen = () => chapters.filter((chapter) => chapter.chosen);
  const titleOf = (chapter) => chapter.title || t("document.chapter", { number: chapters.indexOf(chapter) + 1 });

  function summary() {
    const texts = chosen().map(({ text }) => text);
    const length = texts.reduce((sum, text) => sum + characters(text), 0);
    const seconds = texts.reduce((sum, text) => sum + speakingSeconds(text, current().speed), 0);
    return t("document.chosen", { count: texts.length, all: count(chapters.length), characters: count(length), time: roughly(seconds) });
  }

  function render() {
    const facts = element("p", { class: "hint", role: "status" }, summary());
    const alert = element("p", { class: "alert", role: "alert", hidden: true });
    const changed = () => {
      facts.textContent = summary();
      everything.checked = chosen().length === chapters.length;
      everything.indeterminate = !everything.checked && chosen().length > 0;
    };
    const everything = element("input", { type: "checkbox" });
    everything.addEventListener("change", () => {
      for (const chapter of chapters) chapter.chosen = everything.checked;
      for (const box of list.querySelectorAll("input")) box.checked = everything.checked;
      changed();
    });
    const list = element("ol", { class: "chapters" }, ...chapters.map((chapter) => {
      const box = element("input", { type: "checkbox" });
      box.checked = chapter.chosen;
      box.addEventListener("change", () => {
        chapter.chosen = box.checked;
        changed();
      });
      return element("li", {}, element("label", { class: "check" }, box, element("span", { class: "chapter-title" }, titleOf(chapter))),
        element("span", { class: "hint" }, chapter.sent ? t("document.sent") : roughly(speakingSeconds(chapter.text, current().speed))));
    }));
    panel.hidden = false;
    panel.replaceChildren(
      element("div", { class: "field-head" }, element("label", { class: "check label" }, everything, element("span", {}, name)), closer()),
      list, facts, alert,
      element("div", { class: "card-tools" },
        workButton(t("document.insert"), async () => {
          onInsert(chosen().map(({ text }) => text).join("\n\n"));
          close();
        }),
        workButton(t("document.book"), async () => {
          const named = chosen().map((chapter) => ({ title: titleOf(chapter), text: chapter.text }));
          if (named.length === 0) throw new Error(t("document.none-chosen"));
          await onBook(name.replace(/\.[^.]+$/, ""), named);
          announce(t("document.booked", { count: named.length }));
          close();
          const told = element("p", { class: "hint", role: "status" }, `${t("document.booked", { count: named.length })} `,
            element("a", { href: "#/history" }, t("view.history")));
          panel.hidden = false;
          panel.replaceChildren(told);
        }, { kind: "primary", alert }),
        workButton(t("document.speak"), () => speakEach(alert), { alert })));
    changed();
  }

  /** Chapters that were accepted are no longer chosen, so that pressing again after trouble goes on with the rest. */
  async function speakEach(alert) {
    let sent = 0;
    try {
      for (const chapter of chosen()) {
        await onSpeak(chapter);
        chapter.chosen = false;
        chapter.sent = true;
        sent += 1;
      }
    } finally {
      const rest = chosen().length;
      announce(t("document.queued", { count: sent }));
      if (sent > 0) render();
      if (rest > 0) say(panel.querySelector("[role=alert]") ?? alert, t("document.rest", { count: rest }));
    }
  }

  byId("open-file").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files[0]) void open(file.files[0]);
  });
  for (const type of ["dragover", "dragleave", "drop"]) {
    target.addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      target.dataset.over = String(type === "dragover");
      if (type === "drop" && event.dataTransfer.files[0]) void open(event.dataTransfer.files[0]);
    });
  }
}
