// The model chip in the header and the banner below it: what the server is, and whether it can be used now.

import { t } from "../base/i18n.js";
import { byId, element, say } from "../base/dom.js";
import { bannerText, held, modelFacts, modelTitle } from "./server.js";

export function createStatusBar({ onRetry, onResume }) {
  const details = byId("model");
  const banner = byId("banner");
  byId("banner-retry").addEventListener("click", onRetry);
  const resume = byId("banner-resume");
  resume.addEventListener("click", async () => {
    resume.disabled = true;
    try {
      await onResume();
    } catch (error) {
      say(byId("banner-text"), error.message);
    } finally {
      resume.disabled = false;
    }
  });
  document.addEventListener("click", (event) => {
    if (!details.contains(event.target)) details.open = false;
  });

  return {
    /** @param {import("./server.js").ServerView} view */
    render(view) {
      byId("model-dot").dataset.kind = view.kind;
      byId("model-summary").textContent = view.kind === "ready" ? modelTitle(view.info) : t(`server.kind-${view.kind}`);
      const facts = modelFacts(view.info);
      byId("model-facts").replaceChildren(
        ...(facts.length > 0 ? facts : [[t("fact.model"), t(`server.kind-${view.kind}`)]]).map(([name, value]) =>
          element("div", {}, element("dt", {}, name), element("dd", {}, value))),
      );
      const text = bannerText(view);
      banner.hidden = text === null;
      banner.dataset.kind = view.kind;
      say(byId("banner-text"), text);
      resume.hidden = held(view) === null;
      byId("banner-retry").hidden = view.kind === "loading" || !resume.hidden;
    },
    /** Closes the open panel; false when there was none. */
    close() {
      if (!details.open) return false;
      details.open = false;
      details.querySelector("summary").focus();
      return true;
    },
  };
}
