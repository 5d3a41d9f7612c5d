// Light or dark. The system decides until somebody presses the button; choosing what the system says anyway hands the
// decision back to it, so there is no third state to explain.

import { icon } from "./dom.js";

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

/** Wires the button. Fires `themechange` on the document for what is painted rather than styled. */
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
    button.setAttribute("aria-label", shown === "dark" ? "Switch to the light theme" : "Switch to the dark theme");
    button.title = button.getAttribute("aria-label");
    document.dispatchEvent(new Event("themechange"));
  }

  button.addEventListener("click", () => {
    storage.set(KEY, toggled(chosen(), system()));
    apply();
  });
  prefersDark.addEventListener("change", apply);
  storage.onChange(KEY, apply);
  apply();
}
