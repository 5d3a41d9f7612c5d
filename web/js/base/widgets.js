// Parts that several views are made of: a heading, a button that works, a question before something is lost, a meter.

import { element, say } from "./dom.js";
import { t } from "./i18n.js";

/** The heading of a view; it takes the focus when somebody comes to the view. */
export function viewHead(id, title, lead, ...tools) {
  return element("header", { class: "page-head" },
    element("div", {},
      element("h2", { id, tabindex: -1 }, title),
      element("p", { class: "page-lead" }, lead)),
    element("div", { class: "page-tools" }, ...tools));
}

/**
 * A button whose work takes a while: it cannot be pressed twice meanwhile, and what went wrong is said in `alert`.
 * @param {string} label
 * @param {() => Promise<unknown>} work
 * @param {{kind?: string, alert?: HTMLElement, name?: string}} [look] `name`: a longer one for screen readers
 */
export function workButton(label, work, { kind = "", alert, name } = {}) {
  const button = element("button", { type: "button", class: `button small ${kind}`.trim(), "aria-label": name }, label);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    if (alert) say(alert, null);
    try {
      await work();
    } catch (error) {
      if (alert) say(alert, error.message);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return button;
}

/** Asks before something is lost. @returns {Promise<boolean>} */
export function confirmed(question, { action, danger = true }) {
  return new Promise((resolve) => {
    const dialog = element("dialog", { class: "dialog", "aria-labelledby": "dialog-question" },
      element("p", { id: "dialog-question" }, question),
      element("form", { method: "dialog", class: "dialog-actions" },
        element("button", { class: "button small", value: "no" }, t("action.keep")),
        element("button", { class: `button small ${danger ? "danger" : "primary"}`, value: "yes" }, action)));
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A bar for a share between 0 and 1. */
export function meter(share, label) {
  const bar = element("progress", { max: 100, "aria-label": label });
  if (share !== null) bar.value = Math.round(share * 100);
  return bar;
}

/** A row of small facts; what is empty is left out. */
export function facts(...parts) {
  return element("p", { class: "hint facts" }, parts.filter(Boolean).join(" · "));
}

/** A word with a colour. */
export function badge(kind, text) {
  return element("span", { class: "badge", "data-kind": kind }, text);
}

/** Asks for one line. @returns {Promise<string|null>} null when it was dropped */
export function asked(question, { value, action, most }) {
  return new Promise((resolve) => {
    const input = element("input", { type: "text", id: "dialog-input", maxlength: most, required: true });
    input.value = value;
    const cancel = element("button", { type: "button", class: "button small" }, t("action.cancel"));
    const form = element("form", { method: "dialog" },
      element("label", { class: "label", for: "dialog-input", id: "dialog-question" }, question),
      input,
      element("div", { class: "dialog-actions" }, cancel, element("button", { class: "button small primary", value: "yes" }, action)));
    const dialog = element("dialog", { class: "dialog", "aria-labelledby": "dialog-question" }, form);
    cancel.addEventListener("click", () => dialog.close("no"));
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" && input.value.trim() ? input.value.trim() : null);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
    input.select();
  });
}
