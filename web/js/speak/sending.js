// A request that is on its way: kept with a key of its own until the server has answered, so that one sent again after a
// lost answer or a reload is known to the server by its `Idempotency-Key` and becomes one job, not two.

const KEY = "declaim_sending";
/** Servers forget keys; what is older than this is asked about by a person, not sent again by itself. */
const RESUME_MS = 10 * 60_000;

/** A new key. Works without a secure context too, where `randomUUID` is missing. */
export function newKey(random = globalThis.crypto) {
  const bytes = random.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export function createSending(storage, { now = Date.now, key = newKey } = {}) {
  const read = () => {
    const stored = storage.getJson(KEY);
    return typeof stored?.key === "string" && stored.request && typeof stored.request === "object" ? stored : null;
  };
  return {
    /** The key to send `request` with: the old one if this very request was on its way already. */
    begin(request) {
      const pending = read();
      if (pending && JSON.stringify(pending.request) === JSON.stringify(request)) return pending.key;
      const fresh = { key: key(), request, at: now() };
      storage.setJson(KEY, fresh);
      return fresh.key;
    },
    /** The server has answered, whatever it said. */
    end(sentKey) {
      if (read()?.key === sentKey) storage.setJson(KEY, null);
    },
    /** No answer came, and the sender knows: it is theirs to send again, with the same key if it is the same request. */
    told(sentKey) {
      const pending = read();
      if (pending?.key === sentKey) storage.setJson(KEY, { ...pending, told: true });
    },
    /** What a reload finds still on its way; null when there is nothing, or it is too old. @returns {object|null} */
    left() {
      const pending = read();
      return pending && !pending.told && now() - pending.at < RESUME_MS ? pending.request : null;
    },
  };
}
