// One sound at a time: whoever begins makes whoever sounded before stop.

export function createSolo() {
  let stopCurrent = null;
  return {
    /** @param {() => void} stop how to make the one who begins stop */
    take(stop) {
      if (stopCurrent !== null && stopCurrent !== stop) stopCurrent();
      stopCurrent = stop;
    },
  };
}
