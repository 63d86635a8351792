"""Frame windows to the 400 logits of Kinetics-400: by I3D (preset `standard`), or by torchvision's r3d_18 (`paper`)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsim import weights
from clipsim._torchvision import torchvision
from clipsim.encoders import Encoded, WindowSpec, halves
from clipsim.encoders._device import device, inference
from clipsim.errors import EncoderError, WeightsError
from clipsim.model import Label

if TYPE_CHECKING:
    from torch import Tensor, nn

LABELS = 5  # action classes kept of a clip

I3D_WINDOW = WindowSpec(count=4, frames=64, step=1 / 25, short_side=256)
I3D_CROP = 224  # pixels

R3D_WINDOW = WindowSpec(count=10, frames=16, step=None, short_side=128)


@lru_cache(maxsize=1)
def classes() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400 in alphabetical order, which is the order of both networks' logits."""
    return tuple(torchvision().models.video.R3D_18_Weights.KINETICS400_V1.meta["categories"])


class I3DEncoder:
    """I3D over windows of 64 frames at 25 a second: the mean of the windows' logits."""

    window = I3D_WINDOW

    def __init__(self, network: nn.Module) -> None:
        import torch

        self._device = device()
        # channels last: the layout oneDNN computes in; without it each layer converts there and back
        self._network = network.to(self._device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def logits(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The logits of each window: uint8 RGB, shape (windows, frames, height, width, 3) → float32 (windows, 400).

        Raises:
            EncoderError: the frames are smaller than the crop, or are no such array.
        """
        import torch

        frames = _checked(windows)
        height, width = frames.shape[2:4]
        if min(height, width) < I3D_CROP:
            raise EncoderError(f"I3D needs frames of at least {I3D_CROP} pixels; these have {width} × {height}.")
        top, left = (height - I3D_CROP) // 2, (width - I3D_CROP) // 2
        frames = frames[:, :, top : top + I3D_CROP, left : left + I3D_CROP]
        found = []
        with inference(self._device):
            for window in frames:  # one by one: a window's first activations alone take 100 MB
                x = torch.from_numpy(np.ascontiguousarray(window)).to(self._device).float().div_(127.5).sub_(1)
                x = x.permute(3, 0, 1, 2).unsqueeze(0)  # a view: (1, 3, frames, height, width), channels last in memory
                found.append(self._network(x).float().cpu())
        return torch.cat(found).numpy()

    def encode(self, windows: Any) -> Encoded:
        """Encode uint8 RGB windows as `window` asks for; see `VideoEncoder`."""
        return _encoded(self.logits(windows))


class R3DEncoder:
    """torchvision's r3d_18 with its own transforms over windows of 16 frames: the mean of the windows' logits."""

    window = R3D_WINDOW

    def __init__(self, state: dict[str, Tensor]) -> None:
        video = torchvision().models.video
        network = video.r3d_18()
        network.load_state_dict(state, strict=True)
        self._device = device()
        self._network = network.eval().requires_grad_(False).to(self._device)
        self._transform = video.R3D_18_Weights.KINETICS400_V1.transforms()

    def logits(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The logits of each window: uint8 RGB, shape (windows, frames, height, width, 3) → float32 (windows, 400).

        Raises:
            EncoderError: these are no such windows.
        """
        import torch

        frames = torch.from_numpy(_checked(windows)).permute(0, 1, 4, 2, 3)  # torchvision wants (…, 3, height, width)
        found = []
        with inference(self._device):
            for window in frames:
                found.append(self._network(self._transform(window.to(self._device)).unsqueeze(0)).float().cpu())
        return torch.cat(found).numpy()

    def encode(self, windows: Any) -> Encoded:
        """Encode uint8 RGB windows as `window` asks for; see `VideoEncoder`."""
        return _encoded(self.logits(windows))


def load_i3d() -> I3DEncoder:
    """I3D with its weights.

    Raises:
        WeightsError: they cannot be had, or are not what they should be.
    """
    from clipsim.encoders import i3d

    return I3DEncoder(i3d.load(weights.path("i3d")))


def load_r3d() -> R3DEncoder:
    """torchvision's r3d_18 with its weights.

    Raises:
        WeightsError: they cannot be had, or are not what they should be.
    """
    import torch

    path = weights.path("r3d_18")
    try:
        return R3DEncoder(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load and load_state_dict raise many kinds
        raise WeightsError(f"{path.name} is not r3d_18's state dict ({type(error).__name__}).") from error


def _checked(windows: Any) -> NDArray[np.uint8]:
    frames = np.asarray(windows)
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise EncoderError(f"These are no frame windows: {frames.dtype}, shape {frames.shape}.")
    return frames


def _encoded(logits: NDArray[np.float32]) -> Encoded:
    """The mean over windows, and its best classes with their softmax probability."""
    mean = logits.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise EncoderError("The video network returned numbers that are not finite.")
    chances = np.exp(mean - mean.max())
    chances /= chances.sum()
    best = np.argsort(-chances, kind="stable")[:LABELS]
    labels = tuple(Label(classes()[i], float(chances[i])) for i in best)
    return Encoded(mean.astype(np.float32), labels, segments=halves(logits))
