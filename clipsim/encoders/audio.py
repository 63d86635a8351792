"""The deck's 257 audio features: tempo, and 64 series over the track × (mean, median, std, 75th percentile).

Series and calls are the deck's authors' (librosa's defaults at 22,050 Hz over the whole track), less their two slips:
they took the 0.75th percentile for the 75th, and bin 0 of the two spectrograms for all of it (here: each frame's mean
over the bins). As theirs, `mel_spectrogram` is librosa's `amplitude_to_db` of the mel power spectrogram.
`benchmarks/naive.py` says the same in plain librosa calls, one for each feature; a test keeps the two equal.

What costs time there is done once here: one STFT feeds everything, and what librosa needs several passes over the
spectrogram for (centroid, bandwidths, rolloff, decibels, the pitches behind the tuning) is one pass in `_frames.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import SAMPLE_RATE, Encoded
from clipsim.errors import EncoderError, TooShort
from clipsim.model import Vector

N_FFT = 2048  # samples a frame
HOP = 512  # samples from frame to frame
N_MFCC = 13
N_CHROMA = 12
DELTA_FRAMES = 9  # librosa's window of a derivative; a track needs as many frames
MIN_SAMPLES = (DELTA_FRAMES - 1) * HOP  # 0.19 s
ZERO = 1e-10  # librosa: a sample this near zero counts as zero, and crosses nothing
AMIN = 1e-10  # librosa: power is taken for at least this before its decibels
TOP_DB = 80.0  # dB; librosa: the quietest counts as this far below the loudest
PERCENTILE = 75.0
HALF_SECONDS = 3.0  # of a half of the track; a shorter one says too little
MAX_PEAK = 1e5  # full scale is 1; above about a million the square of a power leaves single precision
CHUNK = 1024  # frames transformed at once, which bounds the memory

_SERIES = (
    "zero_crossing_rate",
    "spectrogram",
    "mel_spectrogram",
    "harmonics",
    "perceptual_shock_wave",
    "spectral_centroids",
    "spectral_centroids_delta",
    "spectral_centroids_accelerate",
    *(f"chroma{i}" for i in range(1, N_CHROMA + 1)),
    "spectral_rolloff",
    "spectral_flux",
    *(f"spectral_bandwidth_{p}" for p in (2, 3, 4)),
)
_CEPSTRA = tuple(f"mfcc_{kind}{i}" for i in range(1, N_MFCC + 1) for kind in ("", "delta_", "accelerate_"))
_AGGREGATES = ("mean", "median", "std", "percentile")

NAMES: tuple[str, ...] = (
    "tempo_bpm",
    *(f"{name}_{aggregate}" for names in (_SERIES, _CEPSTRA) for aggregate in _AGGREGATES for name in names),
)
"""The 257 names, in the order of the deck's columns."""

Magnitude = NDArray[np.float32]  # shape (frames, bins)


@dataclass(frozen=True, slots=True)
class LibrosaEncoder:
    """The deck's audio encoder; `Encoded.tempo` is the first feature."""

    def encode(self, waveform: Vector) -> Encoded:
        """Encode a mono float32 waveform, shape (samples,), at 22,050 Hz. Raises as `extract`.

        The halves are measured on the halves of the whole track's series: its loudest moment is 0 dB in both.
        """
        y = _checked(waveform, SAMPLE_RATE)
        series, mel_db = _series(y)
        vector = _vector(series, mel_db)
        halves = None
        if len(y) >= 2 * HALF_SECONDS * SAMPLE_RATE:
            halves = np.stack([_vector(*_half(series, mel_db, second)) for second in (False, True)])
        return Encoded(vector, tempo=float(vector[0]) or None, segments=halves)


def load() -> LibrosaEncoder:
    """The encoder; its kernels are compiled on the first run on a machine, and kept on disk."""
    extract(np.zeros(2 * MIN_SAMPLES, dtype=np.float32))
    return LibrosaEncoder()


def extract(waveform: Vector, sample_rate: int = SAMPLE_RATE) -> Vector:
    """The 257 features of a mono waveform, shape (samples,), as float32 (257,), named by `NAMES`; always finite.

    A waveform of another sample rate (Hz) is brought to 22,050 Hz first, where the deck's features live. Silence has
    features too (librosa's: a tempo of 0, no chroma).

    Raises:
        TooShort: under `MIN_SAMPLES`, too few frames for a derivative.
        EncoderError: it is not one channel of finite numbers.
    """
    return _vector(*_series(_checked(waveform, sample_rate)))


