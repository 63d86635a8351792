"""The deck's way, written plainly: the reference that the fast code is compared with, in value and in time.

Sound: the calls are those the deck's authors made (librosa's defaults, one call for each feature, nothing shared),
without their two slips: the 75th percentile is taken for what it is, and the two spectrograms are averaged over their
bins. Pictures: the whole video is decoded and held, as torchvision's `read_video` does, and its windows go through an
eager network one by one. Words: one text after the other, one window after the other. All in float32, with torch's own
calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from clipsim.encoders import WindowSpec
from clipsim.encoders.tags import Network
from clipsim.encoders.text import OVERLAP, halves, kept, windows

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


# Pictures


def read_video(path: Path | str) -> tuple[list[NDArray[np.uint8]], list[float], float]:
    """Every frame of a video as RGB at the stream's own size, when each is on screen (seconds), and when it ends."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pairs = [(frame.to_ndarray(format="rgb24"), float(frame.time)) for frame in container.decode(stream)]
        begin = float((stream.start_time or 0) * stream.time_base)
        end = begin + float(stream.duration * stream.time_base)
    return [frame for frame, _ in pairs], [time for _, time in pairs], end


def video_windows(path: Path | str, spec: WindowSpec) -> list[torch.Tensor]:
    """The windows that `spec` asks for, scaled and cropped by torch: float32 in 0 … 255, each (frames, 3, h, w)."""
    frames, times, end = read_video(path)
    step = spec.step or (times[-1] - times[0]) / (len(times) - 1)
    length, part = step * spec.frames, (end - times[0]) / spec.count
    if part < length:
        raise ValueError("The clip is too short for its windows to stand side by side.")
    found = []

    def on_screen(time: float) -> int:
        return int(np.searchsorted(times, time + 1e-6, side="right")) - 1  # times are rounded

    for i in range(spec.count):
        start = times[0] + (i + 0.5) * part - length / 2
        first = on_screen(start)
        if spec.step is None:
            wanted = list(range(first, first + spec.frames))
        else:
            wanted = [on_screen(start + k * step) for k in range(spec.frames)]
        window = torch.from_numpy(np.stack([frames[n] for n in wanted])).permute(0, 3, 1, 2).float()
        height, width = window.shape[2:]
        scale = spec.short_side / min(height, width)
        size = [round(height * scale), round(width * scale)]
        window = functional.interpolate(window, size=size, mode="bilinear", antialias=True)  # as torchvision's Resize
        if spec.crop:
            top, left = (size[0] - spec.crop) // 2, (size[1] - spec.crop) // 2
            window = window[:, :, top : top + spec.crop, left : left + spec.crop]
        found.append(window)
    return found


