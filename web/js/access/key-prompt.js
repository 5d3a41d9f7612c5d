// Asks for a key and brings it to the server, which answers with a cookie that scripts cannot read. The key itself is kept
// nowhere in the page. The question cannot be put aside: without a key there is nothing to see.

import { element, say } from "../base/dom.js";
import { t } from "../base/i18n.js";

/**
 * @param {object} parts
 * @param {(key: string) => Promise<object>} parts.signIn
 * @returns {Promise<void>} resolves once the server took a key
 */
export function promptForKey({ signIn }) {
  return new Promise((resolve) => {
    const alert = element("p", { class: "alert", role: "alert", hidden: true });
    const input = element("input", {
      type: "password", id: "key-input", required: true, maxlength: 200, autocomplete: "current-password", spellcheck: "false", placeholder: "dcl_…",
      "aria-describedby": "key-hint",
    });
    // Password managers keep a secret for a name.
    const name = element("input", { type: "text", value: "declaim", autocomplete: "username", readonly: true, hidden: true, "aria-hidden": "true", tabindex: -1 });
    const send = element("button", { class: "button small primary" }, t("key.enter"));
    const form = element("form", { class: "key-form" },
      element("h2", { id: "key-title" }, t("key.title")),
      element("p", { class: "hint", id: "key-hint" }, t("key.hint")),
      name,
      element("label", { class: "label", for: "key-input" }, t("key.key")),
      input, alert,
      element("div", { class: "dialog-actions" }, send));
    const dialog = element("dialog", { class: "dialog", id: "key-dialog", "aria-labelledby": "key-title" }, form);
    let done = false;
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      if (!done) dialog.showModal();
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (send.getAttribute("aria-disabled") === "true") return;
      send.setAttribute("aria-disabled", "true");
      say(alert, null);
      try {
        await signIn(input.value.trim());
        done = true;
        dialog.close();
        dialog.remove();
        resolve();
      } catch (error) {
        say(alert, error.status === 401 ? t("key.unknown") : error.message);
        input.select();
      } finally {
        send.removeAttribute("aria-disabled");
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}
