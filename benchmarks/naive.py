"""The deck's way, written plainly: the reference that the fast code is compared with, in value and in time.

The calls are those the deck's authors made (librosa's defaults, one call for each feature, nothing shared), without
their two slips: the 75th percentile is taken for what it is, and the two spectrograms are averaged over their bins.
"""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from clipsim.encoders.tags import Network

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


def musicnn(network: Network, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """musicnn's forward pass in the order of the package's models.py: convolution, ReLU, normalisation, maximum."""

    def norm(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        assert isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)
        return functional.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias, training=False, eps=1e-3
        )

    x = norm(network.normalise, patches[:, None])
    front = []
    for i, (conv, bn) in enumerate(zip(network.front, network.front_norms, strict=True)):
        length = conv.kernel_size[0]
        # timbre: three frames of zeros on both sides; rhythm: TensorFlow's "same", the odd one behind
        pads = (3, 3) if i < 2 else ((length - 1) // 2, length // 2)
        answers = functional.relu(functional.conv2d(functional.pad(x, (0, 0, *pads)), conv.weight, conv.bias))
        front.append(functional.max_pool2d(norm(bn, answers), (1, answers.shape[3]))[..., 0])
    layers = [torch.cat(front, 1)]
    for conv, bn in zip(network.middle, network.middle_norms, strict=True):
        layer = norm(bn, functional.relu(functional.conv1d(layers[-1], conv.weight, conv.bias, padding=3)))
        layers.append(layer if len(layers) == 1 else layer + layers[-1])
    features = torch.cat(layers, 1)
    pooled = torch.stack([features.max(2).values, features.mean(2)], 2).reshape(len(features), -1)
    penultimate = norm(network.dense_norm, functional.relu(network.dense(norm(network.pool_norm, pooled))))
    return network.output(penultimate), torch.cat([penultimate, features.mean(2)], 1)
