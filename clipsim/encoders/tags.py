"""musicnn: what a track sounds like, as 953 numbers and the best of 50 tags that listeners give to songs.

The numbers are two of its layers, averaged over the track: the 200 of the penultimate layer, which says what kind of
music it is, and below it the means over time of the 753 filters, which tell one voice or guitar from another. Of its
layers these serve best together (`docs/evaluation.md`): the maxima over time and the tags add nothing.

Source: J. Pons, X. Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging", ISMIR 2019
late-breaking demo; the network `MSD_musicnn` (Million Song Dataset) of the package musicnn 0.1.0, whose TensorFlow
checkpoint is read as it is (`_tfcheckpoint`). Layer names below are the paper's: a front end of filters shaped by what
music does in frequency (timbre) and time (rhythm), a middle of three densely connected layers, and a back end that
pools over time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from clipsim import weights
from clipsim.encoders import SAMPLE_RATE, Encoded, _tfcheckpoint, halves
from clipsim.encoders._device import device, in_batches, inference
from clipsim.encoders._together import only, together
from clipsim.errors import ClipSimError, EncoderError, TooShort, WeightsError
from clipsim.model import Label, Vector

if TYPE_CHECKING:
    from torch.nn import Module

RATE = 16_000  # Hz that the network was trained on
N_FFT = 512  # samples a frame
HOP = 256  # samples from frame to frame
N_MELS = 96
PATCH = 187  # frames that the network sees at once: 3 s
COMPRESSION = 10_000  # the spectrogram is log10(COMPRESSION * power + 1)
BATCH = 8  # patches at once: more gain nothing on a CPU
BATCH_CUDA = 256  # three tracks of four minutes
BLOCK = 16  # frames of a rhythm filter's answers that one row of a matrix gives
EPSILON = 1e-3  # of TensorFlow's batch normalisation
LABELS = 5  # tags kept of a clip

TIMBRE_SHAPES = ((7, 38), (7, 67))  # frames × mel bands: 40 % and 70 % of the bands
TIMBRE_FILTERS = 204  # of each shape
RHYTHM_LENGTHS = (128, 64, 32)  # frames
RHYTHM_FILTERS = 51  # of each length
FRONT = len(TIMBRE_SHAPES) * TIMBRE_FILTERS + len(RHYTHM_LENGTHS) * RHYTHM_FILTERS  # 561
MIDDLE = 64  # filters of each of the three middle layers
PENULTIMATE = 200  # units
FILTERS = FRONT + 3 * MIDDLE  # 753, whose maximum and mean over time are pooled

TAGS: tuple[str, ...] = (
    *("rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock"),
    *("jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow"),
    *("electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient"),
    *("acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening"),
    *("sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad"),
    *("House", "happy"),
)
"""The 50 tags in the order of the network's outputs, spelt as in the Million Song Dataset."""

# The checkpoint also holds what training needed: Adam's moments and the powers of its two rates.
_TRAINING = ("beta1_power", "beta2_power")


class Network(nn.Module):
    """musicnn: log-mel patches (batch, 187, 96) to logits (batch, 50) and what `MusicnnEncoder` keeps (batch, 953)."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(1, eps=EPSILON)
        shapes = [
            *((shape, TIMBRE_FILTERS) for shape in TIMBRE_SHAPES),
            *(((n, 1), RHYTHM_FILTERS) for n in RHYTHM_LENGTHS),
        ]
        self.front = nn.ModuleList(nn.Conv2d(1, filters, shape) for shape, filters in shapes)
        self.front_norms = nn.ModuleList(nn.BatchNorm1d(filters, eps=EPSILON) for _, filters in shapes)
        self.middle = nn.ModuleList(nn.Conv1d(n, MIDDLE, 7, padding=3) for n in (FRONT, MIDDLE, MIDDLE))
        self.middle_norms = nn.ModuleList(nn.BatchNorm1d(MIDDLE, eps=EPSILON) for _ in range(3))
        pooled = 2 * FILTERS
        self.pool_norm = nn.BatchNorm1d(pooled, eps=EPSILON)
        self.dense = nn.Linear(pooled, PENULTIMATE)
        self.dense_norm = nn.BatchNorm1d(PENULTIMATE, eps=EPSILON)
        self.output = nn.Linear(PENULTIMATE, len(TAGS))

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the penultimate layer beside the filters' means, of patches (batch, frames, bands)."""
        x = self.normalise(patches[:, None])[:, 0]
        front = torch.cat(
            [self._front(x, conv, norm) for conv, norm in zip(self.front, self.front_norms, strict=True)], 1
        )
        layers = [front]
        for conv, norm in zip(self.middle, self.middle_norms, strict=True):
            layer = norm(functional.relu(conv(layers[-1])))
            layers.append(layer if len(layers) == 1 else layer + layers[-1])  # the first has another width to add to
        dense = torch.cat(layers, 1)
        mean = dense.mean(2)
        pooled = torch.stack([dense.amax(2), mean], 2).flatten(1)  # maximum and mean of each, side by side
        penultimate = self.dense_norm(functional.relu(self.dense(self.pool_norm(pooled))))
        return self.output(penultimate), torch.cat([penultimate, mean], 1)

    @staticmethod
    def _front(x: Tensor, conv: Module, norm: Module) -> Tensor:
        """One shape of filters, its loudest answer over the bands: (batch, frames, bands) to (batch, filters, frames).

        In the paper ReLU and normalisation come before the maximum. Both are monotonous in each filter, so the maximum
        (the minimum, where normalisation turns the sign) can be taken first, which spares them most of the work.
        """
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm1d) and conv.bias is not None
        sign = torch.where(norm.weight < 0, -1.0, 1.0)[:, None]
        kernel = conv.weight[:, 0] * sign[:, :, None]
        loudest = _loudest_timbre(x, kernel) if kernel.shape[2] > 1 else _loudest_rhythm(x, kernel[:, :, 0])
        answer: Tensor = norm(functional.relu(loudest * sign + conv.bias[:, None]))
        return answer


