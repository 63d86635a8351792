"""What a clip's picture costs: from a file of four minutes to 400 logits, against the plain way.

    python -m benchmarks video        (writes benchmarks/results/video.json; some fifteen minutes)

The video is made of the real clips in the folder of test data (CLIPSIM_TESTDATA): 640 × 360, H.264, 30 frames a second,
a keyframe every 5 s. I3D has its real weights; r3d_18 random ones, which take as long.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import clips
from benchmarks.paired import HEAD, Comparison, compare, save
from clipsim import media, weights
from clipsim._torchvision import torchvision
from clipsim.encoders import Encoded, _graphs, _openvino, i3d, video
from clipsim.encoders._device import has_bfloat16

WORK = "4 min, 360p, to 400 logits"
RANDOM = 1  # seed of r3d_18's weights


def ours() -> Callable[[], object]:
    return _encoding(video.load_i3d())


def ours_by_torch() -> Callable[[], object]:
    _openvino.installed = lambda: False  # type: ignore[assignment]
    return _encoding(video.load_i3d())


def ours_single() -> Callable[[], object]:
    _openvino.has_bfloat16 = lambda: False  # type: ignore[assignment]
    return ours()


def ours_by_torch_single() -> Callable[[], object]:
    video.has_bfloat16 = lambda: False  # type: ignore[assignment]
    return ours_by_torch()


def naive() -> Callable[[], object]:
    from benchmarks.naive import i3d_logits, i3d_tensors

    with weights.path("i3d").open("rb") as file:
        tensors = i3d_tensors(i3d.read_checkpoint(file))
    path = clips.video()
    return lambda: i3d_logits(tensors, path, video.I3D_WINDOW).mean(0)


def our_r3d() -> Callable[[], object]:
    if not _openvino.installed():
        return our_r3d_by_torch()
    graph = _graphs.r3d_graph(_r3d(), video.R3D_WINDOW.frames, video.R3D_CROP)
    return _encoding(video.R3DEncoder(_openvino.network("r3d_18", lambda: graph)))


def our_r3d_by_torch() -> Callable[[], object]:
    return _encoding(video.R3DEncoder(video.r3d_by_torch(_r3d())))


def naive_r3d() -> Callable[[], object]:
    from benchmarks.naive import r3d_logits

    network, path = _r3d(), clips.video()
    transform = torchvision().models.video.R3D_18_Weights.KINETICS400_V1.transforms()
    return lambda: r3d_logits(network, transform, path, video.R3D_WINDOW).mean(0)


def our_windows() -> Callable[[], object]:
    path = clips.video()
    return lambda: media.read_windows(path, video.I3D_WINDOW)


def naive_windows() -> Callable[[], object]:
    from benchmarks.naive import video_windows

    path = clips.video()
    return lambda: video_windows(path, video.I3D_WINDOW)


def _encoding(encoder: Any) -> Callable[[], Encoded]:
    """From the file to the vector; the network has run once before."""
    path, spec = clips.video(), encoder.window
    side = spec.crop or spec.short_side
    encoder.encode(np.zeros((1, spec.frames, side, side, 3), np.uint8))
    return lambda: encoder.encode(media.read_windows(path, spec))


def _r3d() -> Any:
    import torch

    torch.manual_seed(RANDOM)
    return torchvision().models.video.r3d_18().eval().requires_grad_(False)


def _frames(found: Comparison) -> str:
    """What a frame costs: one that the network sees for us, one that is decoded for the plain way."""
    seen = video.I3D_WINDOW.count * video.I3D_WINDOW.frames
    whole = clips.PIECE * clips.PLAYS
    mine, theirs = (statistics.median(run.seconds for run in runs) for runs in (found.ours, found.naive))
    return (
        f"A frame that the network sees: {1000 * mine / seen:.2f} ms, with the decoding of those that lead to it. "
        f"The plain way: {1000 * theirs / whole:.2f} ms for each of {whole} frames, of which {seen} are seen."
    )


def main() -> None:
    clips.needed()
    clips.video()
    print(HEAD)
    by_openvino, half = _openvino.installed(), has_bfloat16()
    if not by_openvino:
        print("OpenVINO is not installed (pip install 'clipsim[openvino]'): its rows are left out.")
    rows = [
        ("I3D by OpenVINO, bfloat16", by_openvino and half, ours, naive),
        ("I3D by OpenVINO, float32", by_openvino, ours_single, naive),
        ("I3D by torch, bfloat16", half, ours_by_torch, naive),
        ("I3D by torch, float32", True, ours_by_torch_single, naive),
        ("r3d_18 by OpenVINO", by_openvino, our_r3d, naive_r3d),
        ("r3d_18 by torch", True, our_r3d_by_torch, naive_r3d),
    ]
    found = [compare(title, WORK, way, plain) for title, possible, way, plain in rows if possible]
    found.append(compare("I3D's windows alone", "4 min, 360p, to 256 frames", our_windows, naive_windows))
    print(_frames(found[-1]))
    save("video", found)


if __name__ == "__main__":
    main()
