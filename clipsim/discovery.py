"""What to play: a playlist around clips, a path between two, a mix of several, a surprise. Synchronous.

The choosing and ordering is in `clipsim.playlists`; here it meets the library, the history and the engine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Sequence
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

from clipsim import playlists
from clipsim.engine import Engine
from clipsim.errors import ClipSimError, EmptyLibrary, InvalidSetting, NotTrained
from clipsim.explain import quoted, series
from clipsim.history import History
from clipsim.library import Library
from clipsim.model import Answer, Clip, Playlist, Search, Step, Surprise
from clipsim.settings import Settings
from clipsim.shelf import Shelf
from clipsim.space import Neighbours, Space, look
from clipsim.surprises import draw
from clipsim.titles import artist_key

log = logging.getLogger(__name__)

LONGEST = 200  # clips of a playlist, path or mix
SEEDS = 25  # clips that a playlist or mix is made from
CROWD = 5  # a long playlist may have more of one artist than `settings.per_artist`: one in so many clips
POOL, NEAREST = 5, 50  # times as many clips as asked for, and how many at least, that are near enough for a playlist
NEAR = 300  # clips nearest to the way between two that a path may use
NEIGHBOURS = 10  # of each clip, for surprises and summaries
COMMUNITIES = 16  # whose neighbours are remembered


class Discovery:
    """Makes playlists of one library. Methods may be called from several threads."""

    def __init__(self, settings: Settings, library: Library, engine: Engine) -> None:
        self._settings = settings
        self._library = library
        self._engine = engine
        self.history = History(library)
        self._lock = threading.Lock()
        self._neighbours: dict[str, tuple[Hashable, Neighbours]] = {}  # by community, with the `Space.key`

    def playlist(self, seeds: Sequence[Clip], k: int, place: str | None, community: str) -> Playlist:
        """Raises as `ClipSim.playlist`."""
        seeds = _seeds(seeds)
        k = max(len(seeds), min(k, LONGEST))
        space = look(self._engine, community)
        rows = _rows(space, seeds)
        similar = space.similarities(rows, None)
        ago = self.history.played(community, place, ("playlist",)) if place else {}
        old = {space.row[clip_id]: lists for clip_id, lists in ago.items() if clip_id in space.row}
        rankings = [list(map(int, playlists.best(each))) for each in similar]
        fresh = [[row for row in ranking if row not in old] for ranking in rankings]
        # What was played longest ago comes back first.
        stale = [sorted((row for row in ranking if row in old), key=lambda row: -old[row]) for ranking in rankings]
        shelf = Shelf(self._library, space, seeds, [*fresh, *stale])
        chosen, half = rows, ceil(k / 2)  # more of one artist cannot be kept apart
        some = min(max(self._settings.per_artist, k // CROWD), half) if self._settings.per_artist else half
        nearest = [ranking[: max(NEAREST, POOL * k)] for ranking in fresh]
        for among, limit in ((nearest, some), (nearest, half), (fresh, half), (stale, half), (fresh, 0), (stale, 0)):
            chosen = shelf.pick(among, k, limit, chosen)
        order = self._ordered(space, shelf, chosen)
        clips = [shelf.clip(row) for row in order]
        steps = self._steps(space, clips, order)
        notes = [
            _repeats(sum(row in old for row in order if row not in rows)),
            _few(len(clips), k),
            _crowded(clips),
            space.ready.notice,
        ]
        names = series([quoted(clip) for clip in seeds[:3]]) + (" and others" if len(seeds) > 3 else "")
        flow = _mean([step.similarity for step in steps])
        told = f"Around {names}, in an order in which each is like the one before"
        why = f"{told} ({flow:.2f} on average)." if flow is not None else f"{told}."
        if place:
            self._play([clip.id for clip in clips], community, place)
        return Playlist("playlist", steps, why, _sentences(notes))

    def path(self, start: Clip, end: Clip, k: int, community: str) -> Playlist:
        """Raises as `ClipSim.path`."""
        if start.id == end.id:
            raise InvalidSetting("A path leads from one clip to another.", hint="Name two different clips.")
        k = max(2, min(k, LONGEST))
        space = look(self._engine, community)
        ends = _rows(space, (start, end))
        similar = space.similarities(ends, None)
        if np.isnan(similar[0, ends[1]]):
            similar[0, ends[1]] = similar[1, ends[0]] = -1.0  # nothing in common: the way is as long as can be
        there = np.asarray(~np.isnan(similar).any(axis=0))
        there[ends] = False
        rows = np.flatnonzero(there)
        far = playlists.distances(similar[:, rows])
        near = [int(rows[each]) for each in playlists.between(far[0], far[1], max(NEAR, 4 * k))]
        shelf = Shelf(self._library, space, (start, end), [near])
        near = shelf.without_songs(near)
        order = [ends[0], ends[1]]
        while True:
            nodes = [ends[0], *near, ends[1]]
            cost = playlists.distances(space.similarities(nodes, nodes))
            chain = playlists.way(cost, k, penalty=playlists.apart([shelf.artist(row) for row in nodes]))
            order = [nodes[position] for position in chain]
            again = shelf.repeated(order)
            if not again:
                break
            near = [row for row in near if row not in again]
        clips = [shelf.clip(row) for row in order]
        steps = self._steps(space, clips, order)
        count = "one step" if len(steps) == 2 else f"{len(steps) - 1} steps"
        smallest = min((step.similarity for step in steps if step.similarity is not None), default=None)
        least = "" if smallest is None else f"; the least alike neighbours have {smallest:.2f}"
        why = f"From {quoted(start)} to {quoted(end)} in {count}{least}."
        return Playlist("path", steps, why, _sentences([_few(len(clips), k), _crowded(clips), space.ready.notice]))

    def mix(self, add: Sequence[Clip], less: Sequence[Clip], k: int, community: str) -> Playlist:
        """Raises as `ClipSim.mix`."""
        add, less = _seeds(add), list(_seeds(less)) if less else []
        both = {clip.id for clip in add} & {clip.id for clip in less}
        if both:
            raise InvalidSetting("A clip cannot be added and subtracted at once.", hint="Name it once.")
        k = max(1, min(k, LONGEST))
        space = look(self._engine, community)
        rows, against = _rows(space, add), _rows(space, less)
        added = space.similarities(rows, None)
        subtracted = space.similarities(against, None) if less else None
        score = playlists.blend(added, subtracted)
        ranking = list(map(int, playlists.best(score)))
        shelf = Shelf(self._library, space, (*add, *less), [ranking])
        seeds = [*rows, *against]
        chosen = seeds
        for limit in (self._settings.per_artist, 0):
            chosen = shelf.pick([ranking], len(seeds) + k, limit, chosen, counted=len(seeds))
        order = chosen[len(seeds) :]
        clips = [shelf.clip(row) for row in order]
        nearest = [add[int(np.nanargmax(added[:, row]))] for row in order]
        facts = space.whys(self._library, list(zip(nearest, clips, strict=True)))
        steps = []
        for row, clip, near, fact in zip(order, clips, nearest, facts, strict=True):
            told = [f"{float(np.nanmax(added[:, row])):.2f} like {quoted(near)}"]
            if subtracted is not None and not np.isnan(subtracted[:, row]).all():
                worst = int(np.nanargmax(subtracted[:, row]))
                told.append(f"{subtracted[worst, row]:.2f} like {quoted(less[worst])}")
            steps.append(Step(clip, float(score[row]), f"{series(told)}. {fact}"))
        why = f"Like {series([quoted(clip) for clip in add])}"
        why += f", and unlike {series([quoted(clip) for clip in less])}." if less else "."
        return Playlist("mix", tuple(steps), why, _sentences([_few(len(steps), k), space.ready.notice]))

    def surprise(self, place: str | None, seed: int | None, community: str) -> Surprise:
        """Raises as `ClipSim.surprise`."""
        space, neighbours = self.neighbourhood(community)
        if not space.ids:
            raise EmptyLibrary("There are no clips to pick from yet.")
        seen = self.history.played(community, place, ("playlist", "surprise", "answer")) if place else {}
        drawn = draw(
            space.ids, neighbours, self.history.times(community), self._engine.votes.all(community), seen, seed
        )
        near = [space.ids[row] for row in drawn.near]
        clips = self._library.get_many([space.ids[drawn.row], *near])
        found = self._library.get(space.ids[drawn.row], community)
        if place:
            self._play([found.id], community, place, surprise=True)
        like = tuple(clips[clip_id] for clip_id in near if clip_id in clips)
        return Surprise(found, drawn.sentence(like), drawn.times, like)

    def shown(
        self, what: Answer | Playlist | Search | Surprise | Sequence[str], community: str, place: str | None
    ) -> None:
        """Raises as `History.note`."""
        if isinstance(what, Playlist | Surprise):  # whose place is remembered already
            clips = what.clips if isinstance(what, Playlist) else (what.clip,)
            self.history.note([clip.id for clip in clips], community)
        elif isinstance(what, Answer):
            self.history.note([match.clip.id for match in what.results], community, place)
        else:
            self.history.note([clip.id for clip in what.clips] if isinstance(what, Search) else what, community, place)

    def neighbourhood(self, community: str) -> tuple[Space, Neighbours]:
        """The community's clips and the nearest of each; remembered until they change."""
        space = look(self._engine, community)
        with self._lock:
            known = self._neighbours.get(community)
            if known is not None and known[0] == space.key:
                return space, known[1]
        found = space.neighbours(NEIGHBOURS)
        with self._lock:
            self._neighbours.pop(community, None)
            self._neighbours[community] = (space.key, found)
            while len(self._neighbours) > COMMUNITIES:
                del self._neighbours[next(iter(self._neighbours))]
        return space, found

    def _ordered(self, space: Space, shelf: Shelf, chosen: list[int]) -> list[int]:
        cost = playlists.distances(space.similarities(chosen, chosen))
        np.fill_diagonal(cost, 0.0)
        order = playlists.tour((cost + cost.T) / 2 + playlists.apart([shelf.artist(row) for row in chosen]))
        return [chosen[position] for position in order]

    def _steps(self, space: Space, clips: Sequence[Clip], rows: Sequence[int]) -> tuple[Step, ...]:
        """Each clip with its similarity to the one before, and what they share."""
        between = space.similarities(rows[:-1], rows[1:]).diagonal() if len(rows) > 1 else np.zeros(0)
        facts = space.whys(self._library, list(pairwise(clips)))
        told = [(None if np.isnan(each) else float(each), fact) for each, fact in zip(between, facts, strict=True)]
        return tuple(
            Step(clip, similarity, fact)
            for clip, (similarity, fact) in zip(clips, [(None, "It begins here."), *told], strict=True)
        )

    def _play(self, ids: Sequence[str], community: str, place: str, surprise: bool = False) -> None:
        try:
            self.history.play(ids, community, place, "surprise" if surprise else "playlist")
        except ClipSimError as error:  # a playlist that may come again is better than none
            log.warning("what was played in %s cannot be remembered: %s", place, error)


