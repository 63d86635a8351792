"""Playlists, paths, mixes, surprises and the search on a small library: real tables, real fusion, drawn vectors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import sqlalchemy as sa

from clipsim import ClipSim, history, tables
from clipsim.errors import EmptyLibrary, InvalidSetting, NotTrained, UnknownClip, WorkerDied
from clipsim.history import History
from clipsim.library import Library
from clipsim.model import HOME, Clip, Features, Label, Lyrics, Media, Modality, Vote, watch_links
from tests.libraries import ENCODER, TINY, features, settings

GENRES = ("folk", "rock", "soul")
WORDS = ("river", "thunder", "kitchen")
EVERY: tuple[Modality, ...] = ("audio", "video", "lyrics")


def clip_id(number: int) -> str:
    return f"clip{number:07}"


class Pool:
    """A worker pool that reads words: each of `WORDS` is the centre of a genre. `trouble` is raised instead."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.trouble: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def encode(self, modality: Modality, media: Media) -> Features:
        assert modality == "lyrics" and media.lyrics is not None
        self.asked.append(media.lyrics.text)
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        known = [group for group, word in enumerate(WORDS) if word in media.lyrics.text]
        if not known:
            return Features(notes=("Its lyrics are too short.",))
        return Features({"pen": np.sum([features(10_000 + each).vectors["pen"] for each in known], axis=0)})

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


def stock(folder: Path, count: int = 60, community: str = HOME, **more: Any) -> None:
    """Clips of three genres, each near its own centre and singing of its own word; 21 artists; none alike in title."""
    library = Library.open(settings(folder), TINY)
    for n in range(count):
        group = n % 3
        clip = Clip(
            clip_id(n),
            f"Number {n}",
            artist=f"Artist {n % 21}",
            genre=GENRES[group],
            url=f"https://www.youtube.com/watch?v={clip_id(n)}",
            words=(WORDS[group],),
            **more,
        )
        sung = Lyrics(f"the {WORDS[group]} is calling me\nverse {n} of all that I know")
        library.add(clip, near(n, 10_000 + group), community, f"person {n % 4 // 2}", lyrics=sung)
    library.close()


def near(seed: int, group: int, modalities: tuple[Modality, ...] = EVERY) -> Features:
    """Vectors not too far from those of the group."""
    mine, centre = features(seed), features(group)
    names = [ENCODER[modality] for modality in modalities]
    return replace(mine, vectors={name: centre.vectors[name] + 0.5 * mine.vectors[name] for name in names})


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest_asyncio.fixture
async def sim(tmp_path: Path, pool: Pool) -> AsyncIterator[ClipSim]:
    stock(tmp_path)
    async with ClipSim.open(settings=settings(tmp_path, min_train=16), preset=TINY, pool=pool) as opened:
        yield opened


def groups(clips: tuple[Clip, ...]) -> list[str | None]:
    return [clip.genre for clip in clips]


# Links


def test_links_play_youtube_s_clips_only_fifty_each() -> None:
    clips = [Clip(clip_id(n), "") for n in range(70)]
    first, second = watch_links(
        [clips[0], *clips, Clip("local-0123456789abcdef", ""), Clip("web-0123456789abcdef", "")]
    )
    ids = [link.removeprefix("https://www.youtube.com/watch_videos?video_ids=").split(",") for link in (first, second)]
    assert ids == [[clip_id(n) for n in range(50)], [clip_id(n) for n in range(50, 70)]]
    assert watch_links([Clip("local-0123456789abcdef", "")]) == ()
    assert watch_links([Clip("a&b=c,d#e?f", "")]) == ()  # eleven characters, and no id


# Playlists


async def test_a_playlist_begins_with_the_clip_and_stays_near_it(sim: ClipSim) -> None:
    found = await sim.playlist("Number 0", 10)
    assert found.kind == "playlist" and len(found.clips) == len({clip.id for clip in found.clips}) == 10
    assert found.clips[0].id == clip_id(0) and set(groups(found.clips)) == {"folk"}
    assert found.url == f"https://www.youtube.com/watch_videos?video_ids={','.join(clip.id for clip in found.clips)}"
    assert found.steps[0].similarity is None
    for (before, after), step in zip(pairwise(found.clips), found.steps[1:], strict=True):
        match = next(m for m in await sim.similar(before, k=60, community=HOME) if m.clip.id == after.id)
        assert step.similarity == pytest.approx(match.similarity) and step.why == match.why
    assert found.notice is None and "Number 0" in found.why


