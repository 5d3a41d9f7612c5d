// A long list of which only the rows in sight exist, so that five thousand scroll like fifty. Rows have one height.

/** Rows beyond the edges that exist too, so that scrolling and Tab meet no gap. */
const SPARE = 8;

/** The rows to show: from `first` up to, but not with, `end`. */
export function rowsInSight({ scrolled, height, rowHeight, count }) {
  const first = Math.max(0, Math.floor(scrolled / rowHeight) - SPARE);
  const end = Math.min(count, Math.ceil((scrolled + height) / rowHeight) + SPARE);
  return { first: Math.min(first, end), end };
}

/**
 * @template Item
 * @param {object} parts
 * @param {HTMLElement} parts.box scrolls; holds nothing else
 * @param {(item: Item) => string} parts.keyOf
 * @param {(item: Item) => string} parts.signatureOf a row is made anew when this changes
 * @param {(item: Item) => HTMLElement} parts.makeRow
 * @param {() => void} parts.onEnd the last rows are in sight
 */
export function createVirtualList({ box, keyOf, signatureOf, makeRow, onEnd }) {
  const list = document.createElement("ul");
  list.className = "virtual";
  box.append(list);
  let items = [];
  /** @type {Map<string, {row: HTMLElement, signature: string}>} */
  let rows = new Map();
  let rowHeight = 0;
  let pending = false;

  function draw() {
    pending = false;
    // Set in the style sheet, where it depends on the width of the window.
    rowHeight = Number.parseFloat(getComputedStyle(box).getPropertyValue("--row")) || 64;
    list.style.blockSize = `${items.length * rowHeight}px`;
    box.style.setProperty("--rows", String(items.length));
    if (box.clientHeight === 0) return;
    const { first, end } = rowsInSight({ scrolled: box.scrollTop, height: box.clientHeight, rowHeight, count: items.length });
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    const focusedKey = focused?.closest("li").dataset.key;
    const next = new Map();
    for (let index = first; index < end; index += 1) {
      const item = items[index];
      const key = keyOf(item);
      const signature = signatureOf(item);
      const known = rows.get(key);
      const row = known?.signature === signature ? known.row : makeRow(item);
      row.dataset.key = key;
      row.style.transform = `translateY(${index * rowHeight}px)`;
      row.setAttribute("aria-setsize", String(items.length));
      row.setAttribute("aria-posinset", String(index + 1));
      next.set(key, { row, signature });
    }
    for (const [key, { row }] of rows) if (next.get(key)?.row !== row) row.remove();
    let before = null;
    for (const { row } of next.values()) {
      const place = before ? before.nextSibling : list.firstChild;
      if (place !== row) list.insertBefore(row, place);
      before = row;
    }
    rows = next;
    if (focusedKey && !list.contains(document.activeElement)) {
      const row = rows.get(focusedKey)?.row;
      (row?.querySelector(`[data-action="${focused.dataset.action}"]`) ?? row?.querySelector("[data-action]") ?? box).focus();
    }
    if (items.length > 0 && end === items.length) onEnd();
  }

  function soon() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(draw);
  }

  box.addEventListener("scroll", soon, { passive: true });
  new ResizeObserver(soon).observe(box);

  return {
    show(next) {
      items = next;
      draw();
    },
  };
}
