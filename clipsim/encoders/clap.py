"""CLAP: what a track sounds like, as 512 numbers that were learned together with words (preset `clap`, optional).

Source: Y. Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption
augmentation", ICASSP 2023, section 3; the audio branch and its projection of `laion/larger_clap_music`, trained on
music, by transformers' own network and feature extractor. The track is heard in windows of 10 s, one after the other;
its vector is the mean of the windows' unit vectors, at unit length again.

The weights are a person's to fetch (776 MB with the text branch, which is not loaded): no digest of them is known
here, and without one nothing is fetched by itself. They are read from the folder that `CLIPSIM_CLAP` names, as
safetensors only: nothing in it is unpickled or run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsim import settings
from clipsim._torchvision import transformers
from clipsim.encoders import SAMPLE_RATE, Encoded
from clipsim.encoders._device import device, in_batches, inference
from clipsim.encoders._together import only, together
from clipsim.errors import ClipSimError, EncoderError, TooShort, WeightsError
from clipsim.model import Matrix, Vector

MODEL = "laion/larger_clap_music"
SIZE = 512  # of the projection
FILES = ("config.json", "preprocessor_config.json", "model.safetensors")  # read from the folder
SHORTEST_REST = 5.0  # seconds of what is left after the last whole window; a shorter rest is not heard
MIN_SAMPLES = 1024  # at 22,050 Hz: 46 ms
MAX_PEAK = 1e5  # full scale is 1
BATCH = 4  # windows at once
BATCH_CUDA = 64
HINT = (
    f"Run: hf download {MODEL} --local-dir FOLDER, then set CLIPSIM_CLAP=FOLDER. "
    "It needs model.safetensors: docs/operations.md says how to make one."
)


class ClapEncoder:
    """The audio branch of a CLAP network in a folder, and its own feature extractor."""

    def __init__(self, folder: Path) -> None:
        import torch

        from clipsim.encoders._linear import replaced

        hub = transformers()
        try:
            self._extractor: Any = hub.ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
            network, told = hub.ClapAudioModelWithProjection.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
        except Exception as error:  # transformers raises many kinds, with many lines
            raise WeightsError(f"CLAP in {folder} cannot be loaded ({type(error).__name__}).", hint=HINT) from error
        if told["missing_keys"]:
            gone = min(told["missing_keys"])
            raise WeightsError(f"The network in {folder} is not CLAP's: {gone} is missing.", hint=HINT)
        if network.config.enable_fusion:  # its extractor draws windows at random
            raise WeightsError(f"The network in {folder} is a CLAP with feature fusion.", hint=HINT)
        self.size: int = network.config.projection_dim
        self._device = device()
        self._network = replaced(network.eval().requires_grad_(False).to(self._device))

    def encode(self, waveform: Vector) -> Encoded:
        """Encode a mono float32 waveform, shape (samples,), at 22,050 Hz.

        The network was trained at 48,000 Hz; what is above 11 kHz, of the 14 it looks at, is silence here.

        Raises:
            TooShort: under `MIN_SAMPLES`.
            EncoderError: its samples are no finite numbers, or the network's answer is not.
        """
        return only(self.encode_many([waveform]))

    def encode_many(self, waveforms: Sequence[Vector]) -> list[Encoded | ClipSimError]:
        """Encode several waveforms; the error takes the place of one that cannot be encoded."""
        return together(waveforms, lambda waveform: (self._inputs(waveform), None), self._answers, _joined)

    def windows(self, waveform: Vector) -> Matrix:
        """The unit vector of each 10 s: float32, shape (windows, size). Raises as `encode`."""
        return _finite(self._answers(self._inputs(waveform)))

    def _inputs(self, waveform: Vector) -> list[NDArray[np.float32]]:
        """What the network is given of each 10 s, by transformers' own feature extractor."""
        rate = self._extractor.sampling_rate
        return [
            np.asarray(features, np.float32)
            for piece in self._pieces(waveform)
            for features in self._extractor([piece], truncation="rand_trunc", sampling_rate=rate, return_tensors="np")[
                "input_features"
            ]
        ]

    def _answers(self, inputs: Sequence[NDArray[np.float32]]) -> Matrix:
        with inference(self._device):
            batch = BATCH if self._device.type == "cpu" else BATCH_CUDA
            return np.concatenate(in_batches(inputs, batch, self._run))

    def _run(self, inputs: Sequence[NDArray[np.float32]]) -> Matrix:
        import torch

        features = torch.from_numpy(np.stack(list(inputs))).to(self._device)
        vectors = self._network(input_features=features).audio_embeds.float()
        found: Matrix = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
        return found

    def _pieces(self, waveform: Vector) -> list[Vector]:
        """The windows at the network's own rate; a short track is one, which the extractor repeats to fill."""
        import librosa

        if waveform.ndim != 1 or not np.isfinite(waveform).all() or np.abs(waveform).max(initial=0.0) > MAX_PEAK:
            raise EncoderError("The sound must be one channel of finite numbers.", hint="")
        if len(waveform) < MIN_SAMPLES:
            raise TooShort
        rate, length = self._extractor.sampling_rate, self._extractor.nb_max_samples
        y = librosa.resample(np.asarray(waveform, np.float32), orig_sr=SAMPLE_RATE, target_sr=rate)
        pieces = [y[start : start + length] for start in range(0, len(y), length)]
        if len(pieces) > 1 and len(pieces[-1]) < SHORTEST_REST * rate:
            pieces.pop()
        return pieces


def load() -> ClapEncoder:
    """The encoder in the folder that `CLIPSIM_CLAP` names.

    Raises:
        WeightsError: it names none, or the folder does not hold `laion/larger_clap_music`, or another network.
    """
    folder = settings.load().clap
    if problem := missing(folder):
        raise WeightsError(problem, hint=HINT)
    assert folder is not None
    encoder = ClapEncoder(folder)
    if encoder.size != SIZE:
        raise WeightsError(f"The CLAP in {folder} gives {encoder.size} numbers, not {SIZE}.", hint=HINT)
    return encoder


def missing(folder: Path | None) -> str | None:
    """What the folder lacks, in a sentence; None where its files are all there."""
    if folder is None:
        return "The preset clap needs CLAP's weights, and CLIPSIM_CLAP names no folder."
    gone = next((name for name in FILES if not (folder / name).is_file()), None)
    return None if gone is None else f"{folder} has no {gone}."


def _joined(_: None, windows: Any) -> Encoded:
    found = _finite(windows)
    middle = len(found) // 2
    halves = np.stack([_mean(found[:middle]), _mean(found[middle:])]) if middle else None
    return Encoded(_mean(found), segments=halves)


def _finite(vectors: Any) -> Matrix:
    if not np.isfinite(vectors).all():
        raise EncoderError("The audio network returned numbers that are not finite.")
    return np.asarray(vectors, np.float32)


def _mean(vectors: Matrix) -> Vector:
    """The mean direction of unit vectors, at unit length."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise EncoderError("The sound's windows cancel each other out.", hint="")
    return np.asarray(mean / length, np.float32)
