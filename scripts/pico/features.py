"""Teacher audio to what the trainers read: speech tokens, 24 kHz wave, log mel and F0, as flat arrays with lengths.

    features.py            reads WORK/data/audio.<voice>.bin, writes WORK/data/features/*.npy
"""
import os
import numpy as np, pyloudnorm, soxr, torch
from chatterbox.models.s3gen.utils.mel import mel_spectrogram
from common import DATA, LOUDNESS, RATE, TOKEN, VOICES, pitch_edges, read_records, tokens_of

LONGEST = 260                                      # tokens
OUT = f"{DATA}/features"


def gain(voice):
    """What brings the voice's speech to LOUDNESS: one factor, so that loud words stay loud."""
    takes = [wave for i, (_, _, _, wave) in enumerate(read_records(f"{DATA}/audio.{voice}.bin", True)) if i < 200]
    level = pyloudnorm.Meter(16000).integrated_loudness(np.concatenate(takes) / 32768)
    print(f"{voice}: teacher at {level:.1f} LUFS", flush=True)
    return float(10 ** ((LOUDNESS - level) / 20))


def features(segs, track, wave, edges, factor):
    """(tokens, wave, mel [frames, 80], F0 in Hz per mel frame, 0 where unvoiced)"""
    ids, _ = tokens_of(segs, edges)
    n = len(ids)
    w = soxr.resample(wave.astype(np.float32) / 32768 * factor, 16000, RATE, quality="VHQ")
    w = np.pad(w, (0, max(0, n * TOKEN - len(w))))[: n * TOKEN]
    mel = mel_spectrogram(torch.from_numpy(w)[None])[0].T.numpy()
    fine = np.pad(track, (0, max(0, n * 8 - len(track))))[: n * 8].reshape(-1, 4)
    voiced = (fine > 0).sum(1)
    f0 = np.where(voiced >= 2, fine.sum(1) / np.maximum(voiced, 1), 0)
    assert len(mel) == 2 * n
    return ids, w, mel, f0


def main():
    torch.set_num_threads(1)
    os.makedirs(OUT, exist_ok=True)
    dtypes = dict(ids=np.int16, wave=np.int16, mel=np.float16, f0=np.float32)
    files = {k: open(f"{OUT}/{k}.raw", "wb") for k in dtypes}
    lengths, voices = [], []
    for index, voice in enumerate(VOICES):
        factor, edges = gain(voice), pitch_edges()[voice]
        for _, segs, track, wave in read_records(f"{DATA}/audio.{voice}.bin", True):
            if sum(s[1] for s in segs) > LONGEST or not np.isfinite(track).all() or track.max() > 400:     # flite can yield a stray infinity
                continue
            ids, w, mel, f0 = features(segs, track, wave, edges, factor)
            w = np.clip(w * 32767, -32768, 32767)
            for k, x in dict(ids=ids, wave=w, mel=mel, f0=f0).items():
                files[k].write(np.ascontiguousarray(x, dtypes[k]).tobytes())
            lengths.append(len(ids))
            voices.append(index)
        print(f"{voice}: {len(lengths)} utterances, {sum(lengths) * TOKEN / RATE / 3600:.2f} h so far", flush=True)
    for k, f in files.items():
        f.close()
        os.replace(f"{OUT}/{k}.raw", f"{OUT}/{k}.bin")
    np.savez(f"{OUT}/index.npz", lengths=lengths, voices=voices)


class Features:
    """The arrays, mapped and not read: utterance i is `tokens(i)`, `mel(i)` and so on."""

    def __init__(self):
        index = np.load(f"{OUT}/index.npz")
        self.lengths, self.voices = index["lengths"], index["voices"]
        self.start = np.r_[0, np.cumsum(self.lengths)]
        m = lambda k, t: np.memmap(f"{OUT}/{k}.bin", t, "r")
        self._ids, self._wave, self._f0 = m("ids", np.int16), m("wave", np.int16), m("f0", np.float32)
        self._mel = m("mel", np.float16).reshape(-1, 80)

    def __len__(self):
        return len(self.lengths)

    def _cut(self, array, i, unit, first, count):
        a = self.start[i] * unit + first
        return torch.from_numpy(np.array(array[a:a + (self.lengths[i] * unit - first if count is None else count)]))

    def tokens(self, i):
        return self._cut(self._ids, i, 1, 0, None).long()

    def mel(self, i, first=0, count=None):
        """[80, frames]"""
        return self._cut(self._mel, i, 2, first, count).float().T

    def f0(self, i, first=0, count=None):
        return self._cut(self._f0, i, 2, first, count)

    def wave(self, i, first=0, count=None):
        """`first` and `count` in mel frames."""
        return self._cut(self._wave, i, TOKEN, first * (TOKEN // 2), None if count is None else count * (TOKEN // 2)).float() / 32768


if __name__ == "__main__":
    main()
