// A job that is heard while it is spoken: its stream is read as it comes and played by the audio clock. Plain buffers, since
// audio worklets need a secure context and a page on the own network has none. Lost lines are taken up again where they broke;
// memory is bounded before and behind what is heard.

import { backoff } from "../base/loop.js";
import { createWavReader } from "./wav-stream.js";

/** Sound that must be there before the first is played, in seconds … */
const FIRST = 0.15;
/** … and after the speaker could not keep up: fewer and longer gaps. */
const AFTER_GAP = 1;
/** So far ahead are buffers handed to the audio clock; page timers may sleep for a second. */
const SCHEDULED = 4;
const TICK_MS = 200;
/** After this long without leave to sound it is shown as paused. */
const ALLOWED_MS = 500;
/** Sound kept before and behind the place that is heard, in seconds; at 24 kHz a minute takes 3 MB. */
const AHEAD = 600;
const BEHIND = 600;
/** Peaks for the drawing, per second. */
const SHAPE_RATE = 50;
/** Answers that will not change: the job is unknown, cancelled, failed, or its audio gone. */
const FINAL = [400, 404, 409, 410, 422, 500];

/**
 * @param {object} parts
 * @param {(signal: AbortSignal) => Promise<ReadableStreamDefaultReader<Uint8Array>>} parts.open the stream, from its beginning
 * @param {AudioContext} parts.context made where the user pressed something
 * @param {number} [parts.from] seconds to begin at
 * @param {() => void} parts.onChange anything was read, or the state is another one
 * @param {(error: Error|null) => void} parts.onEnd all was played, or there will be no more
 */
