// A small plot of bars: enough to see whether a number goes up or down. The numbers themselves are in its caption.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 48;
const BAR = 6;
const GAP = 3;

function node(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** @param {number[]} values from 0 @param {string} label what it shows, for screen readers */
export function barPlot(values, label) {
  const most = Math.max(...values, Number.MIN_VALUE);
  const width = values.length * (BAR + GAP);
  const svg = node("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "plot", role: "img", "aria-label": label, preserveAspectRatio: "xMinYMax meet" });
  svg.append(...values.map((value, index) => {
    const height = Math.max(2, (value / most) * HEIGHT);
    return node("rect", { x: index * (BAR + GAP), y: HEIGHT - height, width: BAR, height, rx: 2 });
  }));
  return svg;
}