async def test_several_clips_are_all_in_it_and_each_has_its_like(sim: ClipSim) -> None:
    found = await sim.playlist(["Number 0", clip_id(1)], 12)
    assert {clip_id(0), clip_id(1)} <= {clip.id for clip in found.clips}
    assert groups(found.clips).count("folk") == groups(found.clips).count("rock") == 6
    changes = sum(a != b for a, b in pairwise(groups(found.clips)))
    assert changes == 1  # one after the other, not to and fro


async def test_artists_are_limited_and_kept_apart(sim: ClipSim) -> None:
    found = await sim.playlist("Number 0", 14)
    artists = [clip.artist for clip in found.clips]
    assert set(map(artists.count, artists)) == {2} and set(groups(found.clips)) == {"folk"}  # 7 artists make folk
    assert all(a != b for a, b in pairwise(artists)) and found.notice is None


async def test_one_artist_alone_still_makes_a_playlist(tmp_path: Path, pool: Pool) -> None:
    library = Library.open(settings(tmp_path), TINY)
    for n in range(6):
        library.add(Clip(clip_id(n), f"Number {n}", artist="The Only One"), near(n, 10_000))
    library.close()
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        found = await sim.playlist("Number 0", 5)
        assert len(found.clips) == 5 and found.notice and "by one artist" in found.notice


async def test_a_reupload_is_no_second_song(tmp_path: Path, pool: Pool) -> None:
    stock(tmp_path, 30)
    library = Library.open(settings(tmp_path), TINY)
    library.add(Clip("reupload001", "Artist 0 - Number 0 (Official Video) [HD]", artist="Artist 0"), near(0, 10_000))
    print_ = np.random.default_rng(1).integers(1, 2**32, 400, dtype=np.uint32)
    for name, seconds in (("recording01", 180.0), ("recording02", 181.0), ("recording03", 240.0)):
        same = replace(near(3, 10_000), fingerprint=print_)
        library.add(Clip(name, f"Upload {name}", artist=f"Channel {name}", duration=seconds), same)
    library.close()
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        ids = {clip.id for clip in (await sim.playlist("Number 0", 13)).clips}
        assert "reupload001" not in ids and len(ids & {"recording01", "recording02"}) == 1
        mixed = {clip.id for clip in (await sim.mix(["Number 0"], k=30)).clips}
        assert "reupload001" not in mixed and len(mixed & {"recording01", "recording02"}) == 1
        way = {clip.id for clip in (await sim.path("Number 0", "recording01", 33)).clips}
        assert not way & {"reupload001", "recording02"} and "recording03" in way
        pairs = {(pair.first.id, pair.second.id): pair.why for pair in await sim.duplicates()}
        assert set(pairs) == {(clip_id(0), "reupload001"), ("recording01", "recording02")}
        assert "title" in pairs[clip_id(0), "reupload001"] and "sound" in pairs["recording01", "recording02"]
        alike = await sim.most_alike()
        assert alike is not None and {alike.first.id, alike.second.id} not in [set(pair) for pair in pairs]


async def test_a_place_hears_nothing_twice_until_there_is_nothing_else(sim: ClipSim) -> None:
    seed = clip_id(0)
    heard: set[str] = set()
    for _ in range(5):
        found = await sim.playlist(seed, 10, place="channel 1")
        new = {clip.id for clip in found.clips} - {seed}
        assert len(new) == 9 and not new & heard and found.notice is None
        heard |= new
    elsewhere = await sim.playlist(seed, 10, place="channel 2")
    assert {clip.id for clip in elsewhere.clips} & heard
    assert await sim.playlist(seed, 10) == await sim.playlist(seed, 10)  # no place, no memory
    first = await sim.playlist(seed, 60, place="channel 3")
    again = await sim.playlist(seed, 60, place="channel 3")
    assert len(again.clips) == len(first.clips) == 60
    assert again.notice == "59 of these were played here not long ago: there are too few others."


