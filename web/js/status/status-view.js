// The view of the server's state and of this browser's settings. What stands here changes by itself while it is open.

import { createAccessSection } from "../access/access-section.js";
import { element } from "../base/dom.js";
import { decimal, roughly } from "../base/format.js";
import { language, t } from "../base/i18n.js";
import { repeat } from "../base/loop.js";
import { badge, viewHead } from "../base/widgets.js";
import { modelFacts } from "../server/server.js";
import { barPlot } from "./plot.js";
import { median, report, speeds, waits } from "./report.js";
import { createSettingsForm } from "./settings-form.js";

const EVERY_MS = 5000;

export function createStatusView({ api, store, root, announce, theme, languages, chooseLanguage, refreshServer }) {
  const lines = element("ul", { class: "report", id: "report" });
  const facts = element("dl", { class: "fact-list" });
  const access = createAccessSection({ api, announce });
  const pace = element("div", { class: "pace" });
  const waiting = element("div", { class: "pace" });
  const serverSettings = createSettingsForm({ api, store, announce });
  root.append(
    viewHead("title-status", t("view.status"), t("status.lead")),
    element("section", { class: "card", "aria-label": t("report.title") }, element("h3", { class: "label" }, t("report.title")), lines),
    element("div", { class: "halves" },
      element("section", { class: "card" }, element("h3", { class: "label" }, t("status.speed")), pace),
      element("section", { class: "card" }, element("h3", { class: "label" }, t("status.waits")), waiting)),
    element("section", { class: "card" }, element("h3", { class: "label" }, t("status.facts")), facts,
      element("p", { class: "hint" }, element("a", { href: "/docs" }, t("status.api")))),
    serverSettings.root,
    access.root,
    settings());

  let ready = null;
  let notReady = null;
  let jobs = [];
  let loop = null;

  function settings() {
    const choice = element("select", { id: "page-language", onchange: () => chooseLanguage(choice.value) },
      ...Object.entries(languages).map(([code, name]) => element("option", { value: code, lang: code }, name)));
    choice.value = language();
    const themes = [["system", null], ["light", "light"], ["dark", "dark"]].map(([name, value]) => {
      const input = element("input", { type: "radio", name: "theme", value: name, onchange: () => theme.choose(value) });
      input.checked = theme.chosen() === value;
      return element("label", {}, input, element("span", {}, t(`theme.${name}`)));
    });
    document.addEventListener("themechange", () => {
      for (const input of root.querySelectorAll("input[name=theme]")) input.checked = input.value === (theme.chosen() ?? "system");
    });
    return element("section", { class: "card" },
      element("h3", { class: "label" }, t("settings.title")),
      element("div", { class: "two" },
        element("div", { class: "field" }, element("label", { class: "label", for: "page-language" }, t("settings.language")), choice),
        element("fieldset", { class: "field" }, element("legend", { class: "label" }, t("settings.theme")), element("div", { class: "segments" }, ...themes))),
      element("p", { class: "hint" }, t("settings.keys")));
  }

  function render() {
    const { server, voices } = store.get();
    lines.replaceChildren(...report({ server, voices, ready, notReady }).map(({ grade, title, text }) =>
      element("li", { "data-grade": grade },
        element("span", { class: "report-mark", "aria-hidden": "true" }),
        element("strong", {}, title),
        element("span", { class: "report-text" }, text),
        badge(grade, t(`report.${grade}`)))));
    facts.replaceChildren(...modelFacts(server.info).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
    const measured = speeds(jobs);
    const middle = median(measured.map(({ speed }) => speed));
    pace.replaceChildren(...(middle === null
      ? [element("p", { class: "hint" }, t("status.no-speed"))]
      : [barPlot(measured.map(({ speed }) => speed), t("status.speed")),
        element("p", { class: "hint" }, t("status.median", { count: measured.length, speed: decimal(middle, 1) }))]));
    const waited = waits(jobs);
    waiting.replaceChildren(...(waited.length === 0
      ? [element("p", { class: "hint" }, t("status.no-waits"))]
      : [barPlot(waited, t("status.waits")),
        element("p", { class: "hint" }, t("status.waited", { count: waited.length, middle: roughly(median(waited)), most: roughly(Math.max(...waited)) }))]));
  }

  store.watch(["server", "voices"], render);

  return {
    show() {
      loop ??= repeat(async (signal) => {
        refreshServer();
        try {
          ready = await api.ready(signal);
          notReady = null;
        } catch (error) {
          ready = null;
          notReady = error.message;
        }
        await access.refresh(signal).catch(() => {});
        jobs = await api.jobs({ limit: 100 }, signal).then((page) => page.jobs, () => jobs);
        await serverSettings.refresh(signal);
        if (signal.aborted) return null;
        render();
        return EVERY_MS;
      });
    },
    hide() {
      loop?.stop();
      loop = null;
    },
  };
}
