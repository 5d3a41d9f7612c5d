// One model as a card: what it is, how it is doing, and the buttons that make sense now.

import { element } from "../base/dom.js";
import { bytes, decimal, languageName, percent, roughly } from "../base/format.js";
import { t } from "../base/i18n.js";
import { badge, facts, meter, workButton } from "../base/widgets.js";
import { memoryNeeded, pullShare, speedOf } from "./models.js";

/** More languages than this are counted instead of named. */
const NAMED = 4;

/** "English", or "23 languages". */
export function languagesText(codes = []) {
  return codes.length > NAMED ? t("models.languages", { count: codes.length }) : codes.map(languageName).join(", ");
}

/** "Downloading: 1.2 GB of 1.9 GB, 8 MB/s, 3 min left" */
export function pullText(pull) {
  if (pull.waiting) return pull.waiting;
  const parts = [t(`pull.${pull.phase}`)];
  if (pull.bytes_total > 0) parts.push(t("pull.of", { done: bytes(pull.bytes_done), total: bytes(pull.bytes_total) }));
  if (pull.bytes_per_second) parts.push(t("pull.speed", { speed: bytes(pull.bytes_per_second) }));
  if (pull.seconds_left) parts.push(t("job.left", { time: roughly(pull.seconds_left) }));
  return parts.join(" · ");
}

/** @returns {(name: string) => {node: HTMLElement, show: (model: import("./models.js").Model) => void}} */
export function createModelCard(actions) {
  return function card(name) {
    const node = element("li", { class: "card model-card", "data-name": name });
    const body = element("div", { class: "model-body" });
    const tools = element("div", { class: "card-tools" });
    node.append(body, tools);
    let shownTools = "";
    let shownBody = "";
    /** @type {import("./models.js").Model} */
    let model;

    const button = (key, deed, kind) =>
      workButton(t(`models.${key}`), deed, { kind, alert: actions.alert, name: `${t(`models.${key}`)}: ${name}` });
    const make = {
      use: () => button("use", async () => actions.use(name), "primary"),
      pull: () => button("pull", () => actions.pull(name), "primary"),
      resume: () => button("resume", () => actions.pull(name), "primary"),
      repair: () => button("repair", () => actions.pull(name), "primary"),
      cancel: () => button("cancel", () => actions.cancel(name)),
      load: () => button("load", () => actions.load(name)),
      unload: () => button("unload", () => actions.unload(name)),
      verify: () => button("verify", () => actions.verify(name)),
      remove: () => button("remove", () => actions.remove(model), "quiet"),
    };

    /** What can be done, by state. */
    function possible() {
      const installed = model.listed && ["installed", "damaged"].includes(model.listed.state);
      const files = installed ? ["verify", "remove"] : [];
      switch (model.kind) {
        case "pulling":
          return ["cancel"];
        case "missing":
          return ["pull"];
        case "partial":
          return ["resume", "remove"];
        case "damaged":
          return ["repair", "remove"];
        case "ready":
          return ["use", "unload", ...files];
        case "loading":
          return ["use", ...files];
        default:
          return model.described ? ["use", "load", ...files] : files;
      }
    }

    function describe() {
      const { listed, described, kind } = model;
      const size = bytes(listed?.size_bytes ?? NaN);
      const needed = memoryNeeded(model);
      const memory = needed ? t("models.takes", { size: bytes(needed) }) : "";
      const known = speedOf(model);
      const speed = known ? t(known.measured ? "models.speed" : "models.speed-about", { speed: decimal(known.speed, 1) }) : "";
      const lines = [
        element("div", { class: "card-head" },
          element("h3", {}, listed?.title ?? name),
          badge(kind, t(`models.kind-${kind}`)),
          ...(described?.default ? [badge("default", t("models.default"))] : [])),
        element("p", {}, listed?.purpose ?? t("models.embedded")),
        facts(listed ? name : "", languagesText(listed?.languages ?? described?.languages), listed?.licence, size, memory, speed, described?.supports_cloning ? t("models.clones") : ""),
      ];
      if (kind === "ready") {
        const took = described.load_sec ? t("models.loaded-in", { time: `${decimal(described.load_sec, 1)} s` }) : "";
        lines.push(facts(described.device, took, described.in_use ? t("models.in-use") : ""));
      }
      if (kind === "pulling") {
        const share = pullShare(listed.pull);
        lines.push(
          element("div", { class: "pull" }, meter(share, t("models.progress", { name })), element("span", { class: "pull-share" }, share === null ? "" : percent(share))),
          element("p", { class: "hint", role: "status" }, pullText(listed.pull)));
      }
      if (listed?.fits_memory === false) lines.push(element("p", { class: "problem" }, t("models.too-large")));
      const trouble = described?.error ?? listed?.problem ?? (listed?.pull?.state === "failed" ? listed.pull.error : null);
      if (trouble && kind !== "pulling") lines.push(element("p", { class: "problem" }, trouble));
      if (kind === "unloaded" && described?.why_unloaded) lines.push(facts(described.why_unloaded));
      if (kind === "partial") lines.push(facts(t("models.partly", { size: bytes(listed.partial_bytes) })));
      return lines;
    }

    return {
      node,
      show(next) {
        model = next;
        const signature = JSON.stringify(model);
        if (signature !== shownBody) body.replaceChildren(...describe());
        shownBody = signature;
        const names = possible();
        if (names.join() === shownTools) return;
        shownTools = names.join();
        const focused = tools.contains(document.activeElement);
        tools.replaceChildren(...names.map((tool) => make[tool]()));
        if (focused) (tools.querySelector("button") ?? body).focus();
      },
    };
  };
}
