// Which view is shown: the part of the address behind `#/`. Reloads, bookmarks and the browser's Back lead where they say.

/** `#/voices/ada` → `{view: "voices", rest: "ada"}`; null for what is no route, such as a link within the page. */
export function parseRoute(hash) {
  const found = /^#\/([a-z]*)(?:\/(.*))?$/.exec(hash);
  if (!found) return null;
  let rest = found[2] ?? "";
  try {
    rest = decodeURIComponent(rest);
  } catch {
    // Not encoded by us; taken as it is.
  }
  return { view: found[1], rest };
}

/**
 * @param {object} parts
 * @param {string[]} parts.views the first one is shown where the address names none
 * @param {(view: string, rest: string, byHand: boolean) => void} parts.onShow `byHand`: somebody went there, as opposed to the page opening
 */
export function createRouter({ views, onShow, events = window, address = location }) {
  let shown = null;

  function follow(byHand) {
    const route = parseRoute(address.hash);
    // A link within the page is not a way to another view.
    if (!route && shown !== null && address.hash) return;
    const view = views.includes(route?.view) ? route.view : views[0];
    const rest = view === route?.view ? route.rest : "";
    shown = view;
    onShow(view, rest, byHand);
  }

  events.addEventListener("hashchange", () => follow(true));
  return {
    start: () => follow(false),
    get shown() {
      return shown;
    },
    go(view, rest = "") {
      address.hash = `#/${view}${rest ? `/${encodeURIComponent(rest)}` : ""}`;
    },
  };
}
