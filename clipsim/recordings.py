"""Which clips are the same song: by id, by artist and title, or by the sound of it.

Two clips are the same if their ids are; else if title and artist are (`clipsim.titles`: a live take or a remaster of
one song counts as the same, a remix or cover does not); else if they last equally long and their audio fingerprints
agree. Never by embeddings: those of different songs may be as close (AudioMuse-AI #773).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsim.model import Clip
from clipsim.titles import song

SAME_SECONDS, SAME_SHARE = 3.0, 0.02  # durations that differ by less than either belong to one recording, perhaps

Sameness = Literal["id", "title", "sound"]


class Prints(Protocol):
    """What is needed of a library here."""

    def fingerprints(self, ids: Sequence[str]) -> dict[str, NDArray[np.uint32]]:
        """Fingerprints by id."""
        ...


class Recordings:
    """Compares clips of one library. Reads the fingerprints only of clips that come into question, and each once."""

    def __init__(self, library: Prints, known: Mapping[str, NDArray[np.uint32] | None] | None = None) -> None:
        """`known`: fingerprints, by id, of clips that the library does not have."""
        self._library = library
        self._prints: dict[str, NDArray[np.uint32] | None] = dict(known or {})

    def same(self, one: Clip, other: Clip) -> bool:
        """Whether both are the same song."""
        return self.sameness(one, other) is not None

    def sameness(self, one: Clip, other: Clip) -> Sameness | None:
        """What tells that both are the same song; None where nothing does."""
        if one.id == other.id:
            return "id"
        mine = song(one)
        if mine is not None and mine == song(other):
            return "title"
        if not as_long(one, other):
            return None
        first, second = self._print(one.id), self._print(other.id)
        if first is None or second is None:
            return None
        from clipsim.fingerprint import SAME, similarity

        return "sound" if similarity(first, second) >= SAME else None

    def _print(self, clip_id: str) -> NDArray[np.uint32] | None:
        if clip_id not in self._prints:
            self._prints[clip_id] = self._library.fingerprints([clip_id]).get(clip_id)
        return self._prints[clip_id]


def as_long(one: Clip, other: Clip) -> bool:
    """Whether two clips last so equally long that they may hold one recording."""
    if one.duration is None or other.duration is None:
        return False
    difference = abs(one.duration - other.duration)
    return difference <= max(SAME_SECONDS, SAME_SHARE * max(one.duration, other.duration))
