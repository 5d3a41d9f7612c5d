// The part of the status view about keys: whose key this browser has, and, for administrators, all of them. Where the
// server asks nobody, everybody is one, so that keys can be made before it does.

import { element, say } from "../base/dom.js";
import { ago } from "../base/format.js";
import { t } from "../base/i18n.js";
import { badge, confirmed, facts, workButton } from "../base/widgets.js";
import { quotaLines, scopesText, wishOf } from "./quota.js";

const SCOPES = ["speak", "voices", "admin"];

/** @param {{api: object, announce: (text: string) => void, reload?: () => void}} parts */
export function createAccessSection({ api, announce, reload = () => location.reload() }) {
  const alert = element("p", { class: "alert", role: "alert", hidden: true });
  const own = element("div", { id: "own-key" });
  const list = element("ul", { class: "key-list", id: "key-list" });
  const made = element("div", { id: "new-key", role: "status" });
  const all = element("div", { class: "all-keys", hidden: true }, list, form(), made);
  const root = element("section", { class: "card access", id: "access", hidden: true },
    element("h3", { class: "label" }, t("key.section")), own, all, alert);
  let shown = "";

  function form() {
    const field = (id, label, attributes = {}) => [
      element("label", { class: "label", for: id }, label), element("input", { type: "text", id, autocomplete: "off", ...attributes })];
    const scopes = SCOPES.map((scope) => {
      const input = element("input", { type: "checkbox", name: "key-scope", value: scope });
      input.checked = scope === "speak";
      return element("label", { class: "check" }, input, element("span", {}, t(`key.scope-${scope}`)));
    });
    const node = element("form", { class: "key-form", id: "key-create" },
      element("div", { class: "two" },
        element("div", { class: "field" }, ...field("key-name", t("key.name"), { required: true, maxlength: 64 })),
        element("fieldset", { class: "field" }, element("legend", { class: "label" }, t("key.for")), ...scopes),
        element("div", { class: "field" }, ...field("key-characters", t("key.characters"), { inputmode: "numeric", pattern: "[0-9]*", placeholder: t("key.usual") })),
        element("div", { class: "field" }, ...field("key-seconds", t("key.seconds"), { inputmode: "numeric", pattern: "[0-9]*", placeholder: t("key.usual") }))),
      element("button", { class: "button small primary" }, t("key.create")));
    node.addEventListener("submit", (event) => {
      event.preventDefault();
      void create(node);
    });
    return node;
  }

  async function create(node) {
    const value = (id) => node.querySelector(`#${id}`).value;
    const scopes = [...node.querySelectorAll("input[name=key-scope]:checked")].map((input) => input.value);
    say(alert, null);
    try {
      const key = await api.createKey(wishOf({ name: value("key-name"), scopes, characters: value("key-characters"), seconds: value("key-seconds") }));
      show(key);
      node.reset();
      await refresh();
    } catch (error) {
      say(alert, error.message);
    }
  }

  /** The key itself, this once. */
  function show(key) {
    const text = element("input", { type: "text", class: "code", id: "new-key-text", readonly: true, "aria-label": t("key.key") });
    text.value = key.secret;
    const copy = workButton(t("key.copy"), async () => {
      text.select();
      await navigator.clipboard.writeText(key.secret);
      announce(t("copy.copied"));
    }, { alert });
    made.replaceChildren(element("p", { class: "hint" }, t("key.once", { name: key.name })), element("div", { class: "key-new" }, text, copy));
    text.focus();
  }

  async function revoke(key) {
    if (!await confirmed(t("key.revoke-question", { name: key.name }), { action: t("key.revoke") })) return;
    await api.revokeKey(key.id);
    await refresh();
  }

  function row(key) {
    return element("li", { "data-name": key.name },
      element("div", {},
        element("div", { class: "card-head" }, element("strong", {}, key.name), badge("key", `${key.hint}…`)),
        facts(scopesText(key.scopes), ...quotaLines(key),
          key.last_used_at === null ? t("key.never") : t("key.used", { when: ago(key.last_used_at * 1000, Date.now()) }))),
      workButton(t("key.revoke"), () => revoke(key), { kind: "quiet", alert, name: `${t("key.revoke")}: ${key.name}` }));
  }

  function renderOwn(session) {
    if (!session.key) return own.replaceChildren(element("p", { class: "hint" }, t("key.off")));
    own.replaceChildren(
      element("p", {}, t("key.signed-in", { name: session.key.name })),
      facts(scopesText(session.scopes), ...quotaLines(session.key)),
      workButton(t("key.sign-out"), async () => {
        await api.signOut();
        reload();
      }, { alert }));
  }

  async function refresh(signal) {
    const session = await api.session(signal);
    const isAdmin = session.scopes.includes("admin");
    const keys = isAdmin ? (await api.keys(signal)).keys : [];
    // Rebuilding it would take the focus away from whoever is about to press something.
    const signature = JSON.stringify([session, keys]);
    if (signature === shown) return;
    shown = signature;
    root.hidden = false;
    renderOwn(session);
    all.hidden = !isAdmin;
    const focused = document.activeElement?.closest?.("#key-list > li")?.dataset.name;
    list.replaceChildren(...keys.map(row));
    if (focused) list.querySelector(`[data-name="${CSS.escape(focused)}"] button`)?.focus();
  }

  return { root, refresh };
}
