// What was measured of a clip, in words and as shares of a bar. The limits are those by which the server gives advice
// (`waveform::quality`); where it has advice, its sentences say what to do.

/** Decibels shown at the left end of a bar. */
const FLOOR_DB = -80;

const share = (value, least, most) => Math.min(1, Math.max(0, (value - least) / (most - least)));

/**
 * @param {object} quality as the server sends it
 * @returns {{name: "level"|"clipping"|"noise"|"bandwidth", grade: "good"|"fair"|"poor", share: number, value: number|null}[]}
 */
export function verdicts(quality) {
  const { loudness_lufs: loudness, clipped, signal_to_noise_db: noise, bandwidth_hz: bandwidth } = quality;
  return [
    {
      name: "level",
      value: loudness,
      share: share(loudness ?? FLOOR_DB, FLOOR_DB, 0),
      grade: loudness === null || loudness < -45 ? "poor" : loudness < -35 ? "fair" : "good",
    },
    // A tenth of a percent already fills the bar: it is heard in every word.
    { name: "clipping", value: clipped, share: share(clipped, 0, 1e-3), grade: clipped > 1e-3 ? "poor" : clipped > 1e-4 ? "fair" : "good" },
    {
      name: "noise",
      value: noise,
      share: noise === null ? 1 : share(noise, 0, 60),
      grade: noise === null || noise >= 25 ? "good" : noise >= 15 ? "fair" : "poor",
    },
    { name: "bandwidth", value: bandwidth, share: share(bandwidth, 0, 12_000), grade: bandwidth < 6000 ? "poor" : bandwidth < 8000 ? "fair" : "good" },
  ];
}

/** The worst of the grades. */
export function overall(list) {
  return ["poor", "fair"].find((grade) => list.some((one) => one.grade === grade)) ?? "good";
}

/** What the models advise for a clip, each sentence once. */
export function adviceOf(voice) {
  return [...new Set((voice.models ?? []).flatMap((model) => model.advice ?? []))];
}
