"""Communities on a real library and index: what they share, who posted what, and how one, or a member, is forgotten."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from clipsim import ClipSim, listings, tables
from clipsim.errors import InvalidSetting, UnknownClip
from clipsim.library import Library
from clipsim.model import HOME, SHARED, Clip
from tests.libraries import TINY, features, settings

ANN, BEN = "7001", "7002"
ONE, TWO, THREE = "101", "102", "103"  # guilds


def clip_id(number: int) -> str:
    return f"clip{number:07d}"


def link(number: int) -> str:
    return f"https://youtu.be/{clip_id(number)}"


@asynccontextmanager
async def opened(folder: Path, min_train: int = 8) -> AsyncIterator[ClipSim]:
    async with ClipSim.open(settings=settings(folder, min_train=min_train), preset=TINY) as sim:
        yield sim


@pytest.fixture
async def sim(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[ClipSim]:
    """Twelve clips: 0 to 4 in guild ONE (by Ann), 4 to 8 in TWO (by Ben), 9 in THREE (by Ann), 10 and 11 in HOME."""
    least = getattr(request, "param", 8)
    library = Library.open(settings(tmp_path, min_train=least), TINY)
    for number in range(12):
        clip = Clip(clip_id(number), f"Title {number}", artist=f"Artist {number}", url=link(number))
        who = (ONE, ANN) if number < 5 else (TWO, BEN) if number < 9 else (THREE, ANN) if number == 9 else (HOME, None)
        library.add(clip, features(number), *who)
    library.join(clip_id(4), TWO, BEN)
    library.close()
    async with opened(tmp_path, least) as sim:
        await sim.settle()
        await sim.query(clip_id(10), 3)  # everything embedded and indexed
        yield sim
        assert (await sim.audit()).found == []  # library and index agree


async def seen(sim: ClipSim, community: str) -> list[int]:
    """The clips that a community sees, by every way of seeing; they agree."""
    listed = sorted(int(clip.id[4:]) for clip in await sim.clips(community=community))
    assert await sim.count(community=community) == len(listed)
    if len(listed) > 1:
        asked = clip_id(listed[0])
        answered = {int(match.clip.id[4:]) for match in await sim.similar(asked, 20, community=community)}
        assert answered == set(listed) - {listed[0]}
        clusters = await sim.clusters(2, community=community)
        assert sorted(int(clip.id[4:]) for cluster in clusters for clip in cluster.members) == listed
    completed = await sim.complete("Title", community=community)
    assert {int(clip.id[4:]) for clip in completed} <= set(listed)
    return listed


@pytest.mark.parametrize("sim", [8, 64], ids=["trained", "too-small-to-train"], indirect=True)
async def test_each_sees_its_own_until_it_shares_and_again_when_it_leaves(sim: ClipSim) -> None:
    assert await seen(sim, ONE) == [0, 1, 2, 3, 4]
    await sim.share(ONE, True)
    assert await seen(sim, ONE) == [0, 1, 2, 3, 4]  # nobody to share with
    await sim.share(TWO, True)
    assert await seen(sim, ONE) == await seen(sim, TWO) == list(range(9))
    assert await seen(sim, THREE) == [9]
    assert (await sim.find("Title 7", community=ONE)).id == clip_id(7)
    assert (await sim.preferences())[ONE] == {"shared": True}
    await sim.share(ONE, False)
    assert await seen(sim, ONE) == [0, 1, 2, 3, 4]
    assert await seen(sim, TWO) == [4, 5, 6, 7, 8]  # 4 is Two's own as well
    with pytest.raises(UnknownClip):
        await sim.find(clip_id(7), community=ONE)
    await sim.share(TWO, False)
    assert SHARED not in await sim.known_communities()
    assert await seen(sim, SHARED) == []


async def test_what_is_added_and_forgotten_there_comes_and_goes_for_all(sim: ClipSim) -> None:
    for guild in (ONE, TWO):
        await sim.share(guild, True)
    answer = await sim.answer(link(10), community=ONE, added_by=ANN)
    assert {match.clip.id for match in answer.results} <= {clip_id(n) for n in range(9)}
    assert await seen(sim, TWO) == [*range(9), 10]
    with pytest.raises(UnknownClip):  # another's clip is not one's own to forget
        await sim.remove(clip_id(10), community=TWO)
    await sim.remove(clip_id(10), community=ONE)
    await sim.remove(clip_id(4), community=ONE)
    assert await seen(sim, ONE) == list(range(9))  # 4 is still Two's
    await sim.remove(clip_id(4), community=TWO)
    assert await seen(sim, ONE) == [0, 1, 2, 3, 5, 6, 7, 8]


async def test_who_posted_a_clip_stays_in_its_community(sim: ClipSim) -> None:
    for guild in (ONE, TWO):
        await sim.share(guild, True)
    found = await sim.find(clip_id(1), community=TWO)
    assert await sim.post(found, community=TWO) is None
    posted = await sim.post(found, community=ONE)
    assert posted is not None
    assert (posted.by, posted.place) == (ANN, None)
    assert datetime.now(UTC) - posted.at < timedelta(minutes=5)
    await sim.set_place(found, {"channel": 5, "message": 6}, community=ONE)
    await sim.set_place(found, {"channel": 7, "message": 8}, community=ONE)  # the first one counts
    posted = await sim.post(clip_id(1), community=ONE)
    assert posted is not None
    assert posted.place == {"channel": 5, "message": 6}


async def test_an_interrupted_change_is_made_good_when_the_library_is_opened(sim: ClipSim, tmp_path: Path) -> None:
    await sim.share(ONE, True)
    library = sim._library
    with library.write() as connection:  # as if the process had ended between two steps
        shared = tables.memberships.c.community == SHARED
        connection.execute(tables.memberships.delete().where(shared, tables.memberships.c.clip_id == clip_id(2)))
    library.join(clip_id(9), SHARED)
    await sim._thread(sim._communities.agree)
    assert await seen(sim, ONE) == [0, 1, 2, 3, 4]


async def test_votes_and_weights_of_those_who_share_are_common(sim: ClipSim) -> None:
    for guild in (ONE, TWO):
        await sim.share(guild, True)
    await sim.vote(clip_id(0), clip_id(7), True, voter=ANN, community=ONE)
    assert list(await sim.votes(clip_id(0), community=TWO)) == [clip_id(7)]
    assert await sim.belongings(ANN, community=ONE) == {"clips": 5, "votes": 1, "waiting": 0}
    await sim.share(TWO, False)
    assert await sim.votes(clip_id(0), community=ONE) == {}  # the clip it was about has left


async def test_somebody_is_forgotten_in_one_community(sim: ClipSim) -> None:
    for guild in (ONE, TWO):
        await sim.share(guild, True)
    await sim.vote(clip_id(5), clip_id(6), True, voter=ANN, community=ONE)
    waiting = await sim.accept(link(11), community=ONE, requester=ANN, reply={"channel": 1})
    done = await sim.accept(link(0), community=ONE, requester=ANN, reply={"channel": 1})
    await sim.run(done.id)
    assert await sim.belongings(ANN, community=ONE) == {"clips": 5, "votes": 1, "waiting": 1}
    assert await sim.forget_user(ANN, community=ONE) == {"clips": 5, "votes": 1, "waiting": 1}
    assert await sim.belongings(ANN, community=ONE) == {"clips": 0, "votes": 0, "waiting": 0}
    assert await seen(sim, ONE) == [4, 5, 6, 7, 8]  # 4 was Ben's too, in Two
    assert await seen(sim, THREE) == [9]
    assert await sim.belongings(ANN) == {"clips": 1, "votes": 0, "waiting": 0}
    kept = await sim.recent_jobs(ONE, datetime.now(UTC) - timedelta(days=1))
    assert [(job.id, job.requester, job.source, job.reply) for job in kept] == [(done.id, None, "", {})]
    assert waiting.id not in [job.id for job in kept]
    with pytest.raises(UnknownClip):
        await sim.find(clip_id(0))  # nobody has it any more
    assert (await sim.find(clip_id(4))).id == clip_id(4)


async def test_somebody_is_forgotten_everywhere(sim: ClipSim) -> None:
    assert await sim.forget_user(ANN) == {"clips": 6, "votes": 0, "waiting": 0}
    assert await seen(sim, ONE) == await seen(sim, THREE) == []
    assert await seen(sim, TWO) == [4, 5, 6, 7, 8]
    assert await seen(sim, HOME) == [4, 5, 6, 7, 8, 10, 11]


async def test_a_community_is_forgotten_with_everything_that_was_kept_of_it(sim: ClipSim) -> None:
    for guild in (ONE, TWO):
        await sim.share(guild, True)
    await sim.set_preferences(ONE, {"count": 3})
    await sim.accept(link(0), community=ONE, requester=ANN, reply={})
    await seen(sim, ONE)  # a clustering is kept, too
    assert await sim.forget_community(ONE) == 5
    assert ONE not in await sim.known_communities()
    assert await sim.preferences() == {TWO: {"shared": True}}
    assert await seen(sim, TWO) == [4, 5, 6, 7, 8]
    assert await seen(sim, HOME) == [*range(4, 12)]
    with sim._library.read() as connection:
        for table in tables.metadata.sorted_tables:
            if "community" in table.c:
                left = connection.execute(sa.select(table.c.community).where(table.c.community == ONE)).first()
                assert left is None, table.name
    for name in (HOME, SHARED):
        with pytest.raises(InvalidSetting):
            await sim.forget_community(name)
        with pytest.raises(InvalidSetting):
            await sim.share(name, True)


async def test_a_community_that_leaves_and_comes_back(sim: ClipSim) -> None:
    before = datetime.now(UTC)
    await sim.leave(ONE)
    first = await sim.gone_communities()
    await sim.leave(ONE)  # noted already
    assert await sim.gone_communities() == first
    assert before - timedelta(seconds=1) <= first[ONE] <= datetime.now(UTC)
    assert await sim.come_back(ONE)
    assert not await sim.come_back(ONE)
    assert not await sim.come_back("999")
    assert await sim.gone_communities() == {}
    assert await seen(sim, ONE) == [0, 1, 2, 3, 4]


async def test_preferences_are_kept_as_they_were_given(tmp_path: Path) -> None:
    async with opened(tmp_path) as sim:
        await sim.set_preferences(ONE, {"count": 3, "channels": [1, 2], "shared": True})
        await sim.set_preferences(ONE, {"count": 4})
        await sim.share(TWO, True)
    async with opened(tmp_path) as sim:
        assert await sim.preferences() == {ONE: {"count": 4, "shared": False}, TWO: {"shared": True}}
        with pytest.raises(InvalidSetting):
            await sim.set_preferences("", {})


OWN = {  # about what is a community's own
    *("add", "accept", "remove", "contributors"),
    *("jobs", "job", "recent_jobs", "retry_job", "cancel_job", "drop_job"),
    *("set_preferences", "share", "post", "set_place", "leave", "come_back", "forget_community"),
    *("keep_list", "kept_list"),
}
LEFT_TO_OTHERS = {"similar", "clusters"}  # which ask methods that are looked at here


def test_every_method_that_reads_a_community_asks_for_its_view() -> None:
    """Or else a community that shares would see its own clips alone there."""
    for name, method in inspect.getmembers(ClipSim, inspect.iscoroutinefunction):
        if name.startswith("_") or "community" not in inspect.signature(method).parameters:
            continue
        asks = re.search(r"self\._view\(|self\._query\(", inspect.getsource(method)) is not None
        assert asks != (name in OWN | LEFT_TO_OTHERS), name


async def test_discovery_and_the_summary_are_about_all_that_is_shared(sim: ClipSim) -> None:
    for guild in (ONE, TWO):
        await sim.share(guild, True)
    mine, theirs = clip_id(0), clip_id(7)
    path = await sim.path(mine, theirs, 5, community=ONE)
    assert [path.clips[0].id, path.clips[-1].id] == [mine, theirs]
    playlist = await sim.playlist(mine, 9, place="channel", community=ONE)
    assert len(playlist.clips) == 9
    await sim.shown(playlist, community=ONE, place="channel")
    assert theirs in [clip.id for clip in (await sim.mix(mine, k=8, community=ONE)).clips]
    assert (await sim.search("Title 7", community=ONE, meaning=False)).clips[0].id == theirs
    assert await sim.most_alike(community=ONE) is not None
    counts = {each.id: each.clips for each in await sim.contributors(community=ONE)}
    assert counts == {ANN: 5}  # who added what is each community's own
    await sim.share(TWO, False)
    assert len((await sim.playlist(mine, 9, community=ONE)).clips) == 5


async def test_clips_by_id_and_the_version_follow_what_is_shared(sim: ClipSim) -> None:
    await sim.share(ONE, True)
    await sim.share(TWO, True)
    theirs = {clip_id(number) for number in range(9)}
    assert set(await sim.known([*sorted(theirs), clip_id(10)], community=TWO)) == theirs
    before = await sim.version(community=ONE)
    assert await sim.version(community=TWO) == before
    await sim.share(TWO, False)
    assert await sim.version(community=ONE) != before
    assert set(await sim.known(sorted(theirs), community=ONE)) == {clip_id(number) for number in range(5)}


async def test_a_listing_is_its_communitys_for_a_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as sim:
        key = await sim.keep_list({"ids": ["a"]}, community=ONE)
        assert len(key) == 12
        assert await sim.kept_list(key, community=ONE) == {"ids": ["a"]}
        assert await sim.kept_list(key, community=TWO) is None
        assert await sim.kept_list("nothing", community=ONE) is None
    async with opened(tmp_path) as sim:
        assert await sim.kept_list(key, community=ONE) == {"ids": ["a"]}
        monkeypatch.setattr(listings, "KEPT", timedelta(0))
        assert await sim.kept_list(key, community=ONE) is None
        await sim.keep_list({}, community=ONE)
        monkeypatch.undo()
        assert await sim.kept_list(key, community=ONE) is None
        other = await sim.keep_list({"ids": []}, community=ONE)
        await sim.forget_community(ONE)
        assert await sim.kept_list(other, community=ONE) is None
