// Shows the recent jobs. Rows are rebuilt only when what they show changed, and keep the focus when they are.

import { byId, element, icon } from "../base/dom.js";
import { resultUrl } from "../base/api.js";
import { ago, clock, percent } from "../base/format.js";
import { t } from "../base/i18n.js";
import { isOpen } from "./recent.js";

/**
 * @param {object} actions each called with an entry
 * @param {(id: string) => string} actions.voiceName
 */
export function createHistoryList({ onPlay, onShow, onCancel, onRemove, onClear, voiceName }) {
  const list = byId("recent-list");
  const signatures = new Map();
  byId("recent-clear").addEventListener("click", onClear);

  function metaText(entry, now) {
    const parts = [voiceName(entry.voice)];
    if (entry.status === "running") parts.push(percent((entry.progress ?? 0) / 100));
    else if (entry.status === "failed" && entry.error) parts.push(t("job.failed-because", { reason: entry.error }));
    else if (entry.status !== "completed") parts.push(t(`status.${entry.status}`));
    if (entry.status === "completed") {
      if (entry.durationSec !== undefined) parts.push(clock(entry.durationSec));
      parts.push(entry.format.toUpperCase());
    }
    parts.push(ago(entry.createdAt, now));
    return parts.filter(Boolean).join(" · ");
  }

  function action(name, label, entry, onClick, ...content) {
    return element("button", {
      type: "button",
      class: "icon-button",
      "data-action": name,
      "aria-label": `${label}: ${entry.text}`,
      title: label,
      onclick: () => onClick(entry),
    }, ...content);
  }

  function row(entry, meta, { shown, playing }) {
    const lead = entry.status === "completed"
      ? action("play", playing ? t("action.pause") : t("action.play"), entry, onPlay, icon(playing ? "pause" : "play"))
      : element("span", { class: "recent-mark", "data-status": entry.status, "aria-hidden": "true" },
          ...(entry.status === "failed" ? [icon("warning")] : []));
    const tools = element("div", { class: "recent-tools" });
    if (entry.status === "completed") {
      tools.append(element("a", {
        class: "icon-button",
        "data-action": "download",
        href: resultUrl(entry.id),
        download: true,
        "aria-label": `${t("action.download")}: ${entry.text}`,
        title: t("action.download"),
      }, icon("download")));
    }
    if (isOpen(entry)) {
      if (!shown) {
        tools.append(element("button", {
          type: "button",
          class: "button small",
          "data-action": "show",
          "aria-label": `${t("action.show")}: ${entry.text}`,
          onclick: () => onShow(entry),
        }, t("action.show")));
      }
      tools.append(action("cancel", t("action.cancel"), entry, onCancel, icon("remove")));
    } else {
      tools.append(action("remove", t("recent.remove"), entry, onRemove, icon("remove")));
    }
    const text = element("p", { class: "recent-text" }, entry.text || t("recent.no-text"));
    const facts = element("p", { class: "recent-meta hint" }, meta);
    if (entry.error) facts.title = entry.error;
    const body = element("div", { class: "recent-body" }, text, facts);
    const item = element("li", { "data-id": entry.id, "data-status": entry.status }, lead, body, tools);
    if (shown) item.setAttribute("aria-current", "true");
    return item;
  }

  /** Where the focus is, as a row number and a control, to find it again after rebuilding. */
  function focusedControl() {
    const item = document.activeElement?.closest("#recent-list > li");
    if (!item) return null;
    return { id: item.dataset.id, index: [...list.children].indexOf(item), action: document.activeElement.dataset.action };
  }

  function restoreFocus(focus) {
    if (!focus || list.contains(document.activeElement)) return;
    const row = list.querySelector(`li[data-id="${CSS.escape(focus.id)}"]`);
    const item = row ?? list.children[Math.min(focus.index, list.children.length - 1)];
    const same = item?.querySelector(`[data-action="${focus.action}"]`);
    const control = same ?? item?.querySelector("[data-action]");
    (control ?? byId("text")).focus();
  }

  return {
    /**
     * @param {import("./recent.js").Entry[]} entries
     * @param {object} above what the card above shows
     * @param {string|null} above.shownId the job in the player or under way
     * @param {string|null} above.playingId the job that sounds
     */
    render(entries, { shownId, playingId }) {
      const focus = focusedControl();
      const now = Date.now();
      const old = new Map([...list.children].map((item) => [item.dataset.id, item]));
      const items = entries.map((entry) => {
        const meta = metaText(entry, now);
        const signature = JSON.stringify([entry, meta, entry.id === shownId, entry.id === playingId]);
        const kept = old.get(entry.id);
        if (kept && signatures.get(entry.id) === signature) return kept;
        signatures.set(entry.id, signature);
        return row(entry, meta, { shown: entry.id === shownId, playing: entry.id === playingId });
      });
      // Moving a node drops its focus, so an unchanged list is left alone.
      const changed = items.length !== list.children.length || items.some((item, i) => item !== list.children[i]);
      if (changed) list.replaceChildren(...items);
      byId("recent-empty").hidden = entries.length > 0;
      byId("recent-clear").hidden = entries.every(isOpen);
      restoreFocus(focus);
    },
  };
}
