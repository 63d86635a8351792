"""Frame windows to the 400 logits of Kinetics-400: by I3D (preset `standard`), or by torchvision's r3d_18 (`paper`).

An encoder makes rows of windows, and a `Network` answers them: on CUDA by torch in half precision, else by OpenVINO
where it is installed, else by torch with its channels last. A processor that computes in bfloat16 itself does so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsim import weights
from clipsim._torchvision import torchvision
from clipsim.encoders import Encoded, WindowSpec, _openvino, halves
from clipsim.encoders._device import device, has_bfloat16, in_batches, inference
from clipsim.encoders._together import only, together
from clipsim.errors import ClipSimError, EncoderError, WeightsError
from clipsim.model import Label

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn

log = logging.getLogger(__name__)

LABELS = 5  # action classes kept of a clip

I3D_CROP = 224  # pixels
I3D_WINDOW = WindowSpec(count=4, frames=64, step=1 / 25, short_side=256, crop=I3D_CROP)
I3D_BATCH = 8  # windows at once on CUDA: a window's first activations alone take 50 MB there

R3D_WINDOW = WindowSpec(count=10, frames=16, step=None, short_side=128)
R3D_CROP = 112  # pixels
R3D_BATCH = 32

# Rows, each what the network is given of one window, to logits: float32 (classes,) each.
Network = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[np.float32]]]


@lru_cache(maxsize=1)
def classes() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400 in alphabetical order, which is the order of both networks' logits."""
    return tuple(torchvision().models.video.R3D_18_Weights.KINETICS400_V1.meta["categories"])


