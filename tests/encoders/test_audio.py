"""The 257 features against plain librosa calls, one for each, and the sliding median against scipy's."""

from __future__ import annotations

import csv
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from benchmarks.naive import audio_features
from clipsim import media
from clipsim.encoders import SAMPLE_RATE, audio, hpss
from clipsim.errors import EncoderError, TooShort
from tests.doubles.media import beat

RELATIVE = 1e-4  # of the value
# Of the spread of the series that a value (or derivative) was made from: what single precision rounds away.
NOISE = 2e-6
RNG = np.random.default_rng(0)
TIME = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE

SIGNALS = {
    "noise": 0.1 * RNG.standard_normal(3 * SAMPLE_RATE),
    "tone": 0.3 * np.sin(2 * np.pi * 440 * TIME),
    "sweep": 0.4 * np.sin(2 * np.pi * (100 * TIME + 600 * TIME**2)),
    "beat": beat(5, sample_rate=SAMPLE_RATE),
    "loud": 3.0 * RNG.standard_normal(2 * SAMPLE_RATE),
    "half silent": np.concatenate([np.zeros(SAMPLE_RATE), 0.2 * RNG.standard_normal(SAMPLE_RATE)]),
    "quiet": 1e-4 * RNG.standard_normal(2 * SAMPLE_RATE),
    "odd length": 0.1 * RNG.standard_normal(2 * SAMPLE_RATE + 333),
}


def compare(waveform: NDArray[np.float32]) -> None:
    """Each feature, by name, within RELATIVE of its own librosa call."""
    waveform = np.asarray(waveform, np.float32)
    want = audio_features(waveform)
    got = dict(zip(audio.NAMES, audio.extract(waveform), strict=True))
    assert list(want) == list(got)
    wrong = {}
    for name, value in want.items():
        series = name.rsplit("_", 1)[0].replace("_delta", "").replace("_accelerate", "")
        spread = abs(want.get(f"{series}_std", 0.0))
        if abs(got[name] - value) > RELATIVE * abs(value) + NOISE * spread + 1e-12:
            wrong[name] = (value, got[name])
    assert not wrong


def test_names_are_the_decks(testdata: Path) -> None:
    with (testdata / "deck" / "columns.csv").open(encoding="utf-8") as file:
        columns = [row["feature"] for row in csv.DictReader(file)]
    assert list(audio.NAMES) == columns[400:657]
    assert len(set(audio.NAMES)) == 257


@pytest.mark.parametrize("signal", SIGNALS)
def test_each_feature_is_its_librosa_call(signal: str) -> None:
    compare(np.asarray(SIGNALS[signal], np.float32))


def test_each_feature_is_its_librosa_call_on_a_real_track(testdata: Path) -> None:
    waveform = media.decode_audio(testdata / "music" / "Kevin_MacLeod_-_Vibe_Ace.ogg", 300)
    compare(waveform[10 * SAMPLE_RATE : 30 * SAMPLE_RATE])


def test_each_feature_is_its_librosa_call_on_a_whole_excerpt(testdata: Path) -> None:
    compare(media.decode_audio(testdata / "songs" / "01 - Help.mp3"))


def test_values_look_like_the_decks(testdata: Path) -> None:
    with (testdata / "deck" / "columns.csv").open(encoding="utf-8") as file:
        rows = {row["feature"]: (float(row["mean"]), float(row["scale"])) for row in csv.DictReader(file)}
    got = dict(zip(audio.NAMES, audio.extract(media.decode_audio(testdata / "songs" / "01 - Help.mp3")), strict=True))
    for name in ("tempo_bpm", "spectral_centroids_mean", "chroma1_mean", "mfcc_2_mean", "spectral_flux_std"):
        mean, scale = rows[name]
        assert abs(got[name] - mean) < 4 * scale, name


def test_the_slips_of_the_authors_are_not_copied() -> None:
    got = dict(zip(audio.NAMES, audio.extract(np.asarray(SIGNALS["beat"], np.float32)), strict=True))
    for name in ("zero_crossing_rate", "spectral_rolloff", "mfcc_3", "harmonics"):
        assert got[f"{name}_percentile"] >= got[f"{name}_median"]  # their 0.75th percentile lies at the bottom
    power = np.abs(librosa.stft(np.asarray(SIGNALS["beat"], np.float32)))
    decibels = librosa.amplitude_to_db(power, ref=np.max)
    assert got["spectrogram_mean"] == pytest.approx(decibels.mean(), rel=1e-4)
    assert abs(got["spectrogram_mean"] - decibels[0].mean()) > 1  # theirs


def test_silence_has_finite_features() -> None:
    vector = audio.extract(np.zeros(2 * SAMPLE_RATE, np.float32))
    assert vector.shape == (257,) and vector.dtype == np.float32 and np.isfinite(vector).all()
    want = np.array(list(audio_features(np.zeros(2 * SAMPLE_RATE, np.float32)).values()))
    np.testing.assert_allclose(vector, want, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad: float) -> None:
    waveform = np.zeros(SAMPLE_RATE, np.float32)
    waveform[77] = bad
    with pytest.raises(EncoderError):
        audio.extract(waveform)