async def test_repeats_come_back_in_the_order_they_went(sim: ClipSim) -> None:
    sets = [{clip.id for clip in (await sim.playlist(clip_id(0), 20, place="here")).clips} for _ in range(3)]
    last = {clip.id for clip in (await sim.playlist(clip_id(0), 10, place="here")).clips}
    fresh = {clip_id(n) for n in range(60)} - set.union(*sets)
    assert fresh <= last and not (last - fresh - {clip_id(0)}) & (sets[1] | sets[2])


async def test_what_cannot_be_asked_is_said(sim: ClipSim) -> None:
    with pytest.raises(UnknownClip):
        await sim.playlist("no such thing at all")
    with pytest.raises(UnknownClip):
        await sim.playlist(clip_id(0), community="nobody's")
    with pytest.raises(InvalidSetting):
        await sim.playlist([])
    with pytest.raises(InvalidSetting):
        await sim.playlist([clip_id(n) for n in range(26)])
    with pytest.raises(InvalidSetting):
        await sim.path(clip_id(0), clip_id(0))
    with pytest.raises(InvalidSetting):
        await sim.mix([])
    with pytest.raises(InvalidSetting):
        await sim.mix([clip_id(0)], ["Number 0"])
    with pytest.raises(NotTrained):
        await sim.playlist(Clip("unheard0000", "Never added"))


async def test_more_than_there_is(sim: ClipSim) -> None:
    found = await sim.playlist(clip_id(0), 200)
    assert len(found.clips) == 60 and found.notice and "only 60 clips" in found.notice and len(found.urls) == 2
    way = await sim.path(clip_id(0), clip_id(1), 200)
    assert len(way.clips) == 60 and way.notice and "only 60 clips" in way.notice


async def test_a_community_is_played_its_own_clips_only(tmp_path: Path, pool: Pool) -> None:
    stock(tmp_path, 20, "guild")
    stock(tmp_path, 40)
    async with ClipSim.open(settings=settings(tmp_path, min_train=16), preset=TINY, pool=pool) as sim:
        own = {clip_id(n) for n in range(20)}
        for found in (
            await sim.playlist(clip_id(0), 200, community="guild"),
            await sim.path(clip_id(0), clip_id(1), 200, community="guild"),
            await sim.mix([clip_id(0)], k=200, community="guild"),
            await sim.search("river number verse", 200, community="guild"),
        ):
            assert {clip.id for clip in found.clips} <= own
        assert all([(await sim.surprise(community="guild", seed=n)).clip.id in own for n in range(20)])
        assert [(one.id, one.clips) for one in await sim.contributors(community="guild")] == [
            ("person 0", 10),
            ("person 1", 10),
        ]
        assert await sim.contributors(community="guild", limit=1) == [(await sim.contributors(community="guild"))[0]]


# Paths


async def test_a_path_leads_from_one_genre_to_another(sim: ClipSim) -> None:
    found = await sim.path("Number 0", "Number 1", 8)
    assert found.kind == "path" and len({clip.id for clip in found.clips}) == 8
    assert (found.clips[0].id, found.clips[-1].id) == (clip_id(0), clip_id(1))
    assert sum(a != b for a, b in pairwise(groups(found.clips))) <= 2
    assert all(a.artist != b.artist for a, b in pairwise(found.clips))
    steps = [step.similarity for step in found.steps[1:]]
    assert f"{min(s for s in steps if s is not None):.2f}" in found.why and "7 steps" in found.why
    back = await sim.path("Number 1", "Number 0", 8)
    assert [clip.id for clip in back.clips] == [clip.id for clip in reversed(found.clips)]


async def test_the_shortest_path_is_its_two_ends(sim: ClipSim) -> None:
    found = await sim.path(clip_id(0), clip_id(1), 2)
    assert [clip.id for clip in found.clips] == [clip_id(0), clip_id(1)] and "one step" in found.why


