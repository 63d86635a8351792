"""Encoders: one modality of a clip in, one vector out. A preset names the encoders of a library.

An encoder is an object with `encode`. Loading one is slow (weights), so a worker loads it once and keeps it: see
`clipsim.workers.stages`. To bring your own, make a `Preset` whose parts name your loaders and hand it to
`ClipSim.open(preset=…)`. An encoder that gains by several clips at once also has `encode_many`.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from clipsim.errors import ClipSimError
from clipsim.model import MODALITIES, Label, Matrix, Modality, Vector

SAMPLE_RATE = 22050  # Hz, of every waveform


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoder's finding: a finite, non-zero float32 vector of shape (n,), and labels (best first) if it has any.

    `segments`, float32 (2, n): what it finds in the two halves of the clip, where each is long enough to say anything.
    """

    vector: Vector
    labels: tuple[Label, ...] = ()
    tempo: float | None = None
    segments: Matrix | None = None


def halves(rows: Matrix) -> Matrix | None:
    """The means of the first and the second half of a clip's windows, float32 (2, n); None where there is but one."""
    middle = len(rows) // 2
    return np.stack([rows[:middle].mean(axis=0), rows[middle:].mean(axis=0)]) if middle else None


def encode_many(encoder: Any, inputs: Sequence[Any]) -> list[Encoded | ClipSimError]:
    """Encode several clips by the encoder's own `encode_many`, or one by one where it has none.

    One result for each input, in order; where an input cannot be encoded, the `ClipSimError` that says why.
    """
    if hasattr(encoder, "encode_many"):
        found: list[Encoded | ClipSimError] = encoder.encode_many(inputs)
        return found
    found = []
    for given in inputs:
        try:
            found.append(encoder.encode(given))
        except ClipSimError as error:
            found.append(error)
    return found


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """The frames that a video encoder wants: `count` windows spread evenly through the clip.

    A window is `frames` frames, `step` seconds apart (None: consecutive frames of the stream), scaled so that the
    short side has `short_side` pixels, and of that the middle square of `crop` pixels (None: all of it).
    """

    count: int
    frames: int
    step: float | None
    short_side: int
    crop: int | None = None


class AudioEncoder(Protocol):
    """Waveform to vector."""

    def encode(self, waveform: Vector) -> Encoded:
        """Encode a mono float32 waveform, shape (samples,), in [-1, 1], at 22,050 Hz."""
        ...


class VideoEncoder(Protocol):
    """Frame windows to vector."""

    window: WindowSpec

    def encode(self, windows: Any) -> Encoded:
        """Encode uint8 RGB windows, shape (windows, frames, height, width, 3)."""
        ...


class TextEncoder(Protocol):
    """Lyrics to vector."""

    def encode(self, text: str) -> Encoded:
        """Encode cleaned lyrics of any length."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """One encoder of a preset: its name (the key in `Features.vectors`), modality, size, and where it is loaded.

    `loader` is `module:function`; the function takes nothing and returns the encoder. `weights` names the entries of
    `clipsim.weights` it reads. `reads` names the languages (BCP 47, first parts) that a text encoder was made for;
    empty: it is given words in every language. `layers` says how many columns each of several layers of a network has,
    in their order; each counts alike.
    """

    encoder: str
    modality: Modality
    size: int
    loader: str
    weights: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()

    def load(self) -> Any:
        """The encoder itself (slow: reads weights)."""
        module, function = self.loader.split(":")
        return getattr(import_module(module), function)()


@dataclass(frozen=True, slots=True)
class Preset:
    """The encoders of a library, in the order of their columns in the concatenated vector."""

    name: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Columns of the concatenated vector."""
        return sum(part.size for part in self.parts)

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of the encoders: what a library records, and refuses to mix."""
        return tuple(part.encoder for part in self.parts)

    @property
    def weights(self) -> tuple[str, ...]:
        """Entries of `clipsim.weights` that this preset needs."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.weights))

    def of(self, modality: Modality) -> tuple[Part, ...]:
        """The parts of one modality."""
        return tuple(part for part in self.parts if part.modality == modality)

    def modalities(self, encoders: Container[str]) -> tuple[Modality, ...]:
        """The modalities that a clip has of which these encoders found something."""
        present = {part.modality for part in self.parts if part.encoder in encoders}
        return tuple(modality for modality in MODALITIES if modality in present)


LIBROSA = Part("librosa", "audio", 257, "clipsim.encoders.audio:load")
MUSICNN = Part("musicnn", "audio", 953, "clipsim.encoders.tags:load", ("musicnn",), layers=(200, 753))
CLAP = Part("clap", "audio", 512, "clipsim.encoders.clap:load")  # its weights are not in the table: see clap.py
I3D = Part("i3d", "video", 400, "clipsim.encoders.video:load_i3d", ("i3d",))
R3D = Part("r3d_18", "video", 400, "clipsim.encoders.video:load_r3d", ("r3d_18",))
MPNET = Part("mpnet", "lyrics", 768, "clipsim.encoders.text:load_mpnet", ("mpnet",), ("en",))
MINILM = Part("minilm", "lyrics", 384, "clipsim.encoders.text:load_minilm", ("minilm",), ("en",))
BERT = Part("bert", "lyrics", 768, "clipsim.encoders.text:load_bert", ("bert",))

PRESETS: dict[str, Preset] = {
    "standard": Preset("standard", (I3D, LIBROSA, MUSICNN, MPNET)),
    "small": Preset("small", (I3D, LIBROSA, MUSICNN, MINILM)),
    "clap": Preset("clap", (I3D, LIBROSA, MUSICNN, CLAP, MPNET)),  # standard, and a second ear
    "paper": Preset("paper", (R3D, LIBROSA, BERT)),  # the deck's 1425 columns, in its order
}
