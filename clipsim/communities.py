"""Communities: what each has chosen, which share their clips, and how one, or somebody in it, is forgotten.

A community that shares contributes its clips to `SHARED` and sees that in place of its own (of which it is a superset):
titles, answers, groups, map and votes are then those of all who share. Who posted a clip, where and when stays with the
community it was posted in. What a community no longer has, `SHARED` has only as long as another that shares has it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from clipsim import tables
from clipsim.embeddings import chunks
from clipsim.errors import InvalidSetting
from clipsim.model import HOME, JSON, SHARED, Post
from clipsim.votes import LONGEST

if TYPE_CHECKING:
    from clipsim.engine import Engine
    from clipsim.library import Library

_MEMBERS = tables.memberships.c
_ABOUT = tables.communities.c


class Communities:
    """The communities of one library. Methods may be called from several threads."""

    def __init__(self, library: Library, engine: Engine) -> None:
        self._library = library
        self._engine = engine
        self._lock = threading.RLock()
        self._sharing = self._read()  # replaced whole: readers need no lock

    # What each has chosen

    def preferences(self) -> dict[str, JSON]:
        """What every community has chosen that has chosen anything, by its name; `shared` says whether it shares."""
        query = sa.select(_ABOUT.community, _ABOUT.preferences, _ABOUT.shared)
        with self._library.read() as connection:
            return {row[0]: {**_mapping(row[1]), "shared": bool(row[2])} for row in connection.execute(query)}

    def set_preferences(self, community: str, given: Mapping[str, Any]) -> None:
        """Keep what a community has chosen (anything JSON can say); sharing is a matter of `share`."""
        kept = {name: value for name, value in given.items() if name != "shared"}
        self._put(community, preferences=kept)

    # Sharing

    def view(self, community: str) -> str:
        """The community whose clips this one sees: `SHARED` where it shares, else itself."""
        return SHARED if community in self._sharing else community

    def _read(self) -> frozenset[str]:
        """The communities that share."""
        with self._library.read() as connection:
            return frozenset(connection.execute(sa.select(_ABOUT.community).where(_ABOUT.shared)).scalars())

    def share(self, community: str, shared: bool) -> None:
        """Let a community share its clips from now on, or keep them to itself again.

        Raises:
            InvalidSetting: HOME sees everything already, and `SHARED` is what is shared.
        """
        if community in (HOME, SHARED):
            raise InvalidSetting(f"“{community}” is no community that could share its clips.")
        with self._lock:
            self._put(community, shared=shared)
            self.agree()

    def joined(self, clip_id: str, community: str) -> None:
        """After a community got a clip: let those see it who share with it."""
        if community in self._sharing:
            self._library.join(clip_id, SHARED)
            self._engine.absorb(clip_id, SHARED, False)

    def parted(self, community: str) -> None:
        """After a community lost a clip: those who share with it lose it too, unless another of them has it."""
        if community in self._sharing:
            self.agree()

    def agree(self) -> None:
        """Make `SHARED` what those have who share: no clip more, none less (also after an interruption)."""
        with self._lock:
            sharing = self._sharing = self._read()
            changed: set[str] = set()
            with self._library.write(changed) as connection:
                theirs = sa.select(_MEMBERS.clip_id).where(_MEMBERS.community.in_(sharing)).distinct()
                held = sa.select(_MEMBERS.clip_id).where(_MEMBERS.community == SHARED)
                wanted, there = (set(connection.execute(query).scalars()) for query in (theirs, held))
                changed |= wanted ^ there
                rows = [
                    {"community": SHARED, "clip_id": clip_id, "added_by": None, "added_at": datetime.now(UTC)}
                    for clip_id in sorted(wanted - there)
                ]
                if rows:
                    connection.execute(tables.memberships.insert(), rows)
                gone = _leave(connection, there - wanted, [SHARED])
            if rows:
                self._engine.show(SHARED, [str(row["clip_id"]) for row in rows])
            self._engine.hide([SHARED], there - wanted, gone)

    # Who posted what

    def post(self, clip_id: str, community: str) -> Post | None:
        """When a clip was first posted in a community, by whom and where; None where it was not."""
        query = sa.select(_MEMBERS.added_by, _MEMBERS.added_at, _MEMBERS.place)
        query = query.where(_MEMBERS.clip_id == clip_id, _MEMBERS.community == community)
        with self._library.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else Post(row.added_by, row.added_at, _mapping(row.place) or None)

    def set_place(self, clip_id: str, community: str, place: JSON) -> None:
        """Note where a clip was first posted, unless that is known."""
        mine = (_MEMBERS.clip_id == clip_id) & (_MEMBERS.community == community) & _MEMBERS.place.is_(None)
        with self._library.write([clip_id]) as connection:
            connection.execute(tables.memberships.update().where(mine).values(place=place))

    def counts(self, user: str, communities: Collection[str] | None = None) -> JSON:
        """How much there is of somebody, in these communities or (None) all: clips, votes, links being worked on."""
        with self._library.read() as connection:
            return {
                name: int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one())
                for name, table, where in _of(user, communities)
            }

    # Forgetting

    def forget_user(self, user: str, communities: Collection[str] | None = None) -> JSON:
        """Forget what somebody added, in these communities or (None) all; returns what there was, as `counts`.

        Their clips leave the communities they added them to; their votes and what is waiting are deleted; of links that
        were done, only that there was one stays.
        """
        with self._lock:
            counts = self.counts(user, communities)
            by_community: dict[str, set[str]] = {}
            gone: set[str] = set()
            changed: set[str] = set()
            with self._library.write(changed) as connection:
                for name, table, where in _of(user, communities):
                    if name == "clips":
                        for row in connection.execute(sa.select(table).where(*where)):
                            by_community.setdefault(row.community, set()).add(row.clip_id)
                    else:
                        connection.execute(table.delete().where(*where))
                done = tables.jobs.update().where(*_whose(tables.jobs.c.requester, user, tables.jobs, communities))
                connection.execute(done.values(requester=None, source="", reply={}))
                for community, ids in by_community.items():
                    changed |= ids
                    gone |= _leave(connection, ids, [community])
            for community, ids in by_community.items():
                self._engine.hide([community], ids, gone)
            self.agree()
            return counts

    def forget_community(self, community: str) -> int:
        """Forget a community and everything that is kept of it; returns how many clips left it.

        Clips that another one has too (or HOME) stay there.

        Raises:
            InvalidSetting: it is HOME.
        """
        if community in (HOME, SHARED):
            raise InvalidSetting(f"“{community}” is no community that could be forgotten.")
        with self._lock:
            ids: set[str] = set()
            with self._library.write(ids) as connection:
                query = sa.select(_MEMBERS.clip_id).where(_MEMBERS.community == community)
                ids |= set(connection.execute(query).scalars())
                gone = _leave(connection, ids, [community])
                for table in tables.metadata.sorted_tables:
                    if "community" in table.c:
                        connection.execute(table.delete().where(table.c.community == community))
            self._engine.hide([community], ids, gone)
            self.agree()
            return len(ids)

    def leave(self, community: str, at: datetime | None = None) -> None:
        """Note that a community is gone since then, unless that is noted."""
        self._put(community)
        gone = tables.communities.update().where(_ABOUT.community == community, _ABOUT.left_at.is_(None))
        with self._library.write() as connection:
            connection.execute(gone.values(left_at=at or datetime.now(UTC)))

    def come_back(self, community: str) -> bool:
        """Note that a community is there (again); False where it was not gone."""
        back = tables.communities.update().where(_ABOUT.community == community, _ABOUT.left_at.is_not(None))
        with self._library.write() as connection:
            return connection.execute(back.values(left_at=None)).rowcount > 0

    def gone(self) -> dict[str, datetime]:
        """The communities that are gone, and since when."""
        query = sa.select(_ABOUT.community, _ABOUT.left_at).where(_ABOUT.left_at.is_not(None))
        with self._library.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def known(self) -> list[str]:
        """Every community that anything is kept of, besides HOME and SHARED."""
        found: set[str] = set()
        with self._library.read() as connection:
            for table in tables.metadata.sorted_tables:
                if "community" in table.c:
                    found |= set(connection.execute(sa.select(table.c.community).distinct()).scalars())
        return sorted(found - {HOME, SHARED})

    def _put(self, community: str, **values: Any) -> None:
        if not 0 < len(community) <= LONGEST:
            raise InvalidSetting(f"A community has a name of 1 to {LONGEST} characters.")
        table = tables.communities
        with self._library.write() as connection:
            mine = table.c.community == community
            if connection.execute(sa.select(table.c.community).where(mine)).first() is None:
                row = {"community": community, "preferences": {}, "shared": False} | values
                connection.execute(table.insert().values(row))
            elif values:
                connection.execute(table.update().where(mine).values(values))


def _leave(connection: sa.Connection, ids: Iterable[str], communities: list[str]) -> set[str]:
    """Take clips out of communities, with all that is kept of them there (votes, what was played).

    Returns those that nobody has any more: they are deleted.
    """
    gone: set[str] = set()
    for part in chunks(ids):
        for table in tables.metadata.sorted_tables:
            of_clips = [key.parent for key in table.foreign_keys if key.column is tables.clips.c.id]
            if of_clips and "community" in table.c:
                about = sa.or_(*(column.in_(part) for column in of_clips))
                connection.execute(table.delete().where(table.c.community.in_(communities), about))
        left = sa.select(_MEMBERS.clip_id).where(_MEMBERS.clip_id.in_(part), _MEMBERS.community != SHARED)
        lonely = sa.select(tables.clips.c.id).where(
            tables.clips.c.id.in_(part), ~tables.clips.c.kept, tables.clips.c.id.not_in(left)
        )
        lost = list(connection.execute(lonely).scalars())
        connection.execute(tables.clips.delete().where(tables.clips.c.id.in_(lost)))
        gone |= set(lost)
    return gone


def _of(user: str, communities: Collection[str] | None) -> list[tuple[str, sa.Table, list[sa.ColumnElement[bool]]]]:
    """(what it is, its table, which rows) of all that is kept of somebody by name."""
    from clipsim.jobs import OPEN

    jobs = tables.jobs
    waiting = [jobs.c.state.in_(OPEN), *_whose(jobs.c.requester, user, jobs, communities)]
    return [
        ("clips", tables.memberships, _whose(_MEMBERS.added_by, user, tables.memberships, communities)),
        ("votes", tables.votes, _whose(tables.votes.c.voter, user, tables.votes, communities)),
        ("waiting", jobs, waiting),
    ]


def _whose(
    column: sa.ColumnElement[Any], user: str, table: sa.Table, communities: Collection[str] | None
) -> list[sa.ColumnElement[bool]]:
    mine = [column == user]
    return mine if communities is None else [*mine, table.c.community.in_(list(communities))]


def _mapping(value: Any) -> JSON:
    return dict(value) if isinstance(value, Mapping) else {}
