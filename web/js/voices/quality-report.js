// The quality report of a clip: bars for level, clipping, noise and bandwidth, a grade in a word for each, and advice.

import { element } from "../base/dom.js";
import { decimal } from "../base/format.js";
import { t } from "../base/i18n.js";
import { badge } from "../base/widgets.js";
import { adviceOf, verdicts } from "./quality.js";

function valueText({ name, value }) {
  if (value === null) return t(`quality.${name}-unknown`);
  switch (name) {
    case "level":
      return `${decimal(value, 0)} LUFS`;
    case "clipping":
      return `${decimal(value * 100, 3)} %`;
    case "noise":
      return `${decimal(value, 0)} dB`;
    default:
      return `${decimal(value / 1000, 1)} kHz`;
  }
}

function bar(verdict) {
  const fill = element("span", { class: "quality-fill" });
  fill.style.inlineSize = `${Math.round(verdict.share * 100)}%`;
  return element("li", { class: "quality-row", "data-grade": verdict.grade },
    element("span", { class: "quality-name" }, t(`quality.${verdict.name}`)),
    element("span", { class: "quality-bar", "aria-hidden": "true" }, fill),
    element("span", { class: "quality-value" }, valueText(verdict)),
    badge(verdict.grade, t(`quality.${verdict.grade}`)));
}

/** @param {object} voice with a clip */
export function qualityReport(voice) {
  const advice = adviceOf(voice);
  return element("div", { class: "quality" },
    element("ul", { class: "quality-rows" }, ...verdicts(voice.clip.quality).map(bar)),
    ...(advice.length > 0
      ? [element("ul", { class: "quality-advice" }, ...advice.map((sentence) => element("li", {}, sentence)))]
      : [element("p", { class: "hint" }, t("quality.nothing-to-mend"))]));
}
