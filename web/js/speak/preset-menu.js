// The menu of presets: choose one, save the form as one, remove one's own.

import { byId, element, icon } from "../base/dom.js";
import { snippet } from "../base/format.js";
import { t } from "../base/i18n.js";
import { createPresets, presetsFor } from "./presets.js";

const NAME_CHARACTERS = 40;

/**
 * @param {object} parts
 * @param {() => import("./presets.js").Preset} parts.current the form as it stands, without a name
 * @param {() => object|null} parts.model the chosen one
 * @param {(preset: import("./presets.js").Preset) => void} parts.onChoose
 */
export function createPresetMenu({ storage, current, model, onChoose }) {
  const menu = byId("presets");
  const panel = byId("preset-panel");
  const presets = createPresets(storage);

  function item(preset, own) {
    const choose = element("button", { type: "button", class: "menu-item", title: snippet(preset.text, 200), onclick: () => {
      menu.open = false;
      onChoose(preset);
    } }, preset.name);
    if (!own) return element("li", {}, choose);
    const remove = element("button", { type: "button", class: "icon-button", "aria-label": `${t("preset.remove")}: ${preset.name}`, title: t("preset.remove"), onclick: () => {
      presets.remove(preset.name);
      render();
      panel.querySelector("input").focus();
    } }, icon("remove"));
    return element("li", {}, choose, remove);
  }

  function render() {
    const own = presets.list();
    const name = element("input", { type: "text", maxlength: NAME_CHARACTERS, "aria-label": t("preset.name"), placeholder: t("preset.name") });
    const save = () => {
      const preset = current();
      const called = name.value.trim() || snippet(preset.text, NAME_CHARACTERS);
      if (!called) return;
      presets.save({ ...preset, name: called });
      render();
      panel.querySelector("input").focus();
    };
    name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      // Not the form's own Enter, which would speak.
      event.preventDefault();
      save();
    });
    panel.replaceChildren(
      element("ul", { class: "menu-list" }, ...own.map((preset) => item(preset, true)), ...presetsFor(model()).map((preset) => item(preset, false))),
      element("div", { class: "menu-save" }, name, element("button", { type: "button", class: "button small", onclick: save }, t("preset.save"))),
    );
  }

  menu.addEventListener("toggle", () => {
    if (menu.open) render();
  });
}
