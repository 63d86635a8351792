"""What was put before people: which clips were played in a place of late, and how often each was recommended.

Written a batch at a time: what has happened since the last one is lost with a process that is killed, and nothing
hangs on it. Of a place (a Discord channel), the clips of its last lists are remembered for a month, and how many lists
depends on their kind (`REMEMBERED`). A clip that its community forgets goes from here too.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from clipsim import tables
from clipsim.embeddings import chunks, in_community
from clipsim.library import Library
from clipsim.model import HOME
from clipsim.records import clean

Kind = Literal["playlist", "surprise", "answer"]

REMEMBERED: dict[Kind, int] = {"playlist": 5, "surprise": 20, "answer": 20}  # lists of each kind in one place
DAYS = 30  # that a place is remembered
BATCH = 20  # lists that are written at once …
AGE = 30.0  # … or what has waited for so many seconds when the next one comes
LONGEST = 128  # characters of a community's or place's name
MOST = 1000  # clips of one list that count


@dataclass(frozen=True, slots=True)
class _Shown:
    community: str
    place: str | None
    kind: Kind
    ids: tuple[str, ...]
    counts: bool  # as recommended


class History:
    """The history of one library's communities. Methods may be called from several threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.RLock()
        self._waiting: list[_Shown] = []
        self._since = 0.0

    def note(self, ids: Iterable[str], community: str = HOME, place: str | None = None, kind: Kind = "answer") -> None:
        """Clips were shown as results: they count as recommended, and in a place they are remembered."""
        self._add(_Shown(_name(community), _name(place), kind, _ids(ids), True))

    def play(self, ids: Iterable[str], community: str, place: str, kind: Kind) -> None:
        """Clips are about to be shown in a place: they are remembered there. Whether they were shown, `note` says."""
        self._add(_Shown(_name(community), _name(place), kind, _ids(ids), False))

    def played(self, community: str, place: str, kinds: Sequence[Kind]) -> dict[str, int]:
        """The clips of the place's last lists of these kinds, and how many lists ago each was last there, from 0."""
        self.flush()
        table = tables.plays
        mine = (table.c.community == _name(community)) & (table.c.place == _name(place))
        recent = table.c.at > datetime.now(UTC) - timedelta(days=DAYS)
        query = sa.select(table.c.clip_id, table.c.kind, table.c.turn).where(mine, recent, table.c.kind.in_(kinds))
        with self._library.read() as connection:
            rows = connection.execute(query).all()
        last: dict[str, int] = {}
        for _, kind, turn in rows:
            last[kind] = max(turn, last.get(kind, turn))
        ago: dict[str, int] = {}
        for clip_id, kind, turn in rows:
            ago[clip_id] = min(last[kind] - turn, ago.get(clip_id, last[kind] - turn))
        return ago

    def times(self, community: str = HOME) -> dict[str, int]:
        """How often each clip was recommended; those that never were are not in it."""
        self.flush()
        table = tables.recommended
        with self._library.read() as connection:
            query = sa.select(table.c.clip_id, table.c.times).where(table.c.community == _name(community))
            return {clip_id: int(times) for clip_id, times in connection.execute(query)}

    def flush(self) -> None:
        """Write what waits. What cannot be written is dropped, and its error raised."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            now = datetime.now(UTC)
            with self._library.write() as connection:
                there = _there(connection, waiting)
                for shown in waiting:
                    ids = [clip_id for clip_id in shown.ids if clip_id in there[shown.community]]
                    if ids and shown.place:
                        _play(connection, shown, ids, now)
                for community in dict.fromkeys(shown.community for shown in waiting):
                    counted = Counter(
                        clip_id
                        for shown in waiting
                        if shown.counts and shown.community == community
                        for clip_id in shown.ids
                        if clip_id in there[community]
                    )
                    _count(connection, community, counted, now)
                old = tables.plays.c.at <= now - timedelta(days=DAYS)
                connection.execute(tables.plays.delete().where(old))

    def _add(self, shown: _Shown) -> None:
        if not shown.ids:
            return
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(shown)
            if len(self._waiting) >= BATCH or time.monotonic() - self._since >= AGE:
                self.flush()


def _there(connection: sa.Connection, waiting: Sequence[_Shown]) -> dict[str, set[str]]:
    """By community, those clips that were shown there and that it still sees."""
    wanted: dict[str, dict[str, None]] = {}
    for shown in waiting:
        wanted.setdefault(shown.community, {}).update(dict.fromkeys(shown.ids))
    found: dict[str, set[str]] = {}
    column = tables.clips.c.id
    for community, ids in wanted.items():
        found[community] = set()
        for part in chunks(ids):
            query = in_community(sa.select(column).where(column.in_(part)), column, community)
            found[community].update(connection.execute(query).scalars())
    return found


def _play(connection: sa.Connection, shown: _Shown, ids: list[str], now: datetime) -> None:
    table = tables.plays
    here = (table.c.community == shown.community) & (table.c.place == shown.place) & (table.c.kind == shown.kind)
    last = connection.execute(sa.select(sa.func.max(table.c.turn)).where(here)).scalar() or 0
    for part in chunks(ids):
        connection.execute(table.delete().where(here, table.c.clip_id.in_(part)))
    row = {"community": shown.community, "place": shown.place, "kind": shown.kind, "turn": last + 1, "at": now}
    connection.execute(table.insert(), [{**row, "clip_id": clip_id} for clip_id in ids])
    connection.execute(table.delete().where(here, table.c.turn <= last + 1 - REMEMBERED[shown.kind]))


def _count(connection: sa.Connection, community: str, counted: Counter[str], now: datetime) -> None:
    table = tables.recommended
    known: dict[str, int] = {}
    for part in chunks(counted):
        mine = (table.c.community == community) & table.c.clip_id.in_(part)
        rows = connection.execute(sa.select(table.c.clip_id, table.c.times).where(mine))
        known.update((clip_id, int(times)) for clip_id, times in rows)
        connection.execute(table.delete().where(mine))
    rows_now = [
        {"community": community, "clip_id": clip_id, "times": known.get(clip_id, 0) + times, "at": now}
        for clip_id, times in counted.items()
    ]
    if rows_now:
        connection.execute(table.insert(), rows_now)


def _ids(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clean(clip_id) for clip_id in ids))[:MOST]


def _name(name: str | None) -> str:
    return clean(name or "")[:LONGEST]
