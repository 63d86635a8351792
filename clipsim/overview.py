"""What a library holds, for its summary: who added most, which clips are the same song, which two are most alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from clipsim import tables
from clipsim.library import Library
from clipsim.model import HOME, Clip, Contributor, Pair
from clipsim.recordings import Recordings, as_long
from clipsim.space import Neighbours, Space
from clipsim.titles import song

NEAREST = 5  # neighbours of a clip that are compared by sound: copies of one recording are nearer than anything else
TOLD = {"title": "The same artist and title.", "sound": "The same recording, by its sound."}


def contributors(library: Library, community: str = HOME, limit: int = 10) -> list[Contributor]:
    """Who added most of the clips that the community sees, most first. In HOME: of all communities."""
    members = tables.memberships.c
    count = sa.func.count(sa.distinct(members.clip_id))
    query = sa.select(members.added_by, count).where(members.added_by.is_not(None))
    if community != HOME:
        query = query.where(members.community == community)
    query = query.group_by(members.added_by).order_by(count.desc(), members.added_by).limit(limit)
    with library.read() as connection:
        return [Contributor(name, int(clips)) for name, clips in connection.execute(query)]


def duplicates(library: Library, space: Space, neighbours: Neighbours) -> list[Pair]:
    """Clips that are the same song as an older one, each with the oldest it equals (see `clipsim.recordings`).

    All are compared by artist and title; by sound only those that last equally long and are neighbours, so that
    thousands of clips take seconds.
    """
    clips = _clips(library, space)
    first: dict[tuple[str, str], int] = {}
    same: dict[int, tuple[int, str]] = {}  # row to the oldest row that it equals, and what tells
    for row, clip in enumerate(clips):
        key = song(clip) if clip else None
        if key is not None and first.setdefault(key, row) != row:
            same[row] = (first[key], TOLD["title"])
    recordings = Recordings(library)
    for row in range(len(clips)):
        for other in map(int, neighbours.rows[row][:NEAREST]):
            older, newer = sorted((row, other))
            one, two = clips[older], clips[newer]
            if newer in same or one is None or two is None or not as_long(one, two):
                continue
            if recordings.same(one, two):
                same[newer] = (older, TOLD["sound"])
    found = []
    for row, (older, told) in sorted(same.items()):
        oldest = older
        while oldest in same:
            oldest = same[oldest][0]
        one, two = clips[oldest], clips[row]
        assert one is not None and two is not None
        found.append(Pair(one, two, _similarity(space, oldest, row), told))
    return found


def most_alike(library: Library, space: Space, neighbours: Neighbours) -> Pair | None:
    """The two clips that are most alike and not the same song, with what they share; None where there are no two."""
    similar = np.nan_to_num(neighbours.similarities, nan=-np.inf)
    recordings = Recordings(library)
    for flat in np.argsort(-similar, axis=None, kind="stable"):
        row, place = np.unravel_index(int(flat), similar.shape)
        if not np.isfinite(similar[row, place]):
            return None
        other = int(neighbours.rows[row, place])
        if other < row and int(row) in neighbours.rows[other]:
            continue  # seen from the other side
        clips = library.get_many([space.ids[int(row)], space.ids[other]])
        one, two = clips.get(space.ids[int(row)]), clips.get(space.ids[other])
        if one is not None and two is not None and not recordings.same(one, two):
            (why,) = space.whys(library, [(one, two)])
            return Pair(one, two, float(similar[row, place]), why)
    return None


def _clips(library: Library, space: Space) -> list[Clip | None]:
    found = library.get_many(space.ids)
    return [found.get(clip_id) for clip_id in space.ids]


def _similarity(space: Space, row: int, other: int) -> float:
    found: Sequence[float] = space.similarities([row], [other])[0]
    return 0.0 if np.isnan(found[0]) else float(found[0])
