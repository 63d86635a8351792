"""The deck's way, written plainly: the reference that the fast code is compared with, in value and in time.

The calls are those the deck's authors made (librosa's defaults, one call for each feature, nothing shared), without
their two slips: the 75th percentile is taken for what it is, and the two spectrograms are averaged over their bins.
"""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 22050  # Hz


def audio_features(waveform: NDArray[np.float32], sample_rate: int = SAMPLE_RATE) -> dict[str, float]:
    """The deck's 257 audio features by name, in its order, each from a librosa call of its own."""
    y = (
        librosa.resample(waveform, orig_sr=sample_rate, target_sr=SAMPLE_RATE)
        if sample_rate != SAMPLE_RATE
        else waveform
    )
    sr = SAMPLE_RATE
    series: dict[str, NDArray[Any]] = {}
    series["zero_crossing_rate"] = librosa.feature.zero_crossing_rate(y)[0]
    series["spectrogram"] = librosa.amplitude_to_db(np.abs(librosa.stft(y)), ref=np.max).mean(axis=0)
    # The authors took a power spectrogram for an amplitude here; the deck's own columns hold that.
    series["mel_spectrogram"] = librosa.amplitude_to_db(librosa.feature.melspectrogram(y=y, sr=sr), ref=np.max).mean(
        axis=0
    )
    series["harmonics"], series["perceptual_shock_wave"] = librosa.effects.hpss(y)
    centroids = librosa.feature.spectral_centroid(y=y, sr=sr)[0]
    series["spectral_centroids"] = centroids
    series["spectral_centroids_delta"] = librosa.feature.delta(centroids)
    series["spectral_centroids_accelerate"] = librosa.feature.delta(centroids, order=2)
    for i, row in enumerate(librosa.feature.chroma_stft(y=y, sr=sr), start=1):
        series[f"chroma{i}"] = row
    series["spectral_rolloff"] = librosa.feature.spectral_rolloff(y=y, sr=sr)[0]
    series["spectral_flux"] = librosa.onset.onset_strength(y=y, sr=sr)
    for p in (2, 3, 4):
        series[f"spectral_bandwidth_{p}"] = librosa.feature.spectral_bandwidth(y=y, sr=sr, p=p)[0]
    cepstra: dict[str, NDArray[Any]] = {}
    mfcc = librosa.feature.mfcc(y=y, sr=sr, n_mfcc=13)
    delta, accelerate = librosa.feature.delta(mfcc), librosa.feature.delta(mfcc, order=2)
    for i in range(13):
        cepstra[f"mfcc_{i + 1}"] = mfcc[i]
        cepstra[f"mfcc_delta_{i + 1}"] = delta[i]
        cepstra[f"mfcc_accelerate_{i + 1}"] = accelerate[i]

    aggregates = {
        "mean": np.mean,
        "median": np.median,
        "std": np.std,
        "percentile": lambda values: np.percentile(values, 75),
    }
    features = {"tempo_bpm": float(np.atleast_1d(librosa.beat.beat_track(y=y, sr=sr)[0])[0])}
    for group in (series, cepstra):
        for suffix, aggregate in aggregates.items():
            features |= {f"{name}_{suffix}": float(aggregate(values)) for name, values in group.items()}
    return features
