// One voice as a card: who it is, which models speak with it, how good its clip is, and what can be done with it.

import { element, icon } from "../base/dom.js";
import { clock } from "../base/format.js";
import { t } from "../base/i18n.js";
import { badge, facts, workButton } from "../base/widgets.js";
import { voiceFacts } from "../speak/voice-picker.js";
import { overall, verdicts } from "./quality.js";
import { qualityReport } from "./quality-report.js";

/** The models that can speak with a voice; null where the server does not tell. */
export function speakers(voice) {
  return voice.models?.filter((model) => model.usable).map((model) => model.name) ?? null;
}

/** A small button with a picture. */
function tool(name, label, voice, onClick) {
  return element("button", { type: "button", class: "icon-button", "data-action": name, "aria-label": `${label}: ${voice.name}`, title: label, onclick: onClick }, icon(TOOL_ICONS[name]));
}

const TOOL_ICONS = { star: "star", unstar: "starred", rename: "edit", remove: "trash", clip: "play", export: "download" };

/**
 * @param {object} voice
 * @param {object} actions
 * @param {boolean} actions.isFavourite
 */
export function voiceCard(voice, { isFavourite, onStar, onUse, onTest, onPlayClip, onExport, onRename, onRemove, alert }) {
  const names = speakers(voice);
  const grade = voice.clip ? overall(verdicts(voice.clip.quality)) : null;
  const star = tool(isFavourite ? "unstar" : "star", t(isFavourite ? "voices.unstar" : "voices.star"), voice, onStar);
  star.setAttribute("aria-pressed", String(isFavourite));
  const own = voice.kind === "uploaded";
  const tools = [
    ...(names === null || names.length > 0 ? [workButton(t("voices.use"), async () => onUse(), { kind: "primary", name: `${t("voices.use")}: ${voice.name}` }),
      workButton(t("voices.test"), onTest, { alert, name: `${t("voices.test")}: ${voice.name}` })] : []),
    element("span", { class: "card-icons" },
      ...(voice.clip ? [tool("clip", t("voices.clip"), voice, onPlayClip),
        tool("export", t("voices.export"), voice, onExport)] : []),
      ...(own ? [tool("rename", t("voices.rename"), voice, onRename), tool("remove", t("voices.delete"), voice, onRemove)] : [])),
  ];
  const why = names?.length === 0 ? voice.models.map((model) => model.why_not).find(Boolean) : null;
  return element("li", { class: "card voice-entry", "data-id": voice.id },
    element("div", {},
      element("div", { class: "card-head" },
        element("h3", {}, voice.name || voice.id),
        badge(voice.kind ?? "", t(`voices.kind-${voice.kind ?? "built-in"}`)),
        ...(grade ? [badge(grade, t(`quality.${grade}`))] : []),
        star),
      facts(voiceFacts(voice), voice.clip ? clock(voice.clip.duration_sec) : "", names?.length ? t("voices.with", { models: names.join(", ") }) : ""),
      ...(why ? [element("p", { class: "hint unusable" }, `${why} – `, element("a", { href: "#/models" }, t("voices.get-model")))] : []),
      facts(voice.origin),
      ...(voice.clip ? [element("details", { class: "preview" },
        element("summary", {}, element("span", {}, t("quality.title"))), qualityReport(voice))] : [])),
    element("div", { class: "card-tools" }, ...tools));
}
