// Books and other texts that were sent together: how far each is, and its sound as chapters or in one piece.

import { element, icon } from "../base/dom.js";
import { ago, percent } from "../base/format.js";
import { t } from "../base/i18n.js";
import { badge, facts, meter, workButton } from "../base/widgets.js";
import { batchStatus, resultAddress } from "../jobs/batches.js";

/** Of those that have ended, so many are shown until somebody asks for all. */
const NEWEST = 3;

/**
 * @param {object} parts
 * @param {() => string[]} parts.formats
 * @param {(batch: object) => Promise<void>} parts.onCancel
 */
export function createBatchList({ formats, alert, onCancel }) {
  const list = element("ul", { class: "batch-list", id: "batch-list" });
  const root = element("section", { class: "card batches", "aria-labelledby": "title-batches", hidden: true },
    element("h3", { class: "label", id: "title-batches" }, t("batch.title")), list);
  const more = element("button", { type: "button", class: "link", onclick: () => {
    showsAll = true;
    show(known);
    list.querySelector(`li:nth-child(${NEWEST + 1}) :is(a, button)`)?.focus();
  } });
  root.append(more);
  let showsAll = false;
  let known = [];
  let drawn = "";

  function downloads(batch) {
    const menu = element("details", { class: "menu menu-end", "data-key": batch.batch_id },
      element("summary", { class: "button small quiet" }, t("batch.joined")),
      element("div", { class: "menu-panel" }, ...formats().map((name) =>
        element("a", { class: "menu-item", href: resultAddress(batch, name), download: true, "data-format": name }, name.toUpperCase()))));
    return [
      element("a", { class: "button small", href: resultAddress(batch, "m4b"), download: true, "data-action": "book", title: t("batch.book-hint") },
        icon("download"), t("batch.book")),
      element("a", { class: "button small", href: resultAddress(batch), download: true, "data-action": "zip" }, icon("download"), t("batch.zip")),
      menu,
    ];
  }

  function row(batch, now) {
    const { total, counts } = batch;
    const { isOpen, hasSound } = batchStatus(batch);
    const title = batch.title || t("batch.untitled");
    return element("li", { "data-id": batch.batch_id, "data-status": batch.status },
      element("div", { class: "batch-body" },
        element("p", { class: "batch-title" }, title),
        facts(t("batch.progress", { count: counts.completed ?? 0, total }), counts.failed > 0 ? t("batch.failed", { count: counts.failed }) : "",
          ago(batch.created_at * 1000, now)),
        ...(isOpen ? [meter(batch.progress / 100, title)] : [])),
      badge(isOpen ? "running" : counts.failed > 0 ? "failed" : "completed", isOpen ? percent(batch.progress / 100) : t(batch.status === "cancelled" ? "status.cancelled" : "status.completed")),
      element("div", { class: "card-tools" },
        ...(isOpen ? [workButton(t("action.cancel"), () => onCancel(batch), { alert, name: `${t("action.cancel")}: ${title}` })] : []),
        ...(hasSound ? downloads(batch) : [])));
  }

  /** @param {object[]} batches newest first */
  function show(batches) {
    known = batches;
    root.hidden = batches.length === 0;
    const ended = batches.filter((batch) => !batchStatus(batch).isOpen);
    const shown = showsAll ? batches : batches.filter((batch) => batchStatus(batch).isOpen || ended.indexOf(batch) < NEWEST);
    more.hidden = shown.length === batches.length;
    more.textContent = t("batch.all", { count: batches.length });
    const now = Date.now();
    const signature = JSON.stringify([shown, formats(), shown.map((batch) => ago(batch.created_at * 1000, now))]);
    // An open menu is not taken from under somebody's hand.
    if (signature === drawn || list.querySelector("details[open]")) return;
    drawn = signature;
    const focused = list.contains(document.activeElement) ? document.activeElement.closest("li").dataset.id : null;
    list.replaceChildren(...shown.map((batch) => row(batch, now)));
    if (focused) [...list.children].find((item) => item.dataset.id === focused)?.querySelector("button, a, summary")?.focus();
  }

  return { root, show };
}