def _loudest_timbre(x: Tensor, kernel: Tensor) -> Tensor:
    """Maximum over the bands of a convolution: (batch, frames, bands), (filters, n, m) to (batch, filters, frames).

    One picture of a single channel convolves slowly; the `m` bands that a filter covers are taken for channels instead,
    and each place it can stand at for a picture of its own.
    """
    filters, length, covered = kernel.shape
    padded = functional.pad(x, (0, 0, (length - 1) // 2, length // 2))
    places = padded.unfold(2, covered, 1).transpose(1, 2)  # (batch, places, frames, covered)
    flat = places.reshape(-1, 1, padded.shape[1], covered).permute(0, 3, 1, 2)  # channels last in memory
    weight = kernel.transpose(1, 2)[:, :, None].contiguous(memory_format=torch.channels_last)
    answers = functional.conv2d(flat, weight).permute(0, 2, 3, 1)
    return answers.view(len(x), places.shape[1], x.shape[1], filters).amax(1).transpose(1, 2)


def _loudest_rhythm(x: Tensor, kernel: Tensor) -> Tensor:
    """Maximum over the bands of a convolution in time: `_loudest_timbre` with kernels (filters, n) of one band.

    As one product of matrices: `BLOCK` frames' answers at once, from the frames that they look at together.
    """
    filters, length = kernel.shape
    frames = x.shape[1]
    blocks = -(-frames // BLOCK)
    seen = length + BLOCK - 1  # frames that a block looks at
    shifted = torch.stack([functional.pad(kernel, (i, BLOCK - 1 - i)) for i in range(BLOCK)]).reshape(-1, seen)
    before = (length - 1) // 2  # TensorFlow's "same": the odd one goes behind
    padded = functional.pad(x, (0, 0, before, blocks * BLOCK + length - 1 - before - frames))
    answers = padded.unfold(1, seen, BLOCK) @ shifted.T  # (batch, blocks, bands, BLOCK * filters)
    return answers.amax(2).view(len(x), blocks * BLOCK, filters)[:, :frames].transpose(1, 2)


class MusicnnEncoder:
    """A track's penultimate layer and filters (953: means over it), and its five best tags by mean probability."""

    def __init__(self, network: Network) -> None:
        self.device = device()
        self.network = network.eval().to(self.device)

    def encode(self, waveform: Vector) -> Encoded:
        """Encode a mono float32 waveform, shape (samples,), at 22,050 Hz.

        Raises:
            TooShort: there is not one frame of sound.
            EncoderError: its samples are no finite numbers, or the network's answer is not.
        """
        return only(self.encode_many([waveform]))

    def encode_many(self, waveforms: Sequence[Vector]) -> list[Encoded | ClipSimError]:
        """Encode several waveforms; the error takes the place of one that cannot be encoded."""
        return together(waveforms, lambda waveform: (log_mel_patches(waveform), None), self._answers, self._join)

    def patches(self, waveform: Vector) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Tag probabilities (patches, 50), and penultimate layer and filters (patches, 953), of every 3 s."""
        return _divided(self._answers(log_mel_patches(waveform)))

    def _answers(self, patches: Any) -> NDArray[np.float32]:
        """Probabilities and layers of each patch side by side, float32, shape (patches, 50 + 953)."""
        with inference(self.device):
            return np.concatenate(in_batches(patches, BATCH if self.device.type == "cpu" else BATCH_CUDA, self._run))

    def _run(self, patches: Any) -> NDArray[np.float32]:
        logits, layers = self.network(torch.from_numpy(np.stack(list(patches))).to(self.device))
        answers: NDArray[np.float32] = torch.cat((logits.float().sigmoid(), layers.float()), 1).cpu().numpy()
        return answers

    def _join(self, _: None, answers: Any) -> Encoded:
        probabilities, layers = _divided(answers)
        vector, mean = layers.mean(axis=0), probabilities.mean(axis=0)
        if not np.isfinite(vector).all():
            raise EncoderError("The sound cannot be measured: its samples are far out of range.", hint="")
        best = np.argsort(-mean, kind="stable")[:LABELS]
        return Encoded(vector, tuple(Label(TAGS[i], float(mean[i])) for i in best), segments=halves(layers))


def _divided(answers: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return answers[:, : len(TAGS)], np.ascontiguousarray(answers[:, len(TAGS) :])


def load() -> MusicnnEncoder:
    """The encoder with its real weights.

    Raises:
        WeightsError: the weights cannot be had, or are not this network's.
    """
    return MusicnnEncoder(network(weights.path("musicnn")))


def network(folder: Path) -> Network:
    """The network with the weights of the checkpoint in a folder; each of its variables is used once, none is left."""
    variables = _tfcheckpoint.read(folder)
    made = Network()
    made.load_state_dict(_state(variables))
    return made


def log_mel_patches(waveform: Vector) -> NDArray[np.float32]:
    """Log-mel patches of a mono waveform at 22,050 Hz, float32, shape (patches, 187, 96).

    Brought to 16,000 Hz (soxr, high quality), then as in the package: librosa's mel power spectrogram, and patches one
    after the other, the last frames under 3 s left out. A track under 3 s is repeated to fill one patch (as the
    network's training did). Single precision throughout: the package rounds to half precision before its logarithm,
    which overflows on loud music.
    """
    import librosa

    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise EncoderError("The sound must be one channel of finite numbers.", hint="")
    if len(waveform) < N_FFT:
        raise TooShort
    y = librosa.resample(np.asarray(waveform, dtype=np.float32), orig_sr=SAMPLE_RATE, target_sr=RATE)
    mel = librosa.feature.melspectrogram(y=y, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)
    frames = np.log10(COMPRESSION * mel.T + 1, dtype=np.float32)
    if len(frames) < PATCH:
        frames = np.resize(frames, (PATCH, N_MELS))
    whole = len(frames) // PATCH
    return np.ascontiguousarray(frames[: whole * PATCH]).reshape(whole, PATCH, N_MELS)


def _state(variables: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """The network's state from the checkpoint's variables, which TensorFlow numbered in the order they were made."""
    left = {name: value for name, value in variables.items() if name not in _TRAINING and "/Adam" not in name}
    state: dict[str, Tensor] = {}

    def take(name: str, into: str, axes: tuple[int, ...] | None = None) -> None:
        try:
            value = left.pop(name)
        except KeyError:
            raise WeightsError(f"The checkpoint has no variable {name}.") from None
        state[into] = torch.from_numpy(np.ascontiguousarray(value if axes is None else value.transpose(axes)))

    def numbered(name: str, number: int) -> str:
        return f"{name}_{number}" if number else name

    norms = ["normalise", *(f"front_norms.{i}" for i in range(5)), *(f"middle_norms.{i}" for i in range(3))]
    for i, into in enumerate([*norms, "pool_norm", "dense_norm"]):
        source = numbered("batch_normalization", i)
        for theirs, ours in (
            ("gamma", "weight"),
            ("beta", "bias"),
            ("moving_mean", "running_mean"),
            ("moving_variance", "running_var"),
        ):
            take(f"{source}/{theirs}", f"{into}.{ours}")
        state[f"{into}.num_batches_tracked"] = torch.tensor(0)
    for i in range(8):  # TensorFlow's kernels are (height, width, in, out)
        source, into = numbered("conv2d", i), f"front.{i}" if i < 5 else f"middle.{i - 5}"
        take(f"{source}/kernel", f"{into}.weight", (3, 2, 0, 1))
        take(f"{source}/bias", f"{into}.bias")
        if (
            i >= 5
        ):  # a filter as wide as the picture is high: one of a single dimension, its channels the picture's rows
            state[f"{into}.weight"] = _flat(state[f"{into}.weight"])
    for i, into in enumerate(("dense", "output")):
        take(f"{numbered('dense', i)}/kernel", f"{into}.weight", (1, 0))
        take(f"{numbered('dense', i)}/bias", f"{into}.bias")
    if left:
        raise WeightsError(f"The checkpoint has variables that are not musicnn's: {', '.join(sorted(left))}.")
    expected: dict[str, Any] = Network().state_dict()
    wrong = [name for name, value in state.items() if value.shape != expected[name].shape]
    if wrong:
        raise WeightsError(f"The checkpoint's shapes are not musicnn's: {', '.join(wrong)}.")
    return state


def _flat(kernel: Tensor) -> Tensor:
    """(filters, 1, frames, rows) to (filters, rows, frames)."""
    return kernel.squeeze(1).transpose(1, 2).contiguous()
