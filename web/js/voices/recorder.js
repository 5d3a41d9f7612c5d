// Records the microphone as samples. Echo cancelling and the like are off: they are made for calls and colour a voice.

import { t } from "../base/i18n.js";
import { wavFile } from "./wav.js";

/** Nobody needs a longer clip of a voice. */
const MOST_SECONDS = 60;

/**
 * @param {(state: {seconds: number, level: number}) => void} onLevel level: the loudest sample of the last moment, 0..1
 * @returns {Promise<{stop: () => Promise<Blob>, seconds: () => number}>}
 */
export async function record(onLevel, onFull) {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error(t("record.insecure"));
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    throw new Error(t(error.name === "NotFoundError" ? "record.no-microphone" : "record.refused"), { cause: error });
  }
  const context = new AudioContext();
  const blocks = [];
  let samples = 0;
  let full = false;
  try {
    await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    throw error;
  }
  const node = new AudioWorkletNode(context, "declaim-recorder", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }) => {
    if (full) return;
    blocks.push(data);
    samples += data.length;
    let level = 0;
    for (const sample of data) level = Math.max(level, Math.abs(sample));
    const seconds = samples / context.sampleRate;
    onLevel({ seconds, level });
    if (seconds >= MOST_SECONDS) {
      full = true;
      onFull();
    }
  };
  context.createMediaStreamSource(stream).connect(node);
  return {
    async stop() {
      stream.getTracks().forEach((track) => track.stop());
      node.port.onmessage = null;
      const rate = context.sampleRate;
      await context.close();
      return new Blob([wavFile(blocks, rate)], { type: "audio/wav" });
    },
  };
}
