"""A listing: a playlist, path, mix or search as it was made, so that its pages can be turned later. JSON keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from clipsim.model import JSON, Clip, Playlist, Search

Kind = Literal["playlist", "path", "mix", "find"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip of the list, by its id; how similar it is, where that says something; and why it is there."""

    id: str
    similarity: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What was asked for, and what was found."""

    kind: Kind
    entries: tuple[Entry, ...]
    seeds: tuple[str, ...] = ()  # ids: around which, from and to, or added
    less: tuple[str, ...] = ()  # subtracted
    names: tuple[str, ...] = ()  # of seeds and less, as they are shown, or the words that were looked for
    k: int = 10  # as many as were asked for
    why: str = ""
    notice: str = ""

    @property
    def ids(self) -> list[str]:
        """The clips in order."""
        return [entry.id for entry in self.entries]

    def stored(self) -> JSON:
        """As JSON can say it."""
        return asdict(self)

    @classmethod
    def read(cls, stored: JSON) -> Listing:
        """From what `stored` said."""
        entries = tuple(Entry(str(each["id"]), each["similarity"], str(each["why"])) for each in stored["entries"])
        seeds, less, names = (tuple(map(str, stored[name])) for name in ("seeds", "less", "names"))
        return cls(stored["kind"], entries, seeds, less, names, stored["k"], stored["why"], stored["notice"])


def played(found: Playlist, k: int, seeds: Sequence[Clip], names: Sequence[str], less: Sequence[Clip] = ()) -> Listing:
    """A playlist, path or mix."""
    entries = tuple(Entry(step.clip.id, step.similarity, step.why) for step in found.steps)
    ids, others = (tuple(clip.id for clip in clips) for clips in (seeds, less))
    return Listing(found.kind, entries, ids, others, tuple(names), k, found.why, found.notice or "")


def searched(found: Search) -> Listing:
    """What a search found."""
    entries: tuple[Entry, ...] = tuple(Entry(hit.clip.id, None, hit.why) for hit in found.hits)
    return Listing("find", entries, names=(found.words,), k=len(entries), notice=found.notice or "")


def part(listing: Listing, page: int, size: int) -> list[tuple[int, Any]]:
    """The entries of one page, from 0, each with its place in the list, from 1."""
    return list(enumerate(listing.entries, 1))[page * size : (page + 1) * size]
