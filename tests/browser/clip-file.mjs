// A clip like a voice, as a WAV file: syllables of a buzzing pitch over a little noise. Its numbers never change, so that a
// picture or a test made with it does not either.

import { wavFile } from "../../web/js/voices/wav.js";

const RATE = 24_000;
const PITCH = 130;
const SYLLABLES_PER_SECOND = 1.3;

/** @param {{seconds: number, gain?: number, noise?: number}} options @returns {Buffer} */
export function clipFile({ seconds, gain = 0.4, noise = 0.002 }) {
  let state = 1;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 30 - 1;
  };
  const samples = new Float32Array(Math.round(seconds * RATE));
  for (let i = 0; i < samples.length; i += 1) {
    const time = i / RATE;
    const loudness = Math.sqrt(Math.max(0, Math.sin(2 * Math.PI * SYLLABLES_PER_SECOND * time)));
    let buzz = 0;
    for (let harmonic = 1; harmonic < 60; harmonic += 1) buzz += Math.sin(2 * Math.PI * PITCH * harmonic * time) / harmonic;
    samples[i] = buzz * 0.5 * loudness * gain + random() * noise;
  }
  return Buffer.from(wavFile([samples], RATE));
}
