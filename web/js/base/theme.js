// Light or dark. The system decides until somebody presses the button; choosing what the system says anyway hands the
// decision back to it. The settings name all three.

import { icon } from "./dom.js";
import { t } from "./i18n.js";

const KEY = "declaim_theme";

/**
 * What one press of the button leads to.
 * @param {"light"|"dark"|null} chosen what is stored
 * @param {"light"|"dark"} system what the system prefers
 * @returns {"light"|"dark"|null} what to store; null follows the system
 */
export function toggled(chosen, system) {
  const next = (chosen ?? system) === "dark" ? "light" : "dark";
  return next === system ? null : next;
}

/** Wires the button, and lets settings choose. Fires `themechange` on the document for what is painted rather than styled. */
export function startTheme({ button, storage, root = document.documentElement }) {
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const system = () => (prefersDark.matches ? "dark" : "light");
  const chosen = () => {
    const stored = storage.get(KEY);
    return stored === "light" || stored === "dark" ? stored : null;
  };

  function apply() {
    const choice = chosen();
    if (choice) root.dataset.theme = choice;
    else delete root.dataset.theme;
    const shown = choice ?? system();
    button.replaceChildren(icon(shown === "dark" ? "sun" : "moon"));
    button.setAttribute("aria-label", t(shown === "dark" ? "theme.to-light" : "theme.to-dark"));
    button.title = button.getAttribute("aria-label");
    document.dispatchEvent(new Event("themechange"));
  }

  function choose(choice) {
    storage.set(KEY, choice);
    apply();
  }

  button.addEventListener("click", () => choose(toggled(chosen(), system())));
  prefersDark.addEventListener("change", apply);
  storage.onChange(KEY, apply);
  apply();
  return { chosen, choose };
}
