"""I3D, the RGB stream in torch (Carreira & Zisserman 2017, "Quo Vadis, Action Recognition?", section 2.4, figure 3).

An Inception network whose kernels grew a time dimension. The checkpoint is the authors' TensorFlow one as arrays, so
padding follows TensorFlow ("SAME": the odd pixel at the end), and batch norm has no scale. Only inference is needed:
each batch norm is folded into the convolution before it, and the three 1 × 1 × 1 convolutions that begin the branches
of an Inception module read the same input and are computed as one.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from clipsim.errors import WeightsError

EPSILON = 1e-3  # of every batch norm
CLASSES = 400
FEATURES = 1024
# Channels of each Inception module: branch 0; branch 1, narrow and wide; branch 2, narrow and wide; branch 3 (figure 3)
MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
# What comes before each module: (kernel, stride) of a max pooling, or nothing.
POOLS = {"3b": ((1, 3, 3), (1, 2, 2)), "4b": ((3, 3, 3), (2, 2, 2)), "5b": ((2, 2, 2), (2, 2, 2))}

Triple = tuple[int, int, int]  # time, height, width


def _same(size: torch.Size, kernel: Triple, stride: Triple) -> tuple[Triple, Triple]:
    """TensorFlow's "SAME" padding of a (batch, channels, time, height, width) input: before and after, each axis."""
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size[2:], kernel, stride, strict=True)]
    before = tuple(t // 2 for t in total)
    return before, tuple(t - b for t, b in zip(total, before, strict=True))  # type: ignore[return-value]


def _padded(x: Tensor, before: Triple, after: Triple) -> Tensor:
    (t0, h0, w0), (t1, h1, w1) = before, after
    return F.pad(x, (w0, w1, h0, h1, t0, t1))


class Unit(nn.Conv3d):
    """A convolution with its batch norm folded in, "SAME" padding, and a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Triple = (1, 1, 1), stride: Triple = (1, 1, 1)) -> None:
        super().__init__(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, time, height, width) → (batch, outputs, …), divided by the stride and rounded up."""
        before, after = _same(x.shape, self.kernel_size, self.stride)  # type: ignore[arg-type]
        if before != after:
            x, before = _padded(x, before, after), (0, 0, 0)
        return F.relu_(self._convolved(x, before))

    def _convolved(self, x: Tensor, padding: Triple) -> Tensor:
        if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
            # torch hands small inputs (most of the later layers here) to a convolution of its own that is far slower
            # than oneDNN's: a window of 64 frames took 3.9 s of one core that way, and takes 2.7 s.
            return torch.mkldnn_convolution(x, self.weight, self.bias, padding, self.stride, self.dilation, 1)
        return F.conv3d(x, self.weight, self.bias, self.stride, padding)


def max_pool(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Max pooling with "SAME" padding. Its input comes out of a ReLU, so zeros pad as well as minus infinity does."""
    before, after = _same(x.shape, kernel, stride)
    if before == after:
        return F.max_pool3d(x, kernel, stride, before)
    if before == (0, 0, 0):
        return F.max_pool3d(x, kernel, stride, ceil_mode=True)  # the last window hangs over: the same, without a copy
    return F.max_pool3d(_padded(x, before, after), kernel, stride)


class Mixed(nn.Module):
    """An Inception module."""

    def __init__(self, inputs: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        straight, narrow1, wide1, narrow2, wide2, pooled = channels
        self.split = (straight, narrow1, narrow2)
        self.heads = Unit(inputs, sum(self.split))
        self.branch1 = Unit(narrow1, wide1, (3, 3, 3))
        self.branch2 = Unit(narrow2, wide2, (3, 3, 3))
        self.branch3 = Unit(inputs, pooled)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, time, height, width) → the branches' channels side by side."""
        straight, narrow1, narrow2 = self.heads(x).split(self.split, dim=1)
        pooled = self.branch3(max_pool(x, (3, 3, 3), (1, 1, 1)))
        return torch.cat((straight, self.branch1(narrow1), self.branch2(narrow2), pooled), dim=1)


class I3D(nn.Module):
    """The network: RGB frames in, logits of the 400 Kinetics classes out."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv1a = Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.conv2b = Unit(64, 64)
        self.conv2c = Unit(64, 192, (3, 3, 3))
        self.mixed = nn.ModuleDict()
        inputs = 192
        for name, channels in MIXED.items():
            self.mixed[name] = Mixed(inputs, channels)
            inputs = channels[0] + channels[2] + channels[4] + channels[5]
        self.logits = nn.Linear(inputs, classes)

    def features(self, frames: Tensor) -> Tensor:
        """Frames in [-1, 1], (batch, 3, time, height, width), to (batch, 1024): the last module's means."""
        x = self.conv1a(frames)
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.conv2c(self.conv2b(x))
        for name, module in self.mixed.items():
            if name in POOLS:
                x = max_pool(x, *POOLS[name])
            x = module(x)
        x = x.mean((3, 4))  # the paper's 7 × 7 pooling of a 224 × 224 input, whatever the input's size
        if x.shape[2] > 1:
            x = (x[:, :, 1:] + x[:, :, :-1]) / 2  # pooled over two steps of time, stride 1
        return x.mean(2)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames in [-1, 1], (batch, 3, time, height, width), to logits (batch, classes).

        The paper averages the logits of all steps of time; the last layer is linear, so averaging its input is the
        same.
        """
        result: Tensor = self.logits(self.features(frames))
        return result


# The checkpoint


class _ArraysOnly(pickle.Unpickler):
    """Reads a pickle of dictionaries, strings and numpy arrays, and refuses whatever else one could make Python run."""

    ADMITTED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),  # as numpy 1 wrote it
            ("numpy._core.multiarray", "_reconstruct"),  # as numpy 2 does
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise WeightsError(f"The checkpoint holds {module}.{name}, which is not an array, and was refused.")
        if name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        return getattr(np, name)


def read_checkpoint(file: IO[bytes]) -> dict[str, Any]:
    """The nested dictionary of arrays in a checkpoint.

    Raises:
        WeightsError: it is not a pickle, or holds anything but arrays.
    """
    try:
        found = _ArraysOnly(file).load()
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle raises anything at all
        raise WeightsError(f"The checkpoint cannot be read ({type(error).__name__}).") from error
    if not isinstance(found, dict):
        raise WeightsError("The checkpoint is not a dictionary of arrays.")
    return found


def load(path: Path) -> I3D:
    """The network with the weights of a checkpoint (the `i3d` entry of `clipsim.weights`), ready for inference.

    Raises:
        WeightsError: the file is not such a checkpoint.
    """
    with path.open("rb") as file:
        found = read_checkpoint(file)
    network = I3D()
    try:
        parameters, statistics = found["params"], found["batch_stats"]
        for name, unit in (("1a_7x7", network.conv1a), ("2b_1x1", network.conv2b), ("2c_3x3", network.conv2c)):
            _fill(unit, [_folded(parameters, statistics, f"Conv3d_{name}")])
        for name, module in network.mixed.items():
            branches, means = parameters[f"Mixed_{name}"], statistics[f"Mixed_{name}"]
            heads = [_folded(branches, means, f"Branch_{branch}/Conv3d_0a_1x1") for branch in (0, 1, 2)]
            _fill(module.heads, heads)
            _fill(module.branch1, [_folded(branches, means, "Branch_1/Conv3d_0b_3x3")])
            _fill(module.branch2, [_folded(branches, means, "Branch_2/Conv3d_0b_3x3")])
            _fill(module.branch3, [_folded(branches, means, "Branch_3/Conv3d_0b_1x1")])
        last = parameters["Logits/Conv3d_0c_1x1"]["Conv_0"]
        _fill(network.logits, [(last["kernel"][0, 0, 0].T, last["bias"])])
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise WeightsError(f"The checkpoint is not an I3D of Kinetics-400 ({error}).") from error
    return network.eval().requires_grad_(False)


def _folded(parameters: Mapping[str, Any], statistics: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """A unit's kernel (out, in, time, height, width) and bias, its batch norm folded in (float64 arithmetic)."""
    kernel = np.asarray(parameters[name]["Conv_0"]["kernel"], np.float64)  # (time, height, width, in, out)
    shift = np.asarray(parameters[name]["BatchNorm_0"]["bias"], np.float64)
    mean = np.asarray(statistics[name]["BatchNorm_0"]["mean"], np.float64).ravel()
    scale = 1 / np.sqrt(np.asarray(statistics[name]["BatchNorm_0"]["var"], np.float64).ravel() + EPSILON)
    return (kernel * scale).transpose(4, 3, 0, 1, 2), shift - mean * scale


def _fill(layer: nn.Module | Tensor, parts: list[tuple[Any, Any]]) -> None:
    weight, bias = (np.concatenate(arrays).astype(np.float32) for arrays in zip(*parts, strict=True))
    assert isinstance(layer, nn.Module)
    layer.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