def _seeds(clips: Sequence[Clip]) -> list[Clip]:
    """Each clip once.

    Raises:
        InvalidSetting: there are none, or too many.
    """
    found = list({clip.id: clip for clip in clips}.values())
    if not found or len(found) > SEEDS:
        raise InvalidSetting(f"Name one clip to {SEEDS}.", hint="Each is a title, a link or an id.")
    return found


def _rows(space: Space, clips: Sequence[Clip]) -> list[int]:
    for clip in clips:
        if clip.id not in space.row:
            raise NotTrained(f"{quoted(clip)} has no place among the others yet.")
    return [space.row[clip.id] for clip in clips]


def _repeats(count: int) -> str | None:
    if not count:
        return None
    some = "One of these was" if count == 1 else f"{count} of these were"
    return f"{some} played here not long ago: there are too few others."


def _few(count: int, k: int) -> str | None:
    clips = {0: "no clip", 1: "only one clip"}.get(count, f"only {count} clips")
    return f"There {'is' if count < 2 else 'are'} {clips} for it here." if count < k else None


def _crowded(clips: Sequence[Clip]) -> str | None:
    artists = [artist_key(clip.artist) for clip in clips]
    if any(one is not None and one == other for one, other in pairwise(artists)):
        return "Some that follow each other are by one artist: there are too few others."
    return None


def _sentences(notes: Sequence[str | None]) -> str | None:
    return " ".join(note for note in notes if note) or None


def _mean(values: Sequence[float | None]) -> float | None:
    there: NDArray[np.float64] = np.array([value for value in values if value is not None], np.float64)
    return float(there.mean()) if there.size else None
