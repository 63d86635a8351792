"""Votes: thumbs that people put on results, kept for as long as their community has both clips.

One voter has one vote on each result of each query; a new one takes the old one's place. Communities are kept apart:
HOME sees HOME's own votes (the command line's and the web page's), not those of every community, though it sees every
clip. Whoever votes is a stranger: what they send is bounded, and a vote on a clip they cannot see is refused.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import sqlalchemy as sa

from clipsim import tables
from clipsim.embeddings import in_community
from clipsim.errors import InvalidSetting, UnknownClip
from clipsim.library import Library
from clipsim.model import HOME, METHODS, By, Vote

LONGEST = 128  # characters of a voter's or community's name
LOWEST = 1_000_000  # rank that is believed

_COLUMNS = tables.votes.c


class Votes:
    """The votes of one library's communities."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def cast(self, vote: Vote) -> Vote:
        """Keep a vote in place of the voter's former one; returns it with the moment it was cast.

        Raises:
            UnknownClip: the community does not see both clips.
            InvalidSetting: the result is the query itself, or a value is none that can be kept.
        """
        _check(vote)
        kept = replace(vote, up=bool(vote.up), at=vote.at or datetime.now(UTC))
        both = sa.select(sa.func.count()).select_from(tables.clips)
        both = both.where(tables.clips.c.id.in_([vote.query, vote.result]))
        with self._library.write() as connection:
            if connection.execute(in_community(both, tables.clips.c.id, vote.community)).scalar_one() < 2:
                raise UnknownClip()
            connection.execute(tables.votes.delete().where(*_whose(vote)))
            connection.execute(
                tables.votes.insert().values(
                    community=kept.community,
                    voter=kept.voter,
                    query_id=kept.query,
                    result_id=kept.result,
                    up=kept.up,
                    method=kept.method,
                    by=kept.by,
                    rank=kept.rank,
                    at=kept.at,
                )
            )
        return kept

    def withdraw(self, community: str, voter: str, query: str, result: str) -> bool:
        """Take a vote back; False where there was none."""
        with self._library.write() as connection:
            mine = _whose(Vote(query, result, True, voter, community))
            return connection.execute(tables.votes.delete().where(*mine)).rowcount > 0

    def of(self, query: str, community: str = HOME, voter: str | None = None) -> dict[str, Vote]:
        """The votes on a query's results, by the result's id: one voter's, or (None) the newest on each."""
        wanted = [_COLUMNS.community == community, _COLUMNS.query_id == query]
        if voter is not None:
            wanted.append(_COLUMNS.voter == voter)
        return {vote.result: vote for vote in self._read(*wanted)}

    def all(self, community: str = HOME, since: datetime | None = None) -> list[Vote]:
        """The community's votes, oldest first; `since`: those cast after that moment."""
        return self._read(*_cast_in(community, since))

    def count(self, community: str = HOME, since: datetime | None = None) -> int:
        """How many votes `all` would return."""
        query = sa.select(sa.func.count()).select_from(tables.votes).where(*_cast_in(community, since))
        with self._library.read() as connection:
            return int(connection.execute(query).scalar_one())

    def _read(self, *wanted: sa.ColumnElement[bool]) -> list[Vote]:
        order = (_COLUMNS.at, _COLUMNS.voter, _COLUMNS.query_id, _COLUMNS.result_id)
        with self._library.read() as connection:
            rows = connection.execute(sa.select(tables.votes).where(*wanted).order_by(*order)).all()
        return [_vote(row) for row in rows]


def _vote(row: Any) -> Vote:
    told = (row.community, row.method, row.by, row.rank, row.at)
    return Vote(row.query_id, row.result_id, row.up, row.voter, *told)


def _cast_in(community: str, since: datetime | None) -> list[sa.ColumnElement[bool]]:
    wanted = [_COLUMNS.community == community]
    return wanted if since is None else [*wanted, _COLUMNS.at > since]


def _whose(vote: Vote) -> list[sa.ColumnElement[bool]]:
    return [
        _COLUMNS.community == vote.community,
        _COLUMNS.voter == vote.voter,
        _COLUMNS.query_id == vote.query,
        _COLUMNS.result_id == vote.result,
    ]


def _check(vote: Vote) -> None:
    """Refuse what no honest page or command would send.

    Raises:
        InvalidSetting, UnknownClip.
    """
    if not (_named(vote.voter) and _named(vote.community)):
        raise InvalidSetting(
            f"A voter and a community have names of 1 to {LONGEST} printable characters.",
            hint="Vote under another name.",
        )
    if not (_named(vote.query) and _named(vote.result)):
        raise UnknownClip()
    if vote.query == vote.result:
        raise InvalidSetting("A clip is no result of its own.", hint="Vote on another clip.")
    if vote.by not in get_args(By) or vote.method not in (None, *METHODS):
        raise InvalidSetting("A vote names a method and a way to compare that there are.", hint="Or leave them out.")
    if vote.rank is not None and not 1 <= vote.rank <= LOWEST:
        raise InvalidSetting("A rank is a number from 1.", hint="Or leave it out.")


def _named(text: str) -> bool:
    return 0 < len(text) <= LONGEST and text.isprintable()