export function createLiveSound({ open, context, from = 0, onChange, onEnd, timers = globalThis, random = Math.random }) {
  const aborter = new AbortController();
  /** @type {{start: number, samples: Int16Array}[]} */
  let pieces = [];
  let rate = null;
  let received = 0;
  let isWhole = false;
  let isOver = false;
  let wants = false;
  /** The browser has not let it sound yet. */
  let isBlocked = false;
  /** The next sample to hand to the clock; null until the rate is known. */
  let cursor = null;
  /** When which sample sounds: the last uninterrupted run. */
  let anchor = null;
  let needed = FIRST;
  const sounding = new Set();
  const shape = [];
  let peak = 0;
  let peakLeft = 0;
  const ticking = timers.setInterval(tick, TICK_MS);

  /** The sample that is heard. */
  function heard() {
    if (cursor === null) return null;
    if (anchor === null) return cursor;
    return Math.min(cursor, Math.max(anchor.sample, anchor.sample + Math.round((context.currentTime - anchor.time) * rate)));
  }

  const position = () => (rate === null ? from : heard() / rate);

  function draw(samples) {
    const each = rate / SHAPE_RATE;
    for (const sample of samples) {
      peak = Math.max(peak, Math.abs(sample));
      peakLeft += 1;
      if (peakLeft < each) continue;
      shape.push(peak / 32768);
      peak = 0;
      peakLeft = 0;
    }
  }

  function take(samples) {
    if (samples.length === 0) return;
    pieces.push({ start: received, samples });
    received += samples.length;
    draw(samples);
    cursor ??= Math.round(from * rate);
    const oldest = heard() - BEHIND * rate;
    pieces = pieces.filter((piece) => piece.start + piece.samples.length > oldest);
  }

  /** One connection, from the beginning; what is known already is passed over. */
  async function readOnce() {
    const stream = await open(aborter.signal);
    const wav = createWavReader();
    let at = 0;
    for (;;) {
      while (!aborter.signal.aborted && rate !== null && received / rate - position() > AHEAD) await pause(1000);
      const { done, value } = await stream.read();
      if (aborter.signal.aborted) return;
      if (done) break;
      const samples = wav.push(value);
      rate ??= wav.sampleRate;
      take(samples.subarray(Math.min(samples.length, Math.max(0, received - at))));
      at += samples.length;
      tick();
      onChange();
    }
    isWhole = true;
  }

  async function read() {
    for (let failures = 1; !aborter.signal.aborted && !isWhole; failures += 1) {
      const before = received;
      try {
        await readOnce();
      } catch (error) {
        if (aborter.signal.aborted) return;
        if (FINAL.includes(error.status)) {
          finish(error);
          return;
        }
        if (received > before) failures = 1;
        await pause(backoff(failures, random));
      }
    }
    if (aborter.signal.aborted) return;
    tick();
    onChange();
  }

  function pause(ms) {
    return new Promise((resolve) => {
      const done = () => {
        timers.clearTimeout(timer);
        resolve();
      };
      const timer = timers.setTimeout(done, ms);
      aborter.signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Hands to the audio clock what is due. */
  function tick() {
    if (isOver || rate === null || cursor === null) return;
    const now = context.currentTime;
    const isStarved = anchor !== null && anchor.time + (cursor - anchor.sample) / rate <= now;
    if (isStarved) {
      if (isWhole && cursor >= received) {
        finish(null);
        return;
      }
      // Only who is waiting for sound has run out of it.
      if (cursor >= received) needed = AFTER_GAP;
      anchor = null;
      onChange();
    }
    if (!wants) return;
    if (anchor === null) {
      if (isWhole && cursor >= received) {
        finish(null);
        return;
      }
      if (!isWhole && received - cursor < needed * rate) return;
      // A moment, or the first samples would be late already.
      anchor = { time: now + 0.02, sample: cursor };
      onChange();
    }
    for (const piece of pieces) {
      const offset = cursor - piece.start;
      if (offset < 0 || offset >= piece.samples.length) continue;
      const time = anchor.time + (cursor - anchor.sample) / rate;
      if (time > now + SCHEDULED) break;
      schedule(piece.samples.subarray(offset), time);
      cursor += piece.samples.length - offset;
    }
  }

  function schedule(samples, time) {
    const buffer = context.createBuffer(1, samples.length, rate);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i += 1) channel[i] = samples[i] / 32768;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    source.onended = () => sounding.delete(source);
    source.start(time);
    sounding.add(source);
  }

  function silence() {
    for (const source of sounding) source.stop();
    sounding.clear();
  }

  /** The browser lets it sound, perhaps later than it was waited for. */
  function allow() {
    if (!isBlocked) return;
    isBlocked = false;
    onChange();
  }

  function finish(error) {
    if (isOver) return;
    isOver = true;
    timers.clearInterval(ticking);
    onEnd(error);
  }

  void read();
  return {
    /** Seconds. */
    get position() {
      return position();
    },
    /** Seconds that have come. */
    get received() {
      return rate === null ? 0 : received / rate;
    },
    /** Whether it is to be heard, though it may wait for sound. */
    get playing() {
      return wants && !isOver && !isBlocked;
    },
    /** It is to be heard, and there is nothing to hear yet. */
    get waiting() {
      return wants && !isOver && anchor === null;
    },
    /** Peaks so far, 0 to 1, `shapeRate` for each second. */
    shape,
    shapeRate: SHAPE_RATE,
    async play() {
      wants = true;
      isBlocked = false;
      // Settles late on a busy machine, and never where the browser wants a press first.
      const allowed = context.resume().then(allow);
      await Promise.race([allowed, new Promise((resolve) => timers.setTimeout(resolve, ALLOWED_MS))]);
      isBlocked = wants && context.state !== "running";
      tick();
      onChange();
    },
    pause() {
      wants = false;
      void context.suspend();
      onChange();
    },
    /** To a place that has come and is still kept; nearest otherwise. */
    seek(seconds) {
      if (cursor === null || isOver) return;
      silence();
      const first = pieces[0]?.start ?? 0;
      cursor = Math.min(received, Math.max(first, Math.round(seconds * rate)));
      anchor = null;
      tick();
      onChange();
    },
    stop() {
      isOver = true;
      wants = false;
      aborter.abort();
      timers.clearInterval(ticking);
      silence();
      void context.close();
    },
  };
}
