"""The metadata of clips by their row in a space, read as far as needed: whose they are, and which are one song."""

from __future__ import annotations

from collections.abc import Sequence

from clipsim import playlists
from clipsim.library import Library
from clipsim.model import Clip
from clipsim.recordings import Recordings
from clipsim.space import Space
from clipsim.titles import artist_key, song

PAGE = 100  # clips whose metadata is read at once


class Shelf:
    """Clips by row. They are read a page at a time, in the order of some rankings."""

    def __init__(
        self, library: Library, space: Space, known: Sequence[Clip], rankings: Sequence[Sequence[int]]
    ) -> None:
        self._library = library
        self._ids = space.ids
        self._recordings = Recordings(library)
        self._clips: dict[int, Clip | None] = {space.row[clip.id]: clip for clip in known}
        longest = max((len(ranking) for ranking in rankings), default=0)
        self._queue = iter([ranking[at] for at in range(longest) for ranking in rankings if at < len(ranking)])

    def clip(self, row: int) -> Clip:
        """The clip of this row, which was picked."""
        found = self._get(row)
        assert found is not None
        return found

    def artist(self, row: int) -> str | None:
        """Whose clip it is, by `artist_key`."""
        found = self._get(row)
        return artist_key(found.artist) if found else None

    def pick(
        self, rankings: Sequence[Sequence[int]], k: int, limit: int, chosen: Sequence[int], counted: int = 0
    ) -> list[int]:
        """`playlists.pick`; the first `counted` of those chosen do not count against their artists."""
        artists = _Artists(self, frozenset(chosen[:counted]))
        return playlists.pick(rankings, k, artists=artists, per_artist=limit, same=self._same, chosen=chosen)

    def without_songs(self, rows: Sequence[int]) -> list[int]:
        """Those rows that are no other upload of an earlier one, or of a clip known before, by title."""
        seen = {song(clip) for clip in self._clips.values() if clip} - {None}
        kept = []
        for row in rows:
            clip = self._get(row)
            key = song(clip) if clip else None
            if clip is not None and (key is None or key not in seen):
                kept.append(row)
                seen.add(key)
        return kept

    def repeated(self, order: Sequence[int]) -> set[int]:
        """Rows in an order, its ends apart, that are the same song as an earlier one or as the last."""
        found: set[int] = set()
        for at, row in enumerate(order[1:-1], 1):
            before = [order[-1], *(other for other in order[:at] if other not in found)]
            if any(self._same(row, other) for other in before):
                found.add(row)
        return found

    def _same(self, row: int, other: int) -> bool:
        one, two = self._get(row), self._get(other)
        return one is None or two is None or self._recordings.same(one, two)  # one that is gone is not picked

    def _get(self, row: int) -> Clip | None:
        if row not in self._clips:
            page = [row]
            for other in self._queue:
                if other not in self._clips and other != row:
                    page.append(other)
                if len(page) == PAGE:
                    break
            found = self._library.get_many([self._ids[each] for each in page])
            self._clips.update((each, found.get(self._ids[each])) for each in page)
        return self._clips[row]


class _Artists(Sequence[str | None]):
    """Artists by row, looked up when asked for."""

    def __init__(self, shelf: Shelf, nobodies: frozenset[int]) -> None:
        self._shelf, self._nobodies = shelf, nobodies

    def __getitem__(self, row: int) -> str | None:  # type: ignore[override]
        return None if row in self._nobodies else self._shelf.artist(row)

    def __len__(self) -> int:
        return len(self._shelf._ids)
