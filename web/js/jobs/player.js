// Plays one job: while it is spoken from its stream, afterwards from its file, which a native audio element streams from the
// server. A canvas shows its shape and takes clicks; the text is read along. Sound never waits for the drawing.

import { byId, element, icon, say } from "../base/dom.js";
import { captionsUrl, resultUrl } from "../base/api.js";
import { bytes, clock } from "../base/format.js";
import { t } from "../base/i18n.js";
import { linesOf } from "./captions.js";
import { createLiveSound } from "./live-sound.js";
import { createRedo } from "./redo.js";
import { createTranscript } from "./transcript.js";
import { decode, draw, peaks, shapeSoFar } from "./waveform.js";

/** Fine enough for the widest canvas; bars are made from these. */
const RESOLUTION = 1200;
/** Above this the shape is not worth the memory: the plain bar seeks just as well. */
const MAX_DRAWN_BYTES = 128e6;
const KEY_STEP_SECONDS = 5;
/** Between two questions which sentence comes when, while they are being spoken. */
const CAPTIONS_MS = 700;
/** The place in a job is written down so often, for a page that is loaded anew. */
const NOTE_MS = 1000;
/** What a speaker has when nothing is known: the rate of this family of models. */
const USUAL_HZ = 24_000;
const CAPTION_FORMATS = ["srt", "vtt", "json"];

/**
 * @param {object} parts
 * @param {{take: (stop: () => void) => void}} parts.solo one sound at a time
 * @param {{audio: Function, stream: Function, captions: Function, status: Function}} parts.api
 * @param {{get: () => {id: string, seconds: number}|null, set: (place: object|null) => void}} parts.place where this tab was
 * @param {() => void} parts.onChange playing has become paused, or the other way round
 * @param {(id: string) => void} parts.onGone the server has no such job
 * @param {(seed: number) => void} parts.onKeepSeed the next take shall repeat this one's seed
 */
