// The view of models: what there is, what it takes, and what can be done with it. While it is open, pulls are watched as
// events; where those break off, the list is asked for again.

import { element, say } from "../base/dom.js";
import { bytes } from "../base/format.js";
import { t } from "../base/i18n.js";
import { repeat } from "../base/loop.js";
import { confirmed, meter, viewHead } from "../base/widgets.js";
import { createModelCard } from "./model-card.js";
import { isPulling, joined, memoryOf } from "./models.js";

const IDLE_MS = 15_000;
const BUSY_MS = 1500;
/** After something was done, it is looked at often: a load begins a moment after it was asked for. */
const EAGER_MS = 10_000;

export function createModelsView({ api, store, root, announce, refreshServer, onUse }) {
  const alert = element("p", { class: "alert", role: "alert", hidden: true });
  const memory = element("div", { class: "card memory" });
  const list = element("ul", { class: "cards", id: "model-list" });
  const empty = element("p", { class: "hint", id: "models-empty" }, t("models.asking"));
  root.append(viewHead("title-models", t("view.models"), t("models.lead")), alert, memory, empty, list);

  let listed = null;
  let loop = null;
  let eagerUntil = 0;
  /** @type {Map<string, EventSource>} */
  const watched = new Map();
  const cards = new Map();

  const card = createModelCard({
    pull: (name) => work(async () => {
      await api.pullModel(name);
      announce(t("models.pulling", { name }));
    }),
    cancel: (name) => work(() => api.cancelPull(name)),
    load: (name) => work(() => api.loadModel(name)),
    unload: (name) => work(() => api.unloadModel(name)),
    verify: (name) => work(async () => {
      const { ok, damages } = await api.verifyModel(name);
      const told = ok ? t("models.whole", { name }) : t("models.broken", { name, damages: damages.map(damageText).join("; ") });
      announce(told);
      say(alert, ok ? null : told);
      return told;
    }),
    async remove(model) {
      const size = bytes(model.listed?.size_bytes ?? NaN);
      if (!await confirmed(t("models.remove-question", { name: model.name, size }), { action: t("action.remove") })) return null;
      return work(() => api.removeModel(model.name));
    },
    use: onUse,
    alert,
  });

  function damageText(damage) {
    return typeof damage === "string" ? damage : Object.values(damage).filter((part) => typeof part === "string").join(": ");
  }

  /** Does something, then shows what has become of it. */
  async function work(deed) {
    const result = await deed();
    eagerUntil = Date.now() + EAGER_MS;
    refreshServer();
    loop?.nudge();
    return result;
  }

  function render() {
    const { info } = store.get().server;
    const models = listed === null && !info ? [] : joined(listed ?? [], info);
    empty.hidden = models.length > 0;
    renderMemory(info);
    // Cards are kept, so that the focus stays where it is; each draws what changed.
    for (const model of models) {
      if (!cards.has(model.name)) cards.set(model.name, card(model.name));
      cards.get(model.name).show(model);
    }
    const nodes = models.map((model) => cards.get(model.name).node);
    if (nodes.length !== list.children.length || nodes.some((node, i) => node !== list.children[i])) list.replaceChildren(...nodes);
  }

  function renderMemory(info) {
    const { used, budget, loaded } = memoryOf(info);
    memory.hidden = !info;
    const megabytes = (number) => bytes(number * 1024 * 1024);
    const told = budget
      ? t("models.memory-of", { used: megabytes(used), budget: megabytes(budget) })
      : t("models.memory", { used: megabytes(used) });
    const names = loaded.map((model) => model.name).join(", ");
    memory.replaceChildren(
      element("div", { class: "field-head" }, element("h3", { class: "label" }, t("models.in-memory")), element("p", { class: "hint" }, told)),
      ...(budget ? [meter(used / budget, t("models.in-memory"))] : []),
      element("p", { class: "hint" }, names || t("models.none-loaded")));
  }

  function watchPulls() {
    for (const entry of listed.filter(isPulling)) {
      if (watched.has(entry.name)) continue;
      const source = new EventSource(`/api/models/${encodeURIComponent(entry.name)}/events`);
      watched.set(entry.name, source);
      source.addEventListener("progress", (event) => {
        listed = listed.map((one) => (one.name === entry.name ? { ...one, pull: JSON.parse(event.data) } : one));
        render();
      });
      const end = () => {
        source.close();
        watched.delete(entry.name);
        refreshServer();
        loop?.nudge();
      };
      for (const name of ["done", "cancelled", "failed"]) source.addEventListener(name, end);
      source.onerror = end;
    }
  }

  store.watch(["server"], render);

  return {
    show() {
      loop ??= repeat(async (signal) => {
        try {
          listed = await api.models(signal);
          say(alert, null);
        } catch (error) {
          if (signal.aborted) return null;
          if (listed === null) say(alert, error.message);
        }
        if (signal.aborted) return null;
        if (listed) watchPulls();
        render();
        refreshServer();
        const loading = store.get().server.info?.models?.some((model) => model.state === "loading");
        return loading || Date.now() < eagerUntil || listed?.some(isPulling) ? BUSY_MS : IDLE_MS;
      });
    },
    hide() {
      loop?.stop();
      loop = null;
      for (const source of watched.values()) source.close();
      watched.clear();
    },
  };
}
