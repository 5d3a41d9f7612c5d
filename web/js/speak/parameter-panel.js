// The sliders of the chosen model. Values stay when the model changes, so that going back finds them.

import { byId, element } from "../base/dom.js";
import { decimal } from "../base/format.js";
import { t } from "../base/i18n.js";
import { changedFrom, slidersFor } from "./parameters.js";

/** Shows how far a slider's track is filled; browsers other than Firefox cannot by themselves. */
export function fill(slider) {
  const share = (Number(slider.value) - Number(slider.min)) / (Number(slider.max) - Number(slider.min));
  slider.style.setProperty("--fill", `${share * 100}%`);
}

/** @param {{chosen: Record<string, number>, onChange: () => void}} parts */
export function createParameterPanel({ chosen, onChange }) {
  let values = { ...chosen };
  let sliders = [];
  let shown = "";
  const reset = byId("parameters-reset");

  function changed() {
    reset.hidden = Object.keys(changedFrom(sliders, values)).length === 0;
  }

  function field(slider) {
    const id = `parameter-${slider.name}`;
    const output = element("output", { for: id });
    const input = element("input", { type: "range", id, min: slider.least, max: slider.most, step: slider.step, "aria-describedby": `${id}-hint` });
    const show = () => {
      output.textContent = decimal(Number(input.value), 2);
      fill(input);
    };
    input.value = String(values[slider.name] ?? slider.default);
    input.addEventListener("input", () => {
      values[slider.name] = Number(input.value);
      show();
      changed();
      onChange();
    });
    show();
    return element("div", { class: "field" },
      element("div", { class: "field-head" }, element("label", { for: id, class: "label" }, t(`parameter.${slider.name}`)), output),
      input,
      element("p", { class: "hint", id: `${id}-hint` }, t(`parameter.${slider.name}-hint`)));
  }

  function render() {
    byId("parameters").hidden = sliders.length === 0;
    byId("parameter-grid").replaceChildren(...sliders.map(field));
    changed();
  }

  reset.addEventListener("click", () => {
    values = {};
    render();
    byId("parameter-grid").querySelector("input")?.focus();
    onChange();
  });

  return {
    /** What differs from the model's own values. */
    get value() {
      return changedFrom(sliders, values);
    },
    /** Everything that was ever chosen, to be kept. */
    get all() {
      return values;
    },
    set(next) {
      values = { ...next };
      render();
    },
    setModel(obeyed) {
      const key = JSON.stringify(obeyed);
      if (key === shown) return;
      shown = key;
      sliders = slidersFor(obeyed);
      render();
    },
  };
}