async def test_ends_that_share_nothing_are_joined_by_what_shares_with_both(tmp_path: Path, pool: Pool) -> None:
    library = Library.open(settings(tmp_path), TINY)
    kinds: list[tuple[Modality, ...]] = [("audio",), ("video",), ("audio", "video"), ("audio", "video"), ("lyrics",)]
    for n, kind in enumerate(kinds):
        library.add(Clip(clip_id(n), f"Number {n}"), near(n, 10_000, kind))
    library.close()
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        found = await sim.path(clip_id(0), clip_id(1), 5)
        assert {clip.id for clip in found.clips[1:-1]} == {clip_id(2), clip_id(3)}  # lyrics alone lead nowhere
        direct = await sim.path(clip_id(0), clip_id(1), 2)
        assert direct.steps[1].similarity is None and direct.steps[1].why == "They share nothing that can be named."
        assert [clip.id for clip in (await sim.playlist(clip_id(4), 5)).clips] == [clip_id(4)]


# Mixes


async def test_a_mix_goes_towards_what_is_added_and_away_from_the_rest(sim: ClipSim) -> None:
    both = await sim.mix(["Number 0", "Number 1"], k=10)
    assert not {clip_id(0), clip_id(1)} & {clip.id for clip in both.clips}
    assert set(groups(both.clips)) <= {"folk", "rock"}
    less = await sim.mix(["Number 0", "Number 1"], ["Number 4"], k=10)
    assert set(groups(less.clips)) == {"folk"} and clip_id(4) not in {clip.id for clip in less.clips}
    assert "unlike “Number 4”" in less.why and "like “Number 4”" in less.steps[0].why
    scores = [step.similarity for step in less.steps]
    assert scores == sorted(scores, key=lambda score: -(score or 0)) and None not in scores


async def test_a_mix_of_one_is_what_is_similar(sim: ClipSim) -> None:
    mixed = [step.clip.id for step in (await sim.mix("Number 0", k=10)).steps]
    assert mixed[:6] == [match.clip.id for match in await sim.similar("Number 0", k=6)]


# The search


async def test_a_title_is_found_though_it_is_misspelt(sim: ClipSim) -> None:
    found = await sim.search("Artsit 4 numbr 13")
    assert found.hits[0].clip.id == clip_id(13) and "title" in found.hits[0].why
    assert [hit.rank for hit in found.hits] == list(range(1, 11)) and found.url
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


async def test_a_line_that_is_sung_is_found(sim: ClipSim) -> None:
    found = await sim.search("verse 17 of all that", 3)
    assert found.hits[0].clip.id == clip_id(17) and "lyrics: “verse 17 of all that I know”" in found.hits[0].why


async def test_tags_genres_and_actions_are_found(tmp_path: Path, pool: Pool) -> None:
    stock(tmp_path, 12)
    library = Library.open(settings(tmp_path), TINY)
    found = replace(
        near(50, 10_000),
        tags=(Label("ambient", 0.4), Label("rock", 0.1)),
        classes=(Label("playing accordion", 0.9),),
    )
    library.add(Clip("accordion01", "Untitled"), found)
    library.close()
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        for words, why in (("accordion", "action: playing accordion"), ("ambient", "tag: ambient")):
            hit = (await sim.search(words)).hits[0]
            assert (hit.clip.id, hit.why) == ("accordion01", why)
        assert "genre: soul" in (await sim.search("soul")).hits[0].why
        assert (await sim.search("acordion")).hits[0].clip.id == "accordion01"  # a typing error


async def test_what_lyrics_mean_is_asked_of_the_encoder_once(sim: ClipSim, pool: Pool) -> None:
    found = await sim.search("kitchen", 10)
    assert all(hit.clip.genre == "soul" for hit in found.hits) and found.notice is None
    assert any("meaning: sings of kitchen" in hit.why for hit in found.hits)
    assert len(pool.asked) == 1 and pool.asked[0].split() == ["kitchen"] * 10  # fewer words count as no lyrics
    await sim.search("kitchen")
    await sim.search("kitchen", meaning=False)
    assert len(pool.asked) == 1