def _half(
    series: dict[str, NDArray[Any]], mel_db: Magnitude, second: bool
) -> tuple[dict[str, NDArray[Any]], Magnitude]:
    """The first or second half of every series."""

    def cut(length: int) -> slice:
        return slice(length // 2, None) if second else slice(length // 2)

    return {name: values[cut(len(values))] for name, values in series.items()}, mel_db[:, cut(mel_db.shape[1])]


def _vector(series: dict[str, NDArray[Any]], mel_db: Magnitude) -> Vector:
    """The features of series as `_series` gives them."""
    vector = np.empty(len(NAMES), dtype=np.float32)
    vector[0] = _tempo(mel_db)
    at = 1
    for names in (_SERIES, _CEPSTRA):
        table = np.array([_aggregate(series[name]) for name in names]).T  # shape (aggregates, names)
        vector[at : at + table.size] = table.ravel()
        at += table.size
    if not np.isfinite(vector).all():
        raise EncoderError("The sound cannot be measured.")
    return vector


def _checked(waveform: Vector, sample_rate: int) -> Vector:
    y = np.ascontiguousarray(waveform, dtype=np.float32)
    if y.ndim != 1:
        raise EncoderError(f"The sound must be one channel, not of shape {y.shape}.", hint="")
    if not np.isfinite(y).all():
        raise EncoderError("The sound has samples that are no numbers.", hint="")
    if np.abs(y).max(initial=0.0) > MAX_PEAK:
        raise EncoderError("The sound has samples that are far out of range.", hint="")
    if sample_rate != SAMPLE_RATE:
        import librosa

        if sample_rate <= 0:
            raise EncoderError(f"{sample_rate} Hz is no sample rate.", hint="")
        y = librosa.resample(y, orig_sr=sample_rate, target_sr=SAMPLE_RATE)
    if len(y) < MIN_SAMPLES:
        raise TooShort
    return y


def _series(y: Vector) -> tuple[dict[str, NDArray[Any]], Magnitude]:
    """Every series by name (each (frames,), the two waveforms (samples,)), and the mel decibels (128, frames)."""
    import librosa
    from librosa.onset import onset_strength

    from clipsim.encoders import _frames, hpss

    spectrum = _stft(y)
    magnitude = np.abs(spectrum)
    frames = len(magnitude)
    series: dict[str, NDArray[Any]] = {"zero_crossing_rate": _zero_crossing_rate(y, frames)}

    shapes = np.empty((5, frames))  # centroid, rolloff, bandwidths
    hpss.spread(lambda a, b: _frames.shapes(magnitude, _frequencies(), shapes, a, b), frames)
    decibels = np.empty(frames)
    loudest = float(magnitude.max())
    hpss.spread(lambda a, b: _frames.decibels(magnitude, loudest, AMIN, TOP_DB, decibels, a, b), frames)
    series |= {"spectrogram": decibels, "spectral_centroids": shapes[0], "spectral_rolloff": shapes[1]}
    series |= {f"spectral_bandwidth_{p}": shapes[p] for p in (2, 3, 4)}

    mel, chroma = _mel_and_chroma(magnitude)
    series["mel_spectrogram"] = librosa.amplitude_to_db(mel, ref=np.max).mean(axis=0)
    series |= {f"chroma{i}": row for i, row in enumerate(chroma, start=1)}
    mel_db = librosa.power_to_db(mel)
    series["spectral_flux"] = onset_strength(S=mel_db, sr=SAMPLE_RATE)
    mfcc = librosa.feature.mfcc(S=mel_db, n_mfcc=N_MFCC)
    for name, values in (("mfcc_", mfcc), ("spectral_centroids", shapes[:1])):
        delta, accelerate = librosa.feature.delta(values), librosa.feature.delta(values, order=2)
        if name == "spectral_centroids":
            series |= {f"{name}_delta": delta[0], f"{name}_accelerate": accelerate[0]}
            continue
        for i in range(N_MFCC):
            series |= {f"mfcc_{i + 1}": mfcc[i]}
            series |= {f"mfcc_delta_{i + 1}": delta[i], f"mfcc_accelerate_{i + 1}": accelerate[i]}

    harmonics = _istft(hpss.harmonic(spectrum, magnitude), len(y))
    series |= {"harmonics": harmonics, "perceptual_shock_wave": y - harmonics}
    return series, mel_db


def _tempo(mel_db: Magnitude) -> float:
    """Beats a minute, as `librosa.beat.beat_track` finds them; 0 where nothing begins."""
    import librosa
    from librosa.onset import onset_strength

    onsets = onset_strength(S=mel_db, sr=SAMPLE_RATE, aggregate=np.median)
    if not onsets.any():
        return 0.0
    return float(librosa.feature.tempo(onset_envelope=onsets, sr=SAMPLE_RATE, hop_length=HOP, start_bpm=120.0)[0])


def _stft(y: Vector) -> NDArray[np.complex64]:
    """librosa's `stft`, transposed: shape (frames, bins), a frame contiguous.

    Transformed in double precision as there: to single precision's rounding a pure tone owes half of its bandwidth.
    """
    from scipy.fft import rfft

    from clipsim.encoders.hpss import threads

    padded = np.pad(y, N_FFT // 2)
    count = 1 + (len(padded) - N_FFT) // HOP
    framed = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][:count]
    spectrum = np.empty((count, 1 + N_FFT // 2), dtype=np.complex64)
    for at in range(0, count, CHUNK):
        spectrum[at : at + CHUNK] = rfft(framed[at : at + CHUNK] * _window(), axis=1, workers=threads())
    return spectrum


def _istft(spectrum: NDArray[np.complex64], length: int) -> Vector:
    """librosa's `istft` of a transposed spectrum, to `length` samples."""
    from scipy.fft import irfft

    from clipsim.encoders import _frames
    from clipsim.encoders.hpss import threads

    count = len(spectrum)
    padded = np.zeros(N_FFT + HOP * (count - 1), dtype=np.float32)
    weight = np.zeros_like(padded)
    for at in range(0, count, CHUNK):
        pieces = irfft(spectrum[at : at + CHUNK], n=N_FFT, axis=1, workers=threads())
        _frames.overlap_add(padded, weight, pieces, _window(), at * HOP, HOP)
    y = padded[N_FFT // 2 :][:length]
    weight = weight[N_FFT // 2 :][:length]
    np.divide(y, weight, out=y, where=weight > np.finfo(np.float32).tiny)
    return np.pad(y, (0, length - len(y)))


def _mel_and_chroma(magnitude: Magnitude) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """librosa's mel power spectrogram, shape (128, frames), and its chroma, shape (12, frames)."""
    import librosa
    from librosa.filters import chroma as chroma_bank

    from clipsim.encoders import _frames, hpss

    frames = len(magnitude)
    pitches = np.zeros((frames, _frames.MAX_PEAKS), dtype=np.float32)
    peaks = np.zeros_like(pitches)
    hpss.spread(lambda a, b: _frames.pitches(magnitude, pitches, peaks, SAMPLE_RATE / N_FFT, a, b), frames)
    found = pitches > 0
    pitches, peaks = pitches[found], peaks[found]
    tuning = librosa.pitch_tuning(pitches[peaks >= np.median(peaks)], bins_per_octave=N_CHROMA) if len(peaks) else 0.0
    bank = np.vstack([_mel_bank(), chroma_bank(sr=SAMPLE_RATE, n_fft=N_FFT, tuning=tuning)])
    both = np.empty((len(bank), frames), dtype=np.float32)
    for at in range(0, frames, CHUNK):
        np.matmul(bank, np.square(magnitude[at : at + CHUNK]).T, out=both[:, at : at + CHUNK])
    mel, chroma = both[: len(_mel_bank())], both[len(_mel_bank()) :]
    return mel, librosa.util.normalize(chroma, norm=np.inf, axis=0)


def _zero_crossing_rate(y: Vector, frames: int) -> NDArray[np.float64]:
    """librosa's: the share of samples of a frame whose sign is not that of the sample before."""
    padded = np.pad(y, N_FFT // 2, mode="edge")
    negative = np.signbit(padded) & (np.abs(padded) > np.float32(ZERO))
    crossings = np.concatenate([[0], np.cumsum(negative[1:] != negative[:-1], dtype=np.int32)])  # up to each sample
    starts = np.arange(frames) * HOP
    return np.asarray((crossings[starts + N_FFT - 1] - crossings[starts]) / N_FFT)


def _aggregate(values: NDArray[Any]) -> tuple[float, float, float, float]:
    """Mean, median, standard deviation and 75th percentile. The two sums are in double precision."""
    median, percentile = np.percentile(values, (50.0, PERCENTILE))
    mean = np.mean(values, dtype=np.float64)
    return float(mean), float(median), float(np.std(values, dtype=np.float64)), float(percentile)


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float64]:
    from scipy.signal import get_window

    return np.asarray(get_window("hann", N_FFT, fftbins=True))


@lru_cache(maxsize=1)
def _frequencies() -> NDArray[np.float64]:
    return np.asarray(np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE))


@lru_cache(maxsize=1)
def _mel_bank() -> Magnitude:
    from librosa.filters import mel

    return np.asarray(mel(sr=SAMPLE_RATE, n_fft=N_FFT), dtype=np.float32)
