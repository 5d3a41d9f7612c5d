// How a model can be told to speak: which parameters the page knows, in which range they make sense, and what of them is
// sent. Which ones a model obeys, and its own values for them, the server says (`parameters` of a model).

/** In the order in which they matter. Ranges lie within the server's. */
export const KNOWN = {
  exaggeration: { least: 0, most: 2, step: 0.05 },
  cfg_weight: { least: 0, most: 1, step: 0.05 },
  temperature: { least: 0.05, most: 2, step: 0.05 },
  top_p: { least: 0.05, most: 1, step: 0.01 },
  top_k: { least: 1, most: 2000, step: 1 },
  min_p: { least: 0, most: 0.5, step: 0.01 },
  repetition_penalty: { least: 1, most: 2.5, step: 0.05 },
};

/**
 * The sliders of a model.
 * @param {{name: string, default: number}[]} obeyed
 * @returns {{name: string, default: number, least: number, most: number, step: number}[]}
 */
export function slidersFor(obeyed) {
  return Object.entries(KNOWN)
    .map(([name, range]) => ({ name, ...range, default: obeyed.find((one) => one.name === name)?.default }))
    .filter((slider) => slider.default !== undefined)
    // A model's own value may lie outside of what usually makes sense.
    .map((slider) => ({ ...slider, least: Math.min(slider.least, slider.default), most: Math.max(slider.most, slider.default) }));
}

/** Of the chosen values those that this model obeys and that are not its own anyway. */
export function changedFrom(sliders, chosen) {
  const kept = {};
  for (const { name, default: own, least, most } of sliders) {
    const value = chosen[name];
    if (typeof value === "number" && Number.isFinite(value) && value !== own) kept[name] = Math.min(most, Math.max(least, value));
  }
  return kept;
}