async def test_without_the_encoder_words_are_found_as_they_are_written(sim: ClipSim, pool: Pool) -> None:
    pool.trouble = WorkerDied()
    found = await sim.search("kitchen")
    assert found.hits and found.notice and "the process that was encoding the clip died" in found.notice
    pool.trouble = None
    again = await sim.search("kitchen")  # a failure is not remembered
    assert again.notice is None
    assert (await sim.search("verse")).notice == "Lyrics were not searched by what they mean: its lyrics are too short."


async def test_a_slow_encoder_is_not_waited_for(sim: ClipSim, pool: Pool) -> None:
    pool.gate.clear()
    found = await sim.search("kitchen", patience=0.05)
    assert found.hits and found.notice and "still being loaded" in found.notice
    pool.gate.set()
    assert (await sim.search("kitchen")).notice is None
    assert len(pool.asked) == 1  # the first reading went on


async def test_weights_that_are_not_here_are_not_fetched(
    tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSIM_CACHE", str(tmp_path / "no weights"))
    parts = tuple(replace(part, weights=("mpnet",) if part.encoder == "pen" else ()) for part in TINY.parts)
    stock(tmp_path, 4)
    async with ClipSim.open(settings=settings(tmp_path), preset=replace(TINY, parts=parts), pool=pool) as sim:
        found = await sim.search("kitchen")
        assert found.hits and found.notice and "clipsim models pull" in found.notice and not pool.asked


@pytest.mark.parametrize(
    "words",
    [
        '"unbalanced AND (NEAR/3 river*) OR -x',
        "'; DROP TABLE clips; --",
        "river" * 20_000,
        "river \x00 \udc80 \u202e thunder",
        "ﷺ" * 5000 + " river",
        "%_%s{}${jndi}",
        " ".join(f"word{n}" for n in range(5000)),
    ],
)
async def test_whatever_is_typed_is_only_words(sim: ClipSim, words: str) -> None:
    found = await sim.search(words)
    assert len(found.words) <= 500 and found.words.isprintable() and len(found.hits) <= 10
    assert await sim.count() == 60


@pytest.mark.parametrize("words", ["", "   ", "!?…", "\x00", "🔥🔥"])
async def test_nothing_is_no_question(sim: ClipSim, words: str) -> None:
    with pytest.raises(InvalidSetting, match="no word"):
        await sim.search(words)


async def test_the_search_knows_what_has_changed(sim: ClipSim) -> None:
    assert (await sim.search("zanzibar")).hits == ()
    library = sim._library
    library.add(Clip("newcomer001", "Zanzibar"), near(70, 10_000))
    assert (await sim.search("zanzibar")).hits[0].clip.id == "newcomer001"
    library.add(Clip("newcomer001", "Timbuktu"), near(70, 10_000), lyrics=Lyrics("nothing but marmalade"))
    assert (await sim.search("zanzibar")).hits == ()
    assert (await sim.search("marmalade")).hits[0].clip.id == "newcomer001"
    await sim.remove("newcomer001")
    assert (await sim.search("marmalade")).hits == ()


async def test_there_must_be_something_to_search(tmp_path: Path, pool: Pool) -> None:
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        with pytest.raises(EmptyLibrary):
            await sim.search("river")
        with pytest.raises(EmptyLibrary):
            await sim.surprise()
    stock(tmp_path, 2)
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        with pytest.raises(EmptyLibrary):
            await sim.surprise(community="nobody's")
        assert await sim.most_alike(community="nobody's") is None and await sim.duplicates(community="nobody's") == []


# Surprises, and what was shown


async def test_a_surprise_is_rare_and_no_outlier(sim: ClipSim) -> None:
    sim._library.add(Clip("outlier0001", "Far away"), features(999))
    often = [clip_id(n) for n in range(50)]
    for _ in range(3):
        await sim.shown(often)
    drawn = [await sim.surprise(seed=n) for n in range(40)]
    assert {each.clip.id for each in drawn} <= {clip_id(n) for n in range(50, 60)} and len(
        {e.clip.id for e in drawn}
    ) > 3
    assert all(each.times == 0 and each.like and each.why.startswith("Never recommended here") for each in drawn)
    assert await sim.surprise(seed=7) == await sim.surprise(seed=7)


async def test_a_surprise_is_liked_rather_than_not(sim: ClipSim) -> None:
    rare = [clip_id(n) for n in range(50, 60)]
    for _ in range(2):
        await sim.shown([clip_id(n) for n in range(50)])
    for number, each in enumerate(rare[1:]):
        for voter in "ab":
            sim._engine.votes.cast(Vote(clip_id(number), each, False, voter))
    drawn = await sim.surprise(seed=1)
    assert drawn.clip.id == rare[0]  # the one that nobody put down
    for voter in "abc":
        sim._engine.votes.cast(Vote(clip_id(3), rare[0], True, voter))
    assert "3 people like it" in (await sim.surprise(seed=1)).why


async def test_a_place_is_not_surprised_by_what_it_has_seen(sim: ClipSim) -> None:
    answer = await sim.query(clip_id(0), 5)
    await sim.shown(answer, place="here")
    seen = {match.clip.id for match in answer.results}
    for number in range(15):
        drawn = (await sim.surprise(place="here", seed=number)).clip.id
        assert drawn not in seen
        seen.add(drawn)


async def test_whatever_was_shown_counts_once_for_each_clip(sim: ClipSim) -> None:
    listed = await sim.playlist(clip_id(0), 5)
    hits = await sim.search("river", 3)
    drawn = await sim.surprise(seed=1)
    for what in (listed, hits, drawn, [clip_id(59), clip_id(59), "unknown0000", "\x00"], []):
        await sim.shown(what)
    times = sim._discovery.history.times(HOME)
    expected = [*(clip.id for clip in (*listed.clips, *hits.clips)), drawn.clip.id, clip_id(59)]
    assert times == {each: expected.count(each) for each in expected}


async def test_showing_never_fails(sim: ClipSim, caplog: pytest.LogCaptureFixture) -> None:
    with sim._library.write() as connection:
        connection.exec_driver_sql("DROP TABLE recommended")
    for _ in range(2 * history.BATCH):
        await sim.shown([clip_id(1)])
    assert "cannot be remembered" in caplog.text


async def test_what_waits_is_written_when_the_library_closes(tmp_path: Path, pool: Pool) -> None:
    stock(tmp_path, 4)
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        await sim.shown([clip_id(1)])
    async with ClipSim.open(settings=settings(tmp_path), preset=TINY, pool=pool) as sim:
        assert sim._discovery.history.times(HOME) == {clip_id(1): 1}


def test_the_history_is_bounded_and_goes_with_its_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock(tmp_path, 30, "guild")
    library = Library.open(settings(tmp_path), TINY)
    kept = History(library)
    for turn in range(10):
        kept.play([clip_id(3 * turn + n) for n in range(3)], "guild", "here", "playlist")
    assert kept.played("guild", "here", ("playlist",)) == {
        clip_id(n): 9 - n // 3 for n in range(15, 30)
    }  # five lists are remembered
    assert kept.played("guild", "there", ("playlist",)) == {} == kept.played("other", "here", ("playlist",))
    kept.note([clip_id(29), clip_id(28)], "guild")
    kept.flush()
    library.remove(clip_id(29), "guild")
    assert clip_id(29) not in kept.played("guild", "here", ("playlist",))
    assert kept.times("guild") == {clip_id(28): 1}
    monkeypatch.setattr(history, "DAYS", 0)
    kept.play([clip_id(1)], "guild", "there", "playlist")
    kept.flush()
    with library.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.plays)).scalar() == 0
    library.close()


# Clips with another preset's method


async def test_a_method_that_mixes_the_senses_explains_itself_too(tmp_path: Path, pool: Pool) -> None:
    stock(tmp_path, 24)
    paper = replace(TINY, name="paper")
    async with ClipSim.open(settings=settings(tmp_path, min_train=64), preset=paper, pool=pool) as sim:
        sim._engine.train("pca")
        ready = sim._engine.answering("pca")
        assert ready.fusion.blocks is None
        sim._engine.answering = lambda asked=None: ready  # type: ignore[method-assign]
        found = await sim.playlist(clip_id(0), 6)
        assert set(groups(found.clips)) == {"folk"} and all("folk" in step.why for step in found.steps[1:])
