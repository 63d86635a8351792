"""What is put side by side by `clipsim evaluate`: the fusion methods, and the plain ways that they have to beat.

A contender is fitted on a pool of clips, represents clips as rows, and compares rows. All get the same clips, and all
but `naive` and `tfidf` the same standardised columns as the methods do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsim import fusion
from clipsim.encoders import Preset
from clipsim.fusion import TrainProgress
from clipsim.model import METHODS, MODALITIES, Clip, Features, Method, Modality, Vote
from clipsim.similarity import pairwise

Scores = NDArray[np.float64]  # shape (queries, candidates); not a number where they have nothing in common
Rows = Any  # shape (clips, n): an array, or a sparse matrix


@dataclass(frozen=True, slots=True)
class Copy:
    """A changed copy of a clip of the pool (`clipsim.copies`)."""

    original: int  # its place in the pool
    change: str  # the name of what was done to it
    features: Features


@dataclass(frozen=True, slots=True)
class Pool:
    """The clips that are asked for and searched, in an order that says nothing of their labels, such as by id.

    Each has features of the preset's encoders; `lyrics` holds its words or None. `copies` and `votes` where there are
    any.
    """

    clips: tuple[Clip, ...]
    features: tuple[Features, ...]
    preset: Preset
    lyrics: tuple[str | None, ...] = ()
    copies: tuple[Copy, ...] = ()
    votes: tuple[Vote, ...] = ()

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Those that any clip has."""
        return self.preset.modalities({name for found in self.features for name in found.vectors})


class Fitted(Protocol):
    """A contender that was fitted on a pool."""

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> Rows:
        """One row for each clip; zero where it has nothing that this contender looks at. `lyrics` may be empty."""
        ...

    def compare(self, queries: Rows, candidates: Rows) -> Scores:
        """Similarities: higher is more alike."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to compare clips, by its name in reports."""

    name: str
    about: str
    fit: Callable[[Pool, TrainProgress | None], Fitted]
    missing: Callable[[Pool], str | None] = lambda pool: None  # why it cannot run on a pool, as a sentence
    space: bool = True  # whether its rows are points that k-means can group

    @property
    def method(self) -> bool:
        """Whether this is one of clipsim's own methods, not one to compare with."""
        return self.name in METHODS


ABOUT: dict[Method, str] = {
    "standard": "late fusion: each modality judges alone, the judgements are added",
    "joint": "late fusion, then learnt from the halves of clips",
    "paper": "the deck's autoencoder",
    "pca": "the 256 principal components of the standardised columns",
    "raw": "the standardised columns side by side",
}
SENSES: dict[Modality, str] = {"audio": "sound", "video": "pictures", "lyrics": "words"}
SLOW: tuple[str, ...] = ("paper",)  # only run when named


def contenders(preset: Preset) -> dict[str, Contender]:
    """All that a preset allows, by name, in the order of reports."""
    from clipsim import baselines

    found = [Contender(method, ABOUT[method], _fusion(method)) for method in METHODS]
    for modality in MODALITIES:
        if parts := preset.of(modality):
            about = f"{SENSES[modality]} alone, standardised: {', '.join(part.encoder for part in parts)}"
            names = [part.encoder for part in parts]
            found.append(Contender(modality, about, baselines.modality(modality), _without(names, SENSES[modality])))
    for part in preset.parts:
        if len(preset.of(part.modality)) > 1:  # else it is its modality
            about = f"the encoder {part.encoder} alone, standardised"
            found.append(
                Contender(part.encoder, about, baselines.encoder(part), _without([part.encoder], part.encoder))
            )
    return {each.name: each for each in (*found, *baselines.mixed())}


def chosen(preset: Preset, names: Sequence[str] | None) -> list[Contender]:
    """The contenders of these names, in the order of reports; None: all but the slow ones; "all": every one.

    Raises:
        KeyError: there is none of that name.
    """
    known = contenders(preset)
    wanted = set(known) if names and "all" in names else set(names or set(known) - set(SLOW))
    for name in sorted(wanted - set(known)):
        raise KeyError(name)
    return [each for name, each in known.items() if name in wanted]


def chunks(count: int, step: int = 256) -> Iterator[NDArray[np.intp]]:
    """Row numbers a few at a time, so that no table of all pairs is ever needed."""
    for start in range(0, count, step):
        yield np.arange(start, min(start + step, count))


class _Method:
    """One of clipsim's own."""

    def __init__(self, fitted: fusion.Fusion) -> None:
        self.fusion = fitted

    def rows(self, features: Sequence[Features], lyrics: Sequence[str | None]) -> Rows:
        return self.fusion.embed(features)

    def compare(self, queries: Rows, candidates: Rows) -> Scores:
        return pairwise(queries, candidates, self.fusion)


def _fusion(method: Method) -> Callable[[Pool, TrainProgress | None], Fitted]:
    return lambda pool, progress: _Method(fusion.fit(method, pool.features, pool.preset, progress=progress))


def _without(encoders: Sequence[str], what: str) -> Callable[[Pool], str | None]:
    def missing(pool: Pool) -> str | None:
        there = sum(any(name in found.vectors for name in encoders) for found in pool.features)
        return None if there > 1 else f"No two clips have {what}."

    return missing
