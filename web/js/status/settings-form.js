// The settings of the server that may be changed from here, as a card: what holds, what waits for the next start, save, reset.

import { element, say } from "../base/dom.js";
import { t } from "../base/i18n.js";
import { badge, confirmed, workButton } from "../base/widgets.js";
import { changesOf, FIELDS, isWaiting, valueOf } from "./settings.js";

/** @param {{api: object, store: object, announce: (text: string) => void}} parts */
export function createSettingsForm({ api, store, announce }) {
  const alert = element("p", { class: "alert", role: "alert", hidden: true });
  const waiting = element("p", { class: "hint", id: "settings-waiting", role: "status", hidden: true });
  const grid = element("div", { class: "settings-grid", id: "server-settings" });
  const tools = element("div", { class: "card-tools" },
    workButton(t("defaults.save"), save, { kind: "primary", alert }),
    workButton(t("defaults.reset"), reset, { kind: "quiet", alert }));
  const root = element("section", { class: "card server-settings", hidden: true },
    element("h3", { class: "label" }, t("defaults.title")),
    element("p", { class: "hint" }, t("defaults.lead")), waiting, grid, alert, tools);
  let shown = null;
  let drawn = "";

  const idOf = (path) => `setting-${path.replace(".", "-")}`;

  function choices(field, value) {
    const { server, voices } = store.get();
    const known = field.kind === "voice"
      ? [["", t("defaults.models-own")], ...voices.map((voice) => [voice.id, voice.name])]
      : (server.info?.output_formats ?? []).map((name) => [name, name.toUpperCase()]);
    // What is set stays to be chosen, though nobody knows it any more.
    return value && !known.some(([name]) => name === value) ? [...known, [value, value]] : known;
  }

  function control(field) {
    const value = valueOf(shown, field.path);
    const id = idOf(field.path);
    if (field.kind === "voice" || field.kind === "format") {
      const select = element("select", { id }, ...choices(field, value).map(([name, text]) => element("option", { value: name }, text)));
      select.value = value ?? "";
      return select;
    }
    const input = element("input", field.kind === "flag" ? { type: "checkbox", id } : {
      type: "text", id, autocomplete: "off", inputmode: field.kind === "text" ? "text" : "decimal", placeholder: field.optional ? t("defaults.models-own") : "",
    });
    if (field.kind === "flag") input.checked = value === true;
    else input.value = value ?? "";
    return input;
  }

  function draw() {
    grid.replaceChildren(...FIELDS.map((field) => {
      const input = control(field);
      const mark = isWaiting(shown, field.path) ? [badge("fair", t("defaults.next-start"))] : [];
      if (field.kind === "flag") return element("label", { class: "check" }, input, element("span", {}, t(field.label)), ...mark);
      return element("div", { class: "field" },
        element("div", { class: "field-head" }, element("label", { class: "label", for: input.id }, t(field.label)), ...mark),
        input);
    }));
    say(waiting, shown.restart_needed ? t("defaults.waiting") : null);
  }

  function entered() {
    return Object.fromEntries(FIELDS.map(({ path, kind }) => {
      const input = grid.querySelector(`#${idOf(path)}`);
      return [path, kind === "flag" ? input.checked : input.value];
    }));
  }

  async function save() {
    const { changes, wrong } = changesOf(shown, entered());
    for (const { path } of FIELDS) grid.querySelector(`#${idOf(path)}`).setAttribute("aria-invalid", String(wrong.includes(path)));
    if (wrong.length > 0) {
      const field = FIELDS.find(({ path }) => path === wrong[0]);
      grid.querySelector(`#${idOf(field.path)}`).focus();
      throw new Error(field.least === undefined
        ? t("defaults.wrong", { name: t(field.label) })
        : t("defaults.wrong-range", { name: t(field.label), least: String(field.least), most: String(field.most) }));
    }
    if (Object.keys(changes).length === 0) {
      announce(t("defaults.unchanged"));
      return;
    }
    await api.saveSettings(changes);
    announce(t("defaults.saved"));
    await load(true);
  }

  async function reset() {
    if (!await confirmed(t("defaults.reset-question"), { action: t("defaults.reset") })) return;
    await api.resetSettings();
    announce(t("defaults.saved"));
    await load(true);
  }

  async function load(afresh, signal) {
    // What somebody is entering is not drawn over.
    if (!afresh && (grid.contains(document.activeElement) || root.dataset.changed === "true")) return;
    shown = await api.settings(signal);
    const signature = JSON.stringify([shown, store.get().voices.map(({ id }) => id)]);
    root.hidden = false;
    root.dataset.changed = "false";
    if (signature === drawn && !afresh) return;
    drawn = signature;
    draw();
  }

  grid.addEventListener("input", () => {
    root.dataset.changed = "true";
    say(alert, null);
  });

  return {
    root,
    /** Servers of before have no such thing; then the card stays away. */
    refresh: (signal) => load(false, signal).catch(() => {}),
  };
}