export function createPlayer({ api, feed, solo, announce, place, onChange, onGone, onKeepSeed }) {
  const root = byId("player");
  const audio = byId("audio");
  const button = byId("play");
  const wave = byId("wave");
  const canvas = byId("wave-canvas");
  const alert = byId("player-alert");
  const keepSeed = byId("keep-seed");
  let shape = new Float32Array(0);
  let loading = new AbortController();
  let currentId = null;
  /** Set while the stream is what is heard; also for a while after the file is there, until it can be changed unheard. */
  let live = null;
  /** Whether the file is there. */
  let isFinished = false;
  /** How long a job under way will be, roughly. */
  let guess = 0;
  let formats = [];
  let ownFormat = "";
  let sampleRate = USUAL_HZ;
  let askedAt = 0;
  let notedAt = 0;
  /** Where the file shall begin once it is known how long it is. */
  let startAt = 0;
  /** Files of this page that were changed; an address of its own for each, or the browser would play what it has. */
  let takes = 0;

  const transcript = createTranscript({ onChoose: ({ start }) => {
    seek(start);
    if (!controls.playing) void play();
  } });

  const redo = createRedo({
    api, feed, announce,
    line: () => transcript.line,
    onTrouble: (text) => say(alert, text),
    onDone: (id, line) => {
      if (currentId === id) reload(line.start);
    },
  });

  const fileDuration = () => (Number.isFinite(audio.duration) ? audio.duration : 0);
  const position = () => (live ? live.position : audio.currentTime);
  /** As far as one can go. */
  const reach = () => (live && !isFinished ? live.received : fileDuration());

  function paint() {
    const total = reach();
    const now = position();
    if (live && !isFinished) {
      const whole = Math.max(guess, total * 1.02, now);
      draw(canvas, shapeSoFar(live.shape, live.shapeRate, whole), whole > 0 ? now / whole : 0);
    } else {
      draw(canvas, shape, total > 0 ? now / total : 0);
    }
    byId("player-now").textContent = clock(now);
    byId("player-duration").textContent = clock(total);
    wave.setAttribute("aria-valuemax", total.toFixed(1));
    wave.setAttribute("aria-valuenow", now.toFixed(1));
    wave.setAttribute("aria-valuetext", t("player.of", { now: clock(now), total: clock(total) }));
    transcript.follow(now);
  }

  let painting = false;
  /** Paints, and goes on painting while anything moves. */
  function animate() {
    paint();
    note();
    if (painting || !controls.playing) return;
    painting = true;
    requestAnimationFrame(() => {
      painting = false;
      animate();
    });
  }

  function note() {
    if (currentId === null || Date.now() - notedAt < NOTE_MS) return;
    notedAt = Date.now();
    place.set({ id: currentId, seconds: position() });
  }

  function showButton() {
    const sounds = controls.playing;
    button.replaceChildren(icon(sounds ? "pause" : "play"));
    button.setAttribute("aria-label", t(sounds ? "action.pause" : "action.play"));
    root.dataset.live = String(live !== null && !isFinished);
    root.dataset.waiting = String(live?.waiting ?? false);
    notedAt = 0;
    animate();
    onChange();
  }

  async function play() {
    solo.take(pause);
    if (live) {
      await live.play();
      return;
    }
    try {
      await audio.play();
    } catch (error) {
      // Browsers refuse sound before the first click (NotAllowedError), and a newer load interrupts an older play
      // (AbortError). Both leave a paused player with a button, which says it all.
      if (error.name !== "NotAllowedError" && error.name !== "AbortError") void showLost();
    }
  }

  /** Whether the server has no such job any more, at least not for this key; that is told. */
  async function isGone() {
    const id = currentId;
    const reason = await api.status(id).then(() => null, (error) => error);
    if (reason?.status !== 404 || id !== currentId) return false;
    onGone(id);
    return true;
  }

  /** Says why nothing sounds: an audio element only knows that it does not. */
  async function showLost() {
    const id = currentId;
    if (!await isGone() && id === currentId) say(alert, t("player.lost"));
  }

  /** From the stream to the file, at the same place, where nothing sounds. */
  function toFile() {
    if (!live || !isFinished) return;
    const at = live.position;
    live.stop();
    live = null;
    startAt = at;
    begin();
    showButton();
  }

  /** Goes to where the file shall begin, once it is known how long it is. */
  function begin() {
    if (startAt === 0 || audio.readyState < HTMLMediaElement.HAVE_METADATA) return;
    audio.currentTime = Math.min(startAt, fileDuration());
    startAt = 0;
  }

  function pause() {
    if (!live) {
      audio.pause();
      return;
    }
    live.pause();
    toFile();
  }

  function seek(seconds) {
    const to = Math.min(reach(), Math.max(0, seconds));
    if (live && isFinished && audio.readyState >= HTMLMediaElement.HAVE_METADATA) {
      const sounded = live.playing;
      toFile();
      startAt = 0;
      audio.currentTime = to;
      if (sounded) void play();
    } else if (live) {
      live.seek(to);
    } else {
      startAt = 0;
      audio.currentTime = to;
    }
    animate();
  }

  const seekTo = (event) => {
    const box = canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    seek(share * (live && !isFinished ? Math.max(guess, live.received * 1.02) : fileDuration()));
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
      ArrowLeft: () => seek(position() - KEY_STEP_SECONDS),
      ArrowDown: () => seek(position() - KEY_STEP_SECONDS),
      ArrowRight: () => seek(position() + KEY_STEP_SECONDS),
      ArrowUp: () => seek(position() + KEY_STEP_SECONDS),
      Home: () => seek(0),
      End: () => seek(reach()),
      " ": () => controls.toggle(),
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move();
  });
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showButton);
  for (const name of ["timeupdate", "durationchange", "seeked"]) audio.addEventListener(name, animate);
  audio.addEventListener("loadedmetadata", begin);
  audio.addEventListener("error", () => {
    if (currentId !== null && audio.hasAttribute("src")) void showLost();
  });
  document.addEventListener("themechange", paint);
  new ResizeObserver(paint).observe(canvas);

  async function drawShape(id, signal) {
    try {
      const samples = await decode(await api.audio(id, signal));
      if (signal.aborted) return;
      shape = peaks(samples, RESOLUTION);
      wave.dataset.drawn = "true";
      paint();
    } catch {
      // Without a shape the bar still plays and seeks; what keeps the audio from loading is told by the audio element.
    }
  }

  async function readCaptions(id, signal) {
    askedAt = Date.now();
    try {
      const lines = linesOf(await api.captions(id, signal));
      if (signal.aborted) return;
      transcript.show(lines);
      byId("player-text").hidden = lines.length > 0;
      transcript.follow(position());
    } catch {
      // Nothing was sent yet, or a server of before there were captions. The text stands above all the same.
    }
  }

  /** The file has become another one. Heard from there, if anything is. */
  function reload(seconds) {
    const sounded = controls.playing;
    toFile();
    takes += 1;
    audio.src = `${resultUrl(currentId)}?take=${takes}`;
    startAt = seconds;
    void drawShape(currentId, loading.signal);
    void readCaptions(currentId, loading.signal);
    if (sounded) void play();
    showButton();
  }

  /** Everything of the job that was shown before goes. */
  function clear() {
    loading.abort();
    loading = new AbortController();
    live?.stop();
    live = null;
    startAt = 0;
    shape = new Float32Array(0);
    delete wave.dataset.drawn;
    transcript.clear();
    byId("player-text").hidden = false;
    say(alert, null);
    void redo.show(null);
  }

  function showFacts(entry, voiceName) {
    root.hidden = false;
    ownFormat = entry.format;
    byId("player-text").textContent = entry.text;
    const seed = entry.seed === undefined ? "" : t("speak.seed-is", { seed: String(entry.seed) });
    const facts = [voiceName, entry.format.toUpperCase(), bytes(entry.bytes ?? NaN), seed];
    byId("player-facts").textContent = facts.filter(Boolean).join(" · ");
    keepSeed.hidden = entry.seed === undefined;
    keepSeed.onclick = () => onKeepSeed(entry.seed);
    for (const id of ["download", "download-as"]) byId(id).hidden = !isFinished;
    byId("download").href = resultUrl(entry.id);
  }

  function fillDownloads() {
    const link = (name, href) => element("a", { class: "menu-item", href, download: true, "data-format": name }, name.toUpperCase());
    byId("download-panel").replaceChildren(
      element("p", { class: "hint" }, t("player.other-formats")),
      ...formats.filter((name) => name !== ownFormat).map((name) => link(name, resultUrl(currentId, name))),
      element("p", { class: "hint" }, t("player.captions")),
      ...CAPTION_FORMATS.map((name) => {
        const made = link(name, captionsUrl(currentId, name));
        made.download = `${currentId}.${name}`;
        return made;
      }));
  }
  byId("download-as").addEventListener("toggle", () => byId("download-as").open && fillDownloads());

  function onLive() {
    if (!live) return;
    showButton();
    if (!isFinished && live.received > 0 && Date.now() - askedAt > CAPTIONS_MS) void readCaptions(currentId, loading.signal);
  }

  function onLiveEnd(error) {
    if (error && !isFinished) {
      // The job's own state says why; here is nothing to hear any more.
      controls.unload();
      return;
    }
    toFile();
    showButton();
  }

  const controls = {
    get currentId() {
      return currentId;
    },
    get playing() {
      return live ? live.playing : !audio.paused;
    },
    /** Plays or pauses, as the button does; loads again what could not be loaded before. */
    toggle() {
      if (!live && audio.error) audio.load();
      say(alert, null);
      if (controls.playing) pause();
      else void play();
    },
    /** The server may judge otherwise now whose the job is. */
    check() {
      if (isFinished && currentId !== null) void isGone();
    },
    /** Hz of what will be streamed, and the formats that can be had. */
    setServer(info) {
      sampleRate = info.output_sample_rate ?? info.sample_rate ?? USUAL_HZ;
      formats = info.output_formats ?? [];
    },
    /**
     * Hears a job that is under way, from where this tab was in it. To be called while the user presses something.
     * @param {import("./recent.js").Entry} entry
     */
    listen(entry, { voiceName, seconds }) {
      if (live && currentId === entry.id) {
        void play();
        return;
      }
      clear();
      isFinished = false;
      currentId = entry.id;
      guess = seconds;
      audio.removeAttribute("src");
      audio.load();
      const was = place.get();
      live = createLiveSound({
        open: (signal) => api.stream(entry.id, signal),
        context: new AudioContext({ sampleRate, latencyHint: "playback" }),
        from: was?.id === entry.id ? was.seconds : 0,
        onChange: onLive,
        onEnd: onLiveEnd,
      });
      showFacts(entry, voiceName);
      void play();
      showButton();
    },
    /** @param {import("./recent.js").Entry} entry a finished job; `voiceName` for people; `seconds` to begin at */
    load(entry, { voiceName, autoplay, seconds = 0 }) {
      const goesOn = live !== null && currentId === entry.id;
      if (!goesOn) clear();
      currentId = entry.id;
      isFinished = true;
      showFacts(entry, voiceName);
      audio.src = resultUrl(entry.id);
      startAt = seconds;
      showButton();
      if ((entry.bytes ?? 0) <= MAX_DRAWN_BYTES) void drawShape(entry.id, loading.signal);
      void readCaptions(entry.id, loading.signal);
      void redo.show(entry.id);
      // What sounds goes on from the stream; the file takes over when it stops.
      if (goesOn && !live.playing) toFile();
      else if (!goesOn && autoplay) void play();
    },
    unload() {
      clear();
      currentId = null;
      isFinished = false;
      place.set(null);
      audio.removeAttribute("src");
      audio.load();
      root.hidden = true;
      onChange();
    },
  };
  return controls;
}
