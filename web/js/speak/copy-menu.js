// "Copy as": the current request as a command or a program, onto the clipboard, or to be selected where that is forbidden.

import { byId, element } from "../base/dom.js";
import { t } from "../base/i18n.js";
import { asCurl, asPython } from "./snippets.js";

const WAYS = [["curl", asCurl], ["Python", asPython]];

/** @param {{current: () => object|null, announce: (text: string) => void}} parts `current`: null where the form has a problem */
export function createCopyMenu({ current, announce }) {
  const menu = byId("copy-as");
  const panel = byId("copy-panel");

  async function copy(make) {
    const request = current();
    if (!request) {
      menu.open = false;
      return;
    }
    const program = make(location.origin, request);
    try {
      await navigator.clipboard.writeText(program);
      menu.open = false;
      menu.querySelector("summary").focus();
      announce(t("copy.copied"));
    } catch {
      // Plain HTTP on another machine has no clipboard; then people copy themselves.
      const area = element("textarea", { readonly: true, rows: 8, class: "code", "aria-label": t("copy.title") });
      area.value = program;
      panel.append(area);
      area.select();
    }
  }

  menu.addEventListener("toggle", () => {
    if (!menu.open) return;
    panel.replaceChildren(...WAYS.map(([name, make]) =>
      element("button", { type: "button", class: "menu-item", "data-copy": name.toLowerCase(), onclick: () => void copy(make) }, name)));
  });
}
