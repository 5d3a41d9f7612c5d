// Plays one finished job: a native audio element streams it from the server, a canvas shows its shape and takes clicks.
// Sound never waits for the drawing.

import { byId, icon, say } from "../base/dom.js";
import { resultUrl } from "../base/api.js";
import { bytes, clock } from "../base/format.js";
import { t } from "../base/i18n.js";
import { decode, draw, peaks } from "./waveform.js";

/** Fine enough for the widest canvas; bars are made from these. */
const RESOLUTION = 1200;
/** Above this the shape is not worth the memory: the plain bar seeks just as well. */
const MAX_DRAWN_BYTES = 128e6;
const KEY_STEP_SECONDS = 5;

/**
 * @param {object} parts
 * @param {(id: string, signal: AbortSignal) => Promise<ArrayBuffer>} parts.audioOf the whole file, for drawing it
 * @param {() => void} parts.onChange playing has become paused, or the other way round
 * @param {(seed: number) => void} parts.onKeepSeed the next take shall repeat this one's seed
 */
export function createPlayer({ audioOf, onChange, onKeepSeed }) {
  const root = byId("player");
  const audio = byId("audio");
  const button = byId("play");
  const wave = byId("wave");
  const canvas = byId("wave-canvas");
  const alert = byId("player-alert");
  const keepSeed = byId("keep-seed");
  let shape = new Float32Array(0);
  let drawing = new AbortController();
  let currentId = null;

  const duration = () => (Number.isFinite(audio.duration) ? audio.duration : 0);

  function paint() {
    const total = duration();
    draw(canvas, shape, total > 0 ? audio.currentTime / total : 0);
    byId("player-now").textContent = clock(audio.currentTime);
    byId("player-duration").textContent = clock(total);
    wave.setAttribute("aria-valuemax", total.toFixed(1));
    wave.setAttribute("aria-valuenow", audio.currentTime.toFixed(1));
    wave.setAttribute("aria-valuetext", t("player.of", { now: clock(audio.currentTime), total: clock(total) }));
    if (!audio.paused) requestAnimationFrame(paint);
  }

  function showButton() {
    button.replaceChildren(icon(audio.paused ? "play" : "pause"));
    button.setAttribute("aria-label", audio.paused ? t("action.play") : t("action.pause"));
    paint();
    onChange();
  }

  async function play() {
    try {
      await audio.play();
    } catch (error) {
      // Browsers refuse sound before the first click (NotAllowedError), and a newer load interrupts an older play
      // (AbortError). Both leave a paused player with a button, which says it all.
      if (error.name !== "NotAllowedError" && error.name !== "AbortError") showLost();
    }
  }

  function showLost() {
    say(alert, t("player.lost"));
  }

  const toggle = () => (audio.paused ? void play() : audio.pause());
  const seek = (seconds) => {
    audio.currentTime = Math.min(duration(), Math.max(0, seconds));
    paint();
  };
  const seekTo = (event) => {
    const box = canvas.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * duration());
  };

  button.addEventListener("click", () => controls.toggle());
  wave.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    wave.setPointerCapture(event.pointerId);
    seekTo(event);
  });
  wave.addEventListener("pointermove", (event) => {
    if (wave.hasPointerCapture(event.pointerId)) seekTo(event);
  });
  wave.addEventListener("keydown", (event) => {
    const moves = {
      ArrowLeft: () => seek(audio.currentTime - KEY_STEP_SECONDS),
      ArrowDown: () => seek(audio.currentTime - KEY_STEP_SECONDS),
      ArrowRight: () => seek(audio.currentTime + KEY_STEP_SECONDS),
      ArrowUp: () => seek(audio.currentTime + KEY_STEP_SECONDS),
      Home: () => seek(0),
      End: () => seek(duration()),
      " ": () => controls.toggle(),
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move();
  });
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showButton);
  for (const name of ["timeupdate", "durationchange", "seeked"]) audio.addEventListener(name, paint);
  audio.addEventListener("error", () => {
    if (currentId !== null) showLost();
  });
  document.addEventListener("themechange", paint);
  new ResizeObserver(paint).observe(canvas);

  async function drawShape(id, signal) {
    try {
      const samples = await decode(await audioOf(id, signal));
      if (signal.aborted) return;
      shape = peaks(samples, RESOLUTION);
      wave.dataset.drawn = "true";
      paint();
    } catch {
      // Without a shape the bar still plays and seeks; what keeps the audio from loading is told by the audio element.
    }
  }

  const controls = {
    get currentId() {
      return currentId;
    },
    get playing() {
      return !audio.paused;
    },
    /** Plays or pauses, as the button does; loads again what could not be loaded before. */
    toggle() {
      if (audio.error) audio.load();
      say(alert, null);
      toggle();
    },
    /** @param {import("./recent.js").Entry} entry a finished job; `voiceName` for people */
    load(entry, { voiceName, autoplay }) {
      drawing.abort();
      drawing = new AbortController();
      currentId = entry.id;
      shape = new Float32Array(0);
      delete wave.dataset.drawn;
      say(alert, null);
      root.hidden = false;
      byId("player-text").textContent = entry.text;
      const seed = entry.seed === undefined ? "" : t("speak.seed-is", { seed: String(entry.seed) });
      const facts = [voiceName, entry.format.toUpperCase(), bytes(entry.bytes ?? NaN), seed];
      byId("player-facts").textContent = facts.filter(Boolean).join(" · ");
      byId("download").href = resultUrl(entry.id);
      keepSeed.hidden = entry.seed === undefined;
      keepSeed.onclick = () => onKeepSeed(entry.seed);
      audio.src = resultUrl(entry.id);
      showButton();
      if ((entry.bytes ?? 0) <= MAX_DRAWN_BYTES) void drawShape(entry.id, drawing.signal);
      if (autoplay) void play();
    },
    unload() {
      drawing.abort();
      currentId = null;
      audio.removeAttribute("src");
      audio.load();
      root.hidden = true;
    },
  };
  return controls;
}