def i3d_tensors(checkpoint: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The arrays of I3D's checkpoint (`clipsim.encoders.i3d.read_checkpoint`) as tensors, by their path in it."""
    found: dict[str, torch.Tensor] = {}

    def walk(tree: Mapping[str, Any], path: str) -> None:
        for name, value in tree.items():
            if isinstance(value, Mapping):
                walk(value, f"{path}{name}/")
                continue
            tensor = torch.from_numpy(np.array(value, np.float32))
            is_kernel = tensor.dim() == 5 and name == "kernel"  # (time, height, width, in, out)
            found[path + name] = tensor.permute(4, 3, 0, 1, 2).contiguous() if is_kernel else tensor.ravel()

    walk(checkpoint, "")
    return found


def i3d(tensors: Mapping[str, torch.Tensor], frames: torch.Tensor) -> torch.Tensor:
    """I3D's forward pass in the order of the paper's figure 3, with its authors' checkpoint: logits (batch, 400).

    `frames` in [-1, 1], (batch, 3, time, height, width). Nothing is folded, joined or laid out anew.
    """

    def same(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], value: float) -> torch.Tensor:
        pads: list[int] = []
        for n, k, s in zip(x.shape[2:], kernel, stride, strict=True):
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads = [total // 2, total - total // 2, *pads]
        return functional.pad(x, pads, value=value)

    def unit(x: torch.Tensor, name: str, stride: tuple[int, int, int] = (1, 1, 1)) -> torch.Tensor:
        kernel, shift = tensors[f"params/{name}/Conv_0/kernel"], tensors[f"params/{name}/BatchNorm_0/bias"]
        mean, variance = (tensors[f"batch_stats/{name}/BatchNorm_0/{kind}"] for kind in ("mean", "var"))
        x = functional.conv3d(same(x, tuple(kernel.shape[2:]), stride, 0.0), kernel, stride=stride)
        return functional.relu(functional.batch_norm(x, mean, variance, bias=shift, training=False, eps=1e-3))

    def pool(x: torch.Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> torch.Tensor:
        return functional.max_pool3d(same(x, kernel, stride, -float("inf")), kernel, stride)

    x = pool(unit(frames, "Conv3d_1a_7x7", (2, 2, 2)), (1, 3, 3), (1, 2, 2))
    x = pool(unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3"), (1, 3, 3), (1, 2, 2))
    for name in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"):
        if name == "4b":
            x = pool(x, (3, 3, 3), (2, 2, 2))
        if name == "5b":
            x = pool(x, (2, 2, 2), (2, 2, 2))
        branch = f"Mixed_{name}/Branch_"
        x = torch.cat(
            (
                unit(x, f"{branch}0/Conv3d_0a_1x1"),
                unit(unit(x, f"{branch}1/Conv3d_0a_1x1"), f"{branch}1/Conv3d_0b_3x3"),
                unit(unit(x, f"{branch}2/Conv3d_0a_1x1"), f"{branch}2/Conv3d_0b_3x3"),
                unit(pool(x, (3, 3, 3), (1, 1, 1)), f"{branch}3/Conv3d_0b_1x1"),
            ),
            1,
        )
    x = functional.avg_pool3d(x, (min(2, x.shape[2]), *x.shape[3:]), 1)
    last = "params/Logits/Conv3d_0c_1x1/Conv_0"
    return functional.conv3d(x, tensors[f"{last}/kernel"], tensors[f"{last}/bias"]).mean((2, 3, 4))


def i3d_logits(tensors: Mapping[str, torch.Tensor], path: Path | str, spec: WindowSpec) -> NDArray[np.float32]:
    """The logits of each window of a video by I3D: float32 (windows, 400)."""
    with torch.no_grad():
        return np.concatenate(
            [
                i3d(tensors, window.div(127.5).sub(1).permute(1, 0, 2, 3)[None]).numpy()
                for window in video_windows(path, spec)
            ]
        )


def r3d_logits(network: torch.nn.Module, transform: Any, path: Path | str, spec: WindowSpec) -> NDArray[np.float32]:
    """The logits of each window of a video by torchvision's own network and transforms: float32 (windows, 400)."""
    with torch.no_grad():
        return np.concatenate(
            [
                network(transform(window.round().clamp(0, 255).to(torch.uint8))[None]).numpy()
                for window in video_windows(path, spec)
            ]
        )


# Words


def text_vectors(network: Any, tokenizer: Any, text: str, tokens: int) -> list[NDArray[np.float32]]:
    """The mean of a text's last hidden states, and those of its halves, each read on its own: float32 (size,).

    What is longer than `tokens` is read in windows that overlap, and a text whose halves are read never across its
    middle. In one window the special tokens count, in several they do not.
    """

    def ids(of: str) -> list[int]:
        found: list[int] = tokenizer(of, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return found

    parts = [ids(part) for part in halves(text) or ()]
    whole = [ids(text)] if len(ids(text)) <= tokens - 2 or not parts else parts
    return [_read(network, tokenizer, each, tokens) for each in (whole, *([part] for part in parts))]


def _read(network: Any, tokenizer: Any, parts: list[list[int]], tokens: int) -> NDArray[np.float32]:
    size = tokens - 2
    states, several = [], len(parts) > 1 or len(parts[0]) > size
    for ids in parts:
        spans = windows(len(ids), size, min(OVERLAP, size // 4))
        for (start, stop), (keep, until) in zip(spans, kept(spans), strict=True):
            row = torch.tensor([[tokenizer.cls_token_id, *ids[start:stop], tokenizer.sep_token_id]])
            with torch.no_grad():
                state = network(input_ids=row, attention_mask=torch.ones_like(row)).last_hidden_state[0]
            states.append(state[keep + 1 : until + 1] if several else state)
    return torch.cat(states).mean(0).numpy()
