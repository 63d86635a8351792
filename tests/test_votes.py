"""Votes on a real library: kept once for each voter and result, gone with their clips, refused where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clipsim.backup import backup, restore
from clipsim.errors import InvalidSetting, UnknownClip
from clipsim.library import Library
from clipsim.model import HOME, Vote
from clipsim.votes import LONGEST, Votes
from tests.libraries import TINY, fill, settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B, C, D = (f"clip-{n:04}" for n in range(4))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library.open(settings(tmp_path / "library"), TINY)
    fill(opened, 4)
    yield opened
    opened.close()


@pytest.fixture
def votes(library: Library) -> Votes:
    return Votes(library)


def test_a_vote_comes_back_as_it_was_cast(votes: Votes) -> None:
    cast = votes.cast(Vote(A, B, True, "ann", method="standard", by="audio", rank=3, at=NOON))
    assert cast == Vote(A, B, True, "ann", HOME, "standard", "audio", 3, NOON)
    assert votes.of(A) == {B: cast} and votes.all() == [cast]
    before = datetime.now(UTC)
    assert before <= (votes.cast(Vote(A, C, False, "ann")).at or NOON) <= datetime.now(UTC)


def test_one_voter_has_one_vote_on_a_result_and_may_change_it(votes: Votes) -> None:
    votes.cast(Vote(A, B, True, "ann", rank=1, at=NOON))
    votes.cast(Vote(A, B, False, "ann", rank=2, at=NOON + timedelta(hours=1)))
    assert votes.all() == [Vote(A, B, False, "ann", rank=2, at=NOON + timedelta(hours=1))]
    votes.cast(Vote(A, B, True, "ben"))  # another voter
    votes.cast(Vote(B, A, True, "ann"))  # the other way round is another question
    assert votes.count() == 3
    assert {who: votes.of(A, voter=who)[B].up for who in ("ann", "ben")} == {"ann": False, "ben": True}
    assert votes.of(A)[B].voter == "ben"  # the newest, where nobody is asked for


def test_a_vote_is_taken_back_once(votes: Votes) -> None:
    votes.cast(Vote(A, B, True, "ann"))
    assert not votes.withdraw(HOME, "ben", A, B) and not votes.withdraw("guild", "ann", A, B)
    assert votes.withdraw(HOME, "ann", A, B)
    assert not votes.withdraw(HOME, "ann", A, B) and votes.all() == []


def test_however_many_vote_at_once_each_has_one_vote(votes: Votes) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: votes.cast(Vote(A, (B, C)[n % 2], n % 3 == 0, f"voter {n % 4}")), range(64)))
    assert votes.count() == 4  # the voters' numbers say which of the two results is theirs


def test_those_cast_after_a_moment(votes: Votes) -> None:
    for hour, result in enumerate((B, C, D)):
        votes.cast(Vote(A, result, True, "ann", at=NOON + timedelta(hours=hour)))
    assert [vote.result for vote in votes.all(since=NOON)] == [C, D]  # not the one of that very moment
    assert votes.count(since=NOON + timedelta(microseconds=1)) == 2 and votes.count(since=NOON - timedelta(1)) == 3


def test_communities_are_kept_apart_and_home_sees_its_own_votes(library: Library, votes: Votes) -> None:
    for clip_id in (A, B):
        library.join(clip_id, "guild")
    votes.cast(Vote(A, B, False, "ann", "guild"))
    assert votes.count("guild") == 1 and votes.count() == 0 and votes.of(A) == {}
    with pytest.raises(UnknownClip):
        votes.cast(Vote(A, C, True, "ann", "guild"))  # the library has it, the guild does not
    with pytest.raises(UnknownClip):
        votes.cast(Vote(A, B, True, "ann", "another guild"))
    assert votes.count("guild") == 1


def test_votes_go_with_the_clip_from_where_it_is_removed(library: Library, votes: Votes) -> None:
    for clip_id in (A, B, C):
        library.join(clip_id, "guild")
    for community in (HOME, "guild"):
        for query, result in ((A, B), (B, C), (C, A)):
            votes.cast(Vote(query, result, True, "ann", community))
    library.remove(B, "guild")
    assert [vote.query for vote in votes.all("guild")] == [C]
    assert votes.count() == 3  # HOME still has the clip
    library.join(B, "guild")
    assert votes.count("guild") == 1  # and does not get them back
    library.remove(C)
    assert [(vote.query, vote.result) for vote in votes.all()] == [(A, B)] and votes.all("guild") == []


def test_votes_are_in_a_backup(library: Library, votes: Votes, tmp_path: Path) -> None:
    cast = votes.cast(Vote(A, B, True, "ann", rank=1))
    backup(library, tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "other")
    other = Library.open(settings(tmp_path / "other"), TINY)
    assert Votes(other).all() == [cast]
    other.close()


GOOD = Vote(A, B, True, "ann")


@pytest.mark.parametrize(
    ("vote", "error"),
    [
        (replace(GOOD, result="nowhere"), UnknownClip),
        (replace(GOOD, query="x" * 10_000), UnknownClip),
        (replace(GOOD, result="\x00"), UnknownClip),
        (replace(GOOD, result=A), InvalidSetting),
        (replace(GOOD, voter=""), InvalidSetting),
        (replace(GOOD, voter="x" * (LONGEST + 1)), InvalidSetting),
        (replace(GOOD, voter="ann\x1b[2J"), InvalidSetting),
        (replace(GOOD, community=""), InvalidSetting),
        (replace(GOOD, by="smell"), InvalidSetting),  # type: ignore[arg-type]
        (replace(GOOD, method="x" * 999), InvalidSetting),
        (replace(GOOD, rank=0), InvalidSetting),
        (replace(GOOD, rank=10**12), InvalidSetting),
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_the_former_vote(votes: Votes, vote: Vote, error: type) -> None:
    votes.cast(GOOD)
    with pytest.raises(error):
        votes.cast(vote)
    assert [(kept.query, kept.result, kept.up, kept.voter) for kept in votes.all()] == [(A, B, True, "ann")]


def test_names_as_long_as_may_be_are_kept(votes: Votes) -> None:
    votes.cast(replace(GOOD, voter="ß" * LONGEST, rank=1_000_000))
    assert votes.all()[0].voter == "ß" * LONGEST
