// Which model speaks, how it is doing, and in which language: a list of what can be used now, with a word on each state.

import { byId, element } from "../base/dom.js";
import { bytes, languageName } from "../base/format.js";
import { t } from "../base/i18n.js";

/** The models that are described by `/api/model-info`, the default one first; servers that tell of one have one. */
export function modelsOf(info) {
  if (!info) return [];
  if (Array.isArray(info.models) && info.models.length > 0) {
    return [...info.models].sort((a, b) => Number(b.default === true) - Number(a.default === true));
  }
  const name = info.name ?? info.type;
  return name ? [{ ...info, name, default: true, languages: Object.keys(info.supported_languages ?? {}) }] : [];
}

/** The line under the choice. */
export function modelHint(model) {
  if (!model) return "";
  const memory = model.memory_mb ? bytes(model.memory_mb * 1024 * 1024) : "";
  switch (model.state) {
    case "ready":
      return [t("model.ready-on", { device: model.device ?? "?" }), memory].filter(Boolean).join(" · ");
    case "failed":
      return t("model.failed", { reason: model.error ?? t("server.see-log") });
    case "loading":
      return t("model.loading");
    default:
      return [t("model.unloaded"), memory].filter(Boolean).join(" · ");
  }
}

/** @param {{chosen: {model: string|null, language: string|null}, onChange: () => void}} parts */
export function createModelChooser({ chosen, onChange }) {
  const select = byId("model-choice");
  const languages = byId("language");
  let models = [];
  // Kept while a model is not there, such as one that is being downloaded again.
  let wanted = chosen.model;
  let wantedLanguage = chosen.language;

  const current = () => models.find((model) => model.name === wanted) ?? models[0] ?? null;

  function show() {
    const model = current();
    byId("model-hint").textContent = modelHint(model);
    const codes = model?.languages ?? [];
    byId("language-field").hidden = codes.length < 2;
    if (languages.dataset.codes !== codes.join()) {
      languages.dataset.codes = codes.join();
      const named = codes.map((code) => [code, languageName(code)]).sort((a, b) => a[1].localeCompare(b[1]));
      languages.replaceChildren(...named.map(([code, name]) => element("option", { value: code }, name)));
      languages.value = codes.includes(wantedLanguage) ? wantedLanguage : codes.includes("en") ? "en" : (codes[0] ?? "");
    }
  }

  function option(model) {
    const state = model.state ? t(`model.state-${model.state}`) : "";
    return element("option", { value: model.name }, [model.name, state].filter(Boolean).join(" – "));
  }

  select.addEventListener("change", () => {
    wanted = select.value;
    show();
    onChange();
  });
  languages.addEventListener("change", () => {
    wantedLanguage = languages.value;
    onChange();
  });

  return {
    get current() {
      return current();
    },
    /** What a request names: null for the server's default. */
    get model() {
      const model = current();
      return model && !model.default ? model.name : null;
    },
    get language() {
      return (current()?.languages ?? []).length > 1 ? languages.value : null;
    },
    choose(name, language) {
      wanted = name ?? wanted;
      wantedLanguage = language ?? wantedLanguage;
      delete languages.dataset.codes;
      if (current()) select.value = current().name;
      show();
    },
    setInfo(info) {
      const listed = modelsOf(info);
      const key = JSON.stringify(listed.map((model) => [model.name, model.state]));
      models = listed;
      if (select.dataset.shown !== key) {
        select.dataset.shown = key;
        select.replaceChildren(...models.map(option));
        if (current()) select.value = current().name;
      }
      show();
    },
  };
}