def test_what_cannot_be_measured_is_refused() -> None:
    for samples in (0, 1, 2048, audio.MIN_SAMPLES - 1):
        with pytest.raises(TooShort):
            audio.extract(np.zeros(samples, np.float32))
    assert np.isfinite(audio.extract(RNG.standard_normal(audio.MIN_SAMPLES).astype(np.float32))).all()
    with pytest.raises(EncoderError):
        audio.extract(np.full(SAMPLE_RATE, 3e38, np.float32))
    with pytest.raises(EncoderError):
        audio.extract(np.zeros((2, SAMPLE_RATE), np.float32))
    with pytest.raises(EncoderError):
        audio.extract(np.zeros(SAMPLE_RATE, np.float32), sample_rate=0)


def test_another_sample_rate_is_brought_to_the_decks() -> None:
    want = dict(zip(audio.NAMES, audio.extract(beat(4, sample_rate=SAMPLE_RATE)), strict=True))
    got = dict(zip(audio.NAMES, audio.extract(beat(4, sample_rate=44_100), 44_100), strict=True))
    for name in ("chroma10_mean", "mfcc_2_mean"):
        assert got[name] == pytest.approx(want[name], rel=0.2)
    assert got["tempo_bpm"] == pytest.approx(want["tempo_bpm"], rel=0.05)


def test_the_encoder_tells_the_tempo() -> None:
    encoded = audio.load().encode(beat(12, rhythm=100, sample_rate=SAMPLE_RATE))
    assert encoded.vector.shape == (257,)
    assert encoded.tempo == pytest.approx(100, rel=0.04)
    assert audio.load().encode(np.zeros(SAMPLE_RATE, np.float32)).tempo is None


def test_it_is_the_same_every_time() -> None:
    waveform = np.asarray(SIGNALS["noise"], np.float32)
    np.testing.assert_array_equal(audio.extract(waveform), audio.extract(waveform.copy()))


# Separation


@settings(max_examples=60, deadline=None)
@given(
    values=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70),
        elements=st.floats(0, 100, width=32) | st.sampled_from([0.0, 1.0]),
    ),
    half=st.integers(0, 20),
    axis=st.sampled_from([0, 1]),
)
def test_the_sliding_median_is_scipys_to_the_bit(values: NDArray[np.float32], half: int, axis: int) -> None:
    size = 2 * half + 1
    shape = (size, 1) if axis == 0 else (1, size)
    got = hpss.median_filter(values, size, axis)
    padding = ((half, half), (0, 0)) if axis == 0 else ((0, 0), (half, half))
    padded = np.pad(values, padding, mode="symmetric")
    np.testing.assert_array_equal(got, np.median(np.lib.stride_tricks.sliding_window_view(padded, size, axis), axis=-1))
    if size <= 4 * values.shape[axis]:  # scipy 1.17 is wrong where a window is over eight times as long as its row
        np.testing.assert_array_equal(got, scipy.ndimage.median_filter(values, size=shape, mode="reflect"))


def test_the_sliding_median_is_scipys_on_a_real_size() -> None:
    values = RNG.random((500, 1025), dtype=np.float32)
    for axis, shape in ((0, (31, 1)), (1, (1, 31))):
        want = scipy.ndimage.median_filter(values, size=shape, mode="reflect")
        np.testing.assert_array_equal(hpss.median_filter(values, 31, axis), want)
    assert hpss.median_filter(np.zeros((0, 5), np.float32), 31, 0).shape == (0, 5)
    with pytest.raises(ValueError, match="odd"):
        hpss.median_filter(values, 30, 0)


def test_the_harmonic_part_is_librosas() -> None:
    spectrum = librosa.stft(beat(3, sample_rate=SAMPLE_RATE))
    want, short = librosa.decompose.hpss(spectrum)
    whole = np.ascontiguousarray(spectrum.T)
    got = hpss.harmonic(whole.copy(), np.abs(whole))
    scale = np.abs(spectrum).max()
    np.testing.assert_allclose(got.T, want, atol=1e-6 * scale)
    np.testing.assert_allclose((whole - got).T, short, atol=1e-6 * scale)


def test_work_is_spread_over_threads_and_errors_come_back() -> None:
    seen: list[tuple[int, int]] = []
    hpss.spread(lambda a, b: seen.append((a, b)), 1000, 16)
    assert sorted(seen)[0][0] == 0 and sorted(seen)[-1][1] == 1000
    assert all(a % 16 == 0 for a, _ in seen) and sum(b - a for a, b in seen) == 1000

    def fail(begin: int, end: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hpss.spread(fail, 100)


def test_halves_are_measured_on_the_halves_of_the_series() -> None:
    """By librosa's own series of the whole track, cut in the middle."""
    y = np.concatenate([SIGNALS["beat"], SIGNALS["tone"], SIGNALS["noise"]]).astype(np.float32)
    encoded = audio.LibrosaEncoder().encode(y)
    assert encoded.segments is not None and encoded.segments.shape == (2, 257)
    chroma, crossings = librosa.feature.chroma_stft(y=y), librosa.feature.zero_crossing_rate(y)
    middle = chroma.shape[1] // 2
    for half, cut in zip(encoded.segments, (slice(middle), slice(middle, None)), strict=True):
        got = dict(zip(audio.NAMES, half, strict=True))
        np.testing.assert_allclose(got["chroma4_mean"], chroma[3, cut].mean(), rtol=RELATIVE)
        np.testing.assert_allclose(got["zero_crossing_rate_std"], crossings[0, cut].std(), rtol=RELATIVE)
    assert audio.LibrosaEncoder().encode(y[: 5 * SAMPLE_RATE]).segments is None