class _VideoEncoder:
    """Windows to rows, rows through a network, and the mean of the windows' logits."""

    window: WindowSpec

    def __init__(self, network: Network) -> None:
        self._network = network

    def rows(self, windows: Any) -> list[NDArray[Any]]:
        """What the network is given: one array for each of some uint8 RGB windows.

        Raises:
            EncoderError: these are no such windows.
        """
        raise NotImplementedError

    def logits(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The logits of each window: uint8 RGB, shape (windows, frames, height, width, 3) → float32 (windows, 400).

        Raises:
            EncoderError: these are no such windows.
        """
        return np.stack(self._network(self.rows(windows)))

    def encode(self, windows: Any) -> Encoded:
        """Encode uint8 RGB windows as `window` asks for; see `VideoEncoder`."""
        return only(self.encode_many([windows]))

    def encode_many(self, clips: Sequence[Any]) -> list[Encoded | ClipSimError]:
        """Encode the windows of several clips; the error takes the place of a clip that cannot be encoded."""
        return together(
            clips,
            lambda windows: (self.rows(windows), None),
            self._network,
            lambda _, logits: _encoded(np.stack(list(logits))),
        )


class I3DEncoder(_VideoEncoder):
    """I3D over windows of 64 frames at 25 a second, the middle 224 × 224 pixels of each."""

    window = I3D_WINDOW

    def rows(self, windows: Any) -> list[NDArray[Any]]:
        """Each window's middle: uint8, shape (frames, 224, 224, 3)."""
        frames = _checked(windows, self.window)
        height, width = frames.shape[2:4]
        if min(height, width) < I3D_CROP:
            raise EncoderError(f"I3D needs frames of at least {I3D_CROP} pixels; these have {width} × {height}.")
        top, left = (height - I3D_CROP) // 2, (width - I3D_CROP) // 2
        return list(frames[:, :, top : top + I3D_CROP, left : left + I3D_CROP])


class R3DEncoder(_VideoEncoder):
    """torchvision's r3d_18 with its own transforms over windows of 16 frames."""

    window = R3D_WINDOW

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._transform = torchvision().models.video.R3D_18_Weights.KINETICS400_V1.transforms()

    def rows(self, windows: Any) -> list[NDArray[Any]]:
        """Each window as torchvision's transforms leave it: float32, shape (3, frames, 112, 112)."""
        import torch

        frames = torch.from_numpy(_checked(windows, self.window)).permute(
            0, 1, 4, 2, 3
        )  # torchvision wants (…, 3, height, width)
        with torch.inference_mode():
            return [self._transform(window).numpy() for window in frames]


def i3d_by_torch(network: nn.Module, on: torch.device | None = None, *, bfloat16: bool | None = None) -> Network:
    """I3D by torch, its rows uint8 (frames, height, width, 3). `bfloat16`: compute in it (None: where it is faster)."""

    def given(rows: Sequence[NDArray[Any]], where: torch.device) -> Tensor:
        import torch

        frames = torch.from_numpy(np.stack(list(rows))).to(where).float().div_(127.5).sub_(1)
        return frames.permute(0, 4, 1, 2, 3)  # a view: (rows, 3, frames, height, width), channels last in memory

    return _by_torch(network, given, I3D_BATCH, on, bfloat16)


def r3d_by_torch(network: nn.Module, on: torch.device | None = None, *, bfloat16: bool | None = None) -> Network:
    """r3d_18 by torch, its rows float32 (3, frames, height, width)."""

    def given(rows: Sequence[NDArray[Any]], where: torch.device) -> Tensor:
        import torch

        return torch.from_numpy(np.stack(list(rows))).to(where, memory_format=torch.channels_last_3d)

    return _by_torch(network, given, R3D_BATCH, on, bfloat16)


def _by_torch(
    network: nn.Module,
    given: Callable[[Sequence[NDArray[Any]], torch.device], Tensor],
    batch: int,
    on: torch.device | None,
    bfloat16: bool | None,
) -> Network:
    import torch

    where = on or device()
    cpu = where.type == "cpu"
    kind = torch.bfloat16 if cpu and (has_bfloat16() if bfloat16 is None else bfloat16) else torch.float32
    # channels last: the layout oneDNN and cuDNN compute in; without it each layer converts there and back
    ready = network.to(where, kind, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if kind != torch.float32:
        _whole_logits(ready)

    def run(rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        answers: NDArray[np.float32] = ready(given(rows, where).to(kind)).float().cpu().numpy()
        return answers

    def answer(rows: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        with inference(where):
            # on the processor one by one: more at once take more memory, and no less time
            return [logits for found in in_batches(rows, 1 if cpu else batch, run) for logits in found]

    return answer


def _whole_logits(network: nn.Module) -> None:
    """Let the last layer compute in single precision: 8 bits of a logit would be few."""
    from torch import nn

    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.float().register_forward_pre_hook(lambda _, given: tuple(x.float() for x in given))


def load_i3d() -> I3DEncoder:
    """I3D with its weights.

    Raises:
        WeightsError: they cannot be had, or are not what they should be.
    """
    from clipsim.encoders import i3d

    path = weights.path("i3d")
    return I3DEncoder(_chosen("i3d", path, partial(i3d.load, path), _i3d_graph, i3d_by_torch))


def load_r3d() -> R3DEncoder:
    """torchvision's r3d_18 with its weights.

    Raises:
        WeightsError: they cannot be had, or are not what they should be.
    """
    path = weights.path("r3d_18")

    def read() -> Any:
        import torch

        network = torchvision().models.video.r3d_18()
        try:
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
        except Exception as error:  # torch.load and load_state_dict raise many kinds
            raise WeightsError(f"{path.name} is not r3d_18's state dict ({type(error).__name__}).") from error
        return network.eval().requires_grad_(False)

    return R3DEncoder(_chosen("r3d_18", path, read, _r3d_graph, r3d_by_torch))


def _chosen(
    name: str, path: Path, read: Callable[[], Any], graph: Callable[[Any], Any], by_torch: Callable[[Any], Network]
) -> Network:
    """The fastest way to run a network here. `read` gives it as a module, from the weights at `path`."""
    if device().type == "cpu" and _openvino.installed():
        try:
            return _openvino.network(name, lambda: graph(read()), of=path)
        except ClipSimError:
            raise
        except Exception as error:  # a processor or a version that OpenVINO cannot use: RuntimeError, ImportError, …
            log.warning("OpenVINO cannot run %s, torch does: %s", name, error)
    return by_torch(read())


def _i3d_graph(network: Any) -> Any:
    from clipsim.encoders._graphs import i3d_graph

    return i3d_graph(network, I3D_WINDOW.frames, I3D_CROP)


def _r3d_graph(network: Any) -> Any:
    from clipsim.encoders._graphs import r3d_graph

    return r3d_graph(network, R3D_WINDOW.frames, R3D_CROP)


def _checked(windows: Any, spec: WindowSpec) -> NDArray[np.uint8]:
    frames = np.asarray(windows)
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise EncoderError(f"These are no frame windows: {frames.dtype}, shape {frames.shape}.")
    if frames.shape[1] != spec.frames:
        raise EncoderError(f"A window has {spec.frames} frames; these have {frames.shape[1]}.")
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
