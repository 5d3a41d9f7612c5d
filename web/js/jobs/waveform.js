// From samples to bars on a canvas. `peaks` and `barCount` are arithmetic; `decode` and `draw` need a browser.

/** Plenty for a display: decoding an hour at this rate takes 230 MB for a moment instead of 690. */
const DECODE_HZ = 16_000;

const BAR = 3;
const GAP = 2;
/** Of the height, so that silence is a thread of dots and not nothing. */
const SILENCE = 0.05;

/**
 * The loudest magnitude in each of `buckets` equal stretches, scaled so that the loudest of all is 1.
 * @param {ArrayLike<number>} samples
 * @returns {Float32Array} all 0 for silence
 */
export function peaks(samples, buckets) {
  const result = new Float32Array(buckets);
  let loudest = 0;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const from = Math.floor((bucket * samples.length) / buckets);
    // At least one sample each, also where there are fewer samples than buckets.
    const to = Math.min(samples.length, Math.max(from + 1, Math.floor(((bucket + 1) * samples.length) / buckets)));
    let peak = 0;
    for (let i = from; i < to; i += 1) peak = Math.max(peak, Math.abs(samples[i]));
    result[bucket] = peak;
    loudest = Math.max(loudest, peak);
  }
  if (loudest > 0) for (let bucket = 0; bucket < buckets; bucket += 1) result[bucket] /= loudest;
  return result;
}

/**
 * The shape of a sound that is still coming: what there is, and silence up to its expected length.
 * @param {number[]} so peaks, `rate` for each second
 * @param {number} seconds of the whole
 */
export function shapeSoFar(so, rate, seconds) {
  const whole = new Float32Array(Math.max(so.length, Math.round(seconds * rate)));
  whole.set(so);
  return whole;
}

/** How many bars fit. */
export function barCount(width) {
  return Math.max(1, Math.floor((width + GAP) / (BAR + GAP)));
}

/** Any audio the browser can play, as mono samples. @param {ArrayBuffer} file */
export async function decode(file) {
  const context = new OfflineAudioContext(1, 1, DECODE_HZ);
  const audio = await context.decodeAudioData(file);
  return audio.getChannelData(0);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} shape peaks at any resolution; empty while unknown
 * @param {number} played 0..1
 */
export function draw(canvas, shape, played) {
  const { width, height } = canvas.getBoundingClientRect();
  if (width === 0) return;
  const scale = window.devicePixelRatio || 1;
  const pixelWidth = Math.round(width * scale);
  const pixelHeight = Math.round(height * scale);
  if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
    canvas.width = pixelWidth;
    canvas.height = pixelHeight;
  }
  const style = getComputedStyle(canvas);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);

  const bars = barCount(width);
  const heights = shape.length > 0 ? peaks(shape, bars) : new Float32Array(bars);
  const paint = (colour) => {
    context.fillStyle = colour;
    for (let bar = 0; bar < bars; bar += 1) {
      const tall = Math.max(BAR, Math.max(SILENCE, heights[bar]) * height);
      context.beginPath();
      context.roundRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall, BAR / 2);
      context.fill();
    }
  };
  paint(style.getPropertyValue("--wave-rest"));
  context.save();
  context.beginPath();
  context.rect(0, 0, width * played, height);
  context.clip();
  paint(style.getPropertyValue("--wave-played"));
  context.restore();
}
