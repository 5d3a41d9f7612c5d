// Reading along: the text as it is spoken, the sentence that is heard marked, and each of them a way to hear it from there.
// One stop for the Tab key; arrows go from sentence to sentence.

import { byId, element } from "../base/dom.js";
import { lineAt, windowOf } from "./captions.js";

/** @param {{onChoose: (line: import("./captions.js").Line, index: number) => void}} parts */
export function createTranscript({ onChoose }) {
  const root = byId("transcript");
  /** @type {import("./captions.js").Line[]} */
  let lines = [];
  let shown = { first: 0, end: 0 };
  let current = -1;
  let signature = "";

  const nodes = () => [...root.children];
  const nodeOf = (index) => root.children[index - shown.first] ?? null;

  function build() {
    const focused = nodes().indexOf(document.activeElement);
    root.replaceChildren(...lines.slice(shown.first, shown.end).map((line, offset) => element("span", {
      role: "button", class: "sentence", tabindex: -1, "data-index": shown.first + offset, "data-open": String(line.end === null),
    }, `${line.text} `)));
    root.hidden = lines.length === 0;
    if (focused >= 0) (root.children[Math.min(focused, root.children.length - 1)] ?? byId("play")).focus();
  }

  function mark() {
    for (const node of nodes()) {
      node.removeAttribute("aria-current");
      node.tabIndex = -1;
    }
    const node = nodeOf(current);
    node?.setAttribute("aria-current", "true");
    const focused = nodes().find((one) => one === document.activeElement);
    const stop = focused ?? node ?? root.children[0];
    if (stop) stop.tabIndex = 0;
    if (node && !focused) reveal(node);
  }

  /** Scrolls the box, never the page. */
  function reveal(node) {
    const box = root.getBoundingClientRect();
    const line = node.getBoundingClientRect();
    const isInside = line.top >= box.top && line.bottom <= box.bottom;
    if (!isInside) root.scrollTop += line.top - box.top - root.clientHeight / 3;
  }

  function choose(node) {
    const index = Number(node.dataset.index);
    onChoose(lines[index], index);
  }

  root.addEventListener("click", (event) => {
    const node = event.target.closest(".sentence");
    // A selection is no click.
    if (node && String(getSelection()) === "") choose(node);
  });
  root.addEventListener("keydown", (event) => {
    const node = event.target.closest(".sentence");
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = nodes().indexOf(node);
    const moves = {
      ArrowDown: () => root.children[index + 1],
      ArrowRight: () => root.children[index + 1],
      ArrowUp: () => root.children[index - 1],
      ArrowLeft: () => root.children[index - 1],
      Home: () => root.children[0],
      End: () => root.lastElementChild,
    };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(node);
    } else if (moves[event.key]) {
      event.preventDefault();
      const next = moves[event.key]();
      if (!next) return;
      node.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }
  });

  return {
    /** @param {import("./captions.js").Line[]} next */
    show(next) {
      const signed = JSON.stringify(next);
      if (signed === signature) return;
      signature = signed;
      lines = next;
      shown = windowOf(lines.length, current);
      build();
      mark();
    },
    /** Marks what is heard at this second. */
    follow(seconds) {
      const index = lineAt(lines, seconds);
      if (index === current) return;
      current = index;
      const next = windowOf(lines.length, current);
      if (next.first !== shown.first || next.end !== shown.end) {
        shown = next;
        build();
      }
      mark();
    },
    get line() {
      return lines[current] ?? null;
    },
    clear() {
      lines = [];
      signature = "";
      current = -1;
      shown = { first: 0, end: 0 };
      build();
    },
  };
}
