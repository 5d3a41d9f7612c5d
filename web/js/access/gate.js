// What happens when the server asks for a key: one question, however many requests met it, and then all of them go on.

/**
 * @param {() => Promise<void>} askForKey resolves once the server knows this browser
 * @returns {() => Promise<void>} to be awaited by whoever was refused, before it tries again
 */
export function createGate(askForKey) {
  /** @type {Promise<void>|null} */
  let asking = null;
  return () => {
    asking ??= askForKey().finally(() => {
      asking = null;
    });
    return asking;
  };
}
