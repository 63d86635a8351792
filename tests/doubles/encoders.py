"""A preset of small encoders, so that tests of everything around them take seconds and need no weights.

The audio features are the real 257; the tagger is the real network, the video network a small 3-D convolution and the
text network a hashed bag of words, each with fixed random weights: enough to tell different clips apart, always alike.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch

from clipsim.encoders import LIBROSA, MUSICNN, Encoded, Part, Preset, WindowSpec
from clipsim.encoders.tags import MusicnnEncoder, Network
from clipsim.encoders.video import _encoded


class SmallVideo:
    """Two 3-D convolutions and 400 logits."""

    window = WindowSpec(count=2, frames=8, step=0.1, short_side=32)

    def __init__(self) -> None:
        torch.manual_seed(7)
        self._network = torch.nn.Sequential(
            torch.nn.Conv3d(3, 8, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.Conv3d(8, 16, 3, stride=2, padding=1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool3d((1, 3, 3)),
            torch.nn.Flatten(),
            torch.nn.Linear(144, 400),
        ).eval()

    def encode(self, windows: Any) -> Encoded:
        with torch.inference_mode():
            frames = torch.from_numpy(windows).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
            return _encoded(self._network(frames).numpy())


class SmallText:
    """Each word has a fixed random direction; a text is the sum of its words'."""

    def encode(self, text: str) -> Encoded:
        total = np.zeros(32)
        for word in text.lower().split():
            total += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(32)
        return Encoded(np.asarray(total, np.float32))


class DyingText:
    """A worker that crashes, as a decoder with a bug would."""

    def encode(self, text: str) -> Encoded:
        import os

        os._exit(11)


class TouchyText(SmallText):
    """Crashes over one text only."""

    def encode(self, text: str) -> Encoded:
        if "crash" in text:
            DyingText().encode(text)
        return super().encode(text)


class HangingText:
    """A worker that never answers."""

    def encode(self, text: str) -> Encoded:
        import time

        time.sleep(600)
        raise AssertionError


def load_tags() -> MusicnnEncoder:
    torch.manual_seed(7)
    return MusicnnEncoder(Network().eval())


load_video, load_text, load_dying, load_hanging = SmallVideo, SmallText, DyingText, HangingText
load_touchy = TouchyText

_HERE = "tests.doubles.encoders"
_SEEING = (
    Part("small-video", "video", 400, f"{_HERE}:load_video"),
    LIBROSA,
    Part("small-tags", "audio", MUSICNN.size, f"{_HERE}:load_tags", layers=MUSICNN.layers),
)
SMALL = Preset("tiny", (*_SEEING, Part("small-text", "lyrics", 32, f"{_HERE}:load_text")))
OTHER = Preset("other", (*_SEEING, Part("other-text", "lyrics", 32, f"{_HERE}:load_text")))
DYING = Preset("dying", (*_SEEING, Part("dying-text", "lyrics", 32, f"{_HERE}:load_dying")))
HANGING = Preset("hanging", (*_SEEING, Part("hanging-text", "lyrics", 32, f"{_HERE}:load_hanging")))
TOUCHY = Preset("touchy", (Part("touchy-text", "lyrics", 32, f"{_HERE}:load_touchy"),))
