"""The façade on a real library, real Chroma, real worker processes and files made by code, with small encoders."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from clipsim import ClipSim
from clipsim.encoders import Preset
from clipsim.engine import Engine
from clipsim.errors import (
    ClipSimError,
    EmptyLibrary,
    EncodeTimeout,
    FileMissing,
    LibraryLocked,
    LibraryMismatch,
    MissingModality,
    NothingToHear,
    NotMedia,
    NotTrained,
    TooLong,
    TooShort,
    UnknownClip,
    WorkerDied,
)
from clipsim.intake import INCOMING
from clipsim.model import Answer
from clipsim.settings import Settings, load
from clipsim.workers.local import LocalPool
from tests.doubles.encoders import DYING, HANGING, OTHER, SMALL
from tests.doubles.media import make_clip
from tests.doubles.youtube import FakeYouTube

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "the river runs down to the sea and the boat is sailing home to the harbour tonight my love"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten clips: five slow and low, five quick and high."""
    folder = tmp_path_factory.mktemp("files")
    made = []
    for number in range(10):
        quick = number >= 5
        made.append(
            make_clip(
                folder / f"{'Quick' if quick else 'Slow'} Band {number} - Song {number}.mp4",
                seconds=2.0,
                rhythm=170 + number if quick else 70 + number,
                tone=880 + 9 * number if quick else 110 + 3 * number,
                motion=2.0 if quick else 0.1 * number,
                width=64,
                height=48,
            )
        )
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalPool]:
    """One worker for all tests: starting one imports torch."""
    opened = LocalPool(load(data=tmp_path_factory.mktemp("pool"), workers=1), SMALL)
    yield opened
    await opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data=tmp_path / "library", workers=1, min_train=8)


@pytest_asyncio.fixture(loop_scope="module")
async def sim(settings: Settings, pool: LocalPool) -> AsyncIterator[ClipSim]:
    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(files: list[Path], pool: LocalPool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of all ten; open it with `min_train` 8."""
    folder = tmp_path_factory.mktemp("full") / "library"
    async with ClipSim.open(settings=load(data=folder, min_train=8), preset=SMALL, pool=pool) as sim:
        await asyncio.gather(*(sim.add(file, lyrics=WORDS if n % 2 else None) for n, file in enumerate(files)))
        await sim.settle()
    return folder


@pytest_asyncio.fixture(loop_scope="module")
async def filled(full: Path, pool: LocalPool) -> AsyncIterator[ClipSim]:
    async with ClipSim.open(settings=load(data=full, workers=1, min_train=8), preset=SMALL, pool=pool) as opened:
        yield opened


# Adding


async def test_a_clip_is_heard_watched_and_read_once(sim: ClipSim, files: list[Path]) -> None:
    stages: list[str] = []
    clip, status = await sim.ingest(files[0], lyrics=WORDS, genre="sea shanty", progress=stages.append)
    assert status == "added"
    assert stages == ["fetching", "listening", "reading", "watching"]
    assert clip.title == "Song 0" and clip.artist == "Slow Band 0" and clip.genre == "sea shanty"
    assert clip.modalities == ("audio", "video", "lyrics")
    assert clip.tempo and 20 < clip.tempo < 400
    assert len(clip.tags) == 5 and len(clip.classes) == 5
    assert {"river", "boat"} & set(clip.words)
    assert clip.id.startswith("local-")

    again: list[str] = []
    known, status = await sim.ingest(files[0], progress=again.append)
    assert status == "known" and known == clip and again == []


async def test_however_many_ask_at_once_it_is_encoded_once(sim: ClipSim, files: list[Path]) -> None:
    stages: list[list[str]] = [[], [], []]
    results = await asyncio.gather(*(sim.ingest(files[0], progress=told.append) for told in stages))
    assert sorted(status for _, status in results) == ["added", "known", "known"]
    assert len({clip.id for clip, _ in results}) == 1
    assert all("reading" in told for told in stages)  # each of them sees how it goes


async def test_who_gives_up_does_not_stop_the_others(sim: ClipSim, files: list[Path]) -> None:
    first = asyncio.create_task(sim.add(files[0]))
    second = asyncio.create_task(sim.add(files[0]))
    await asyncio.sleep(0.2)
    first.cancel()
    assert (await second).title == "Song 0"


async def test_sound_and_words_are_answered_from_while_the_picture_is_fetched(
    full: Path, files: list[Path], pool: LocalPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(full, tmp_path / "copy")
    video = make_clip(tmp_path / "video.mp4", seconds=2, audio=False, width=64, height=48)
    captions = f"WEBVTT\n\n00:00.000 --> 00:02.000\n{WORDS}\n"
    early: list[Answer] = []
    with FakeYouTube() as youtube:
        for name, value in youtube.environment().items():
            monkeypatch.setenv(name, value)
        youtube.add("newnewnewne", audio=files[0], video=video, captions={"en": captions}, title="Someone - New")
        youtube.behaviour["/media/newnewnewne/video.mp4"] = "hold"

        def told(answer: Answer) -> None:
            early.append(answer)
            youtube.released.set()

        async with ClipSim.open(settings=load(data=tmp_path / "copy", min_train=8), preset=SMALL, pool=pool) as sim:
            final = await sim.answer("https://youtu.be/newnewnewne", early=told)
            known = await sim.answer("https://youtu.be/newnewnewne", early=told)
            alone = await sim.query(final.query, by="audio")
    (first,) = early
    assert first.pending == ("video",) and first.query.modalities == ("audio", "lyrics")
    assert first.query.title == "New" and first.query.tags and first.query.words and not first.query.classes
    assert all(set(match.by) <= {"audio", "lyrics"} for match in first.results) and len(first.results) == 5
    assert final.pending == () and final.query.modalities == ("audio", "video", "lyrics") and final.status == "added"
    assert known.status == "known" and known.results == final.results
    # what was said of the sound at first is what is said of it at last
    heard = {match.clip.id: match.by["audio"] for match in alone.results}
    said = {match.clip.id: match.by["audio"] for match in first.results}
    assert heard.keys() & said.keys()
    for clip_id in heard.keys() & said.keys():
        assert said[clip_id] == pytest.approx(heard[clip_id], abs=1e-5)


async def test_words_can_be_given_later(sim: ClipSim, files: list[Path]) -> None:
    before = await sim.add(files[0])
    assert "lyrics" not in before.modalities
    after = await sim.add(files[0], lyrics=WORDS, title="Renamed")
    assert after.id == before.id and after.title == "Renamed"
    assert after.modalities == ("audio", "video", "lyrics") and after.tags == before.tags
    assert not any("lyrics" in note for note in after.notes)


async def test_a_missing_modality_is_missing_and_said_so(sim: ClipSim, tmp_path: Path) -> None:
    sound = await sim.add(make_clip(tmp_path / "sound.wav", seconds=2))
    assert sound.modalities == ("audio",) and "It has no picture." in sound.notes
    picture = await sim.add(make_clip(tmp_path / "picture.mp4", seconds=2, audio=False, width=64, height=48))
    assert picture.modalities == ("video",) and "It has no sound." in picture.notes
    silent = await sim.add(make_clip(tmp_path / "silent.mp4", seconds=2, silent=True, width=64, height=48))
    assert silent.modalities == ("video",) and "Its sound is silence." in silent.notes
    black = await sim.add(make_clip(tmp_path / "black.mp4", seconds=2, black=True, width=64, height=48))
    assert black.modalities == ("audio",) and "Its picture is black." in black.notes
    # Sound and picture alone share no modality, so they cannot be compared, and that is no error.
    assert picture.id not in {match.clip.id for match in await sim.similar(sound, k=10)}


def _text_named_mp4(folder: Path) -> Path:
    file = folder / "text.mp4"
    file.write_text("this is not a video\n" * 100)
    return file


def _twelve_hours(folder: Path) -> Path:
    """A header that claims twelve hours: what a limit must catch before anything is decoded."""
    import struct

    rate, size = 8000, 12 * 3600 * 8000  # one byte a sample
    file = folder / "long.wav"
    with file.open("wb") as out:
        out.write(
            b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
        )
        out.write(b"data" + struct.pack("<I", size))
        out.truncate(44 + size)  # sparse: it takes no room on the disk
    return file


BAD = {
    "text named .mp4": (_text_named_mp4, NotMedia),
    "0.08 s": (lambda folder: make_clip(folder / "short.wav", seconds=0.08), TooShort),
    "silence": (lambda folder: make_clip(folder / "s.wav", seconds=2, silent=True), NothingToHear),
    "black, no sound": (
        lambda folder: make_clip(folder / "b.mp4", seconds=2, black=True, audio=False, width=64, height=48),
        NothingToHear,
    ),
    "black and silent": (
        lambda folder: make_clip(folder / "bs.mp4", seconds=2, black=True, silent=True, width=64, height=48),
        NothingToHear,
    ),
    "missing": (lambda folder: folder / "nowhere.mp4", FileMissing),
    "12 hours": (_twelve_hours, TooLong),
    "link to a channel": (lambda folder: "https://www.youtube.com/@somebody", ClipSimError),
    "unknown host": (lambda folder: "https://vimeo.example/12345", ClipSimError),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_one_clear_error_and_leaves_nothing(name: str, sim: ClipSim, tmp_path: Path) -> None:
    make, kind = BAD[name]
    with pytest.raises(kind) as caught:
        await sim.add(make(tmp_path))
    assert "\n" not in str(caught.value) and str(caught.value).strip()
    assert await sim.count() == 0
    assert not (sim.settings.data / INCOMING).exists()


# Asking


async def test_neighbours_are_of_the_same_kind(filled: ClipSim) -> None:
    found = await filled.query("Quick Band 7 Song 7", k=4)
    assert found.method == "standard" and found.notice is None
    assert [match.rank for match in found.results] == [1, 2, 3, 4]
    similarities = [match.similarity for match in found.results]
    assert similarities == sorted(similarities, reverse=True) and all(-1 <= s <= 1.000001 for s in similarities)
    assert found.query.id not in {match.clip.id for match in found.results}
    assert all(match.clip.artist and match.clip.artist.startswith("Quick") for match in found.results)
    assert all(match.why for match in found.results)
    assert found.cluster is not None and found.cluster.label


async def test_several_questions_at_once_are_each_alone(filled: ClipSim) -> None:
    titles = ["Song 1", "Song 4", "Quick Band 7 Song 7"]
    together = await filled.query_many(titles, 3, weights={"audio": 2.0})
    assert together == [await filled.query(title, 3, weights={"audio": 2.0}) for title in titles]
    assert await filled.query_many([]) == []
    with pytest.raises(UnknownClip):
        await filled.query_many(["Song 1", "zzzzzz qqqqqq"])


async def test_by_one_modality(filled: ClipSim) -> None:
    read = await filled.similar("Song 1", k=9, by="lyrics")
    assert {match.clip.title for match in read} == {"Song 3", "Song 5", "Song 7", "Song 9"}  # those with words
    assert all(match.similarity == pytest.approx(match.by["lyrics"]) for match in read)
    with pytest.raises(MissingModality):
        await filled.similar("Song 2", by="lyrics")


@pytest.mark.parametrize("method", ["standard", "pca", "raw"])
async def test_every_method_answers(filled: ClipSim, method: str) -> None:
    found = await filled.query("Song 2", k=3, method=method)  # type: ignore[arg-type]
    assert found.method == method and len(found.results) == 3


async def test_a_slow_method_says_how_to_train_it(filled: ClipSim) -> None:
    with pytest.raises(NotTrained, match="clipsim train --method paper"):
        await filled.query("Song 2", method="paper")


async def test_embeddings_have_256_dimensions_and_unit_length(filled: ClipSim, sim: ClipSim, files: list[Path]) -> None:
    embedding = await filled.embedding("Song 4")
    assert embedding.shape == (256,) and embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)

    for file in files[:4]:  # too few to train: the same similarities as the raw vectors have
        await sim.add(file)
    first, second = await sim.embedding("Song 0"), await sim.embedding("Song 1")
    assert first.shape == (256,)
    found = await sim.query("Song 0", k=3)
    assert found.method == "raw"
    ids, matrix = sim._library.embeddings(sim._engine.answering().saved.id)
    titles = [sim._library.get(i).title for i in ids]
    assert first @ second == pytest.approx(matrix[titles.index("Song 0")] @ matrix[titles.index("Song 1")], abs=1e-5)


async def test_nothing_in_an_empty_library(sim: ClipSim) -> None:
    with pytest.raises(EmptyLibrary):
        await sim.clustering()
    with pytest.raises(UnknownClip):
        await sim.similar("anything")
    assert await sim.clips() == [] and await sim.settle() is None


async def test_one_clip_alone_is_answered(sim: ClipSim, files: list[Path]) -> None:
    found = await sim.answer(files[0])
    assert found.status == "added" and found.results == () and found.notice and "one clip" in found.notice
    assert len((await sim.clustering()).clusters) == 1


async def test_titles_with_typos_and_links_find_clips(filled: ClipSim, files: list[Path]) -> None:
    assert (await filled.find("quick bnd 7 song 7")).title == "Song 7"
    assert (await filled.find(str(files[3]))).title == "Song 3"
    assert (await filled.find((await filled.find("Song 3")).id)).title == "Song 3"
    assert (await filled.complete("slow band 2"))[0].title == "Song 2"
    assert len(await filled.complete("", limit=3)) == 3


# Growing


async def test_the_library_trains_by_itself_and_again_when_doubled(
    settings: Settings, files: list[Path], pool: LocalPool
) -> None:
    settings = settings.model_copy(update={"min_train": 4})
    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        for file in files[:3]:
            await sim.add(file)
        assert (await sim.query("Song 0")).method == "raw"
        assert "3 clips" in ((await sim.settle()) or "")
        await sim.add(files[3])
        assert await sim.settle() is None
        assert (await sim.query("Song 0")).method == "standard"
        assert (await sim.status())["trained_on"] == 4
        for file in files[4:7]:
            await sim.add(file)
        await sim.settle()
        assert (await sim.status())["trained_on"] == 4  # not doubled yet, and yet the new ones are found
        assert {m.clip.title for m in await sim.similar("Song 0", k=9)} == {f"Song {n}" for n in range(1, 7)}
        await sim.add(files[7])
        await sim.settle()
        assert (await sim.status())["trained_on"] == 8


async def test_a_small_library_that_was_trained_does_not_say_that_raw_answers(sim: ClipSim, files: list[Path]) -> None:
    for file in files[:3]:
        await sim.add(file)
    assert "raw features" in (await sim.settle() or "")
    await sim.train("standard")
    assert (await sim.query("Song 0")).method == "standard"
    assert await sim.settle() is None
    other = await sim.query("Song 0", method="pca")  # not trained here: raw answers, and says so
    assert other.method == "raw" and "raw features" in (other.notice or "")


async def test_a_method_that_takes_minutes_is_stood_in_for(
    settings: Settings, files: list[Path], pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "due", lambda self: [])  # as if the training in the background took long
    preset = replace(SMALL, name="paper")
    settings = settings.model_copy(update={"min_train": 4})
    async with ClipSim.open(settings=settings, preset=preset, pool=pool) as sim:
        for file in files[:4]:
            await sim.add(file)
        found = await sim.query("Song 0")
        assert found.method == "raw" and len(found.results) == 3 and "being trained" in (found.notice or "")
        await sim.train("paper")
        found = await sim.query("Song 0")
        assert found.method == "paper" and len(found.results) == 3 and found.notice is None
        assert [saved.method for saved in sim._library.fusions()].count("raw") == 0


async def test_closing_ends_a_training_under_way(settings: Settings, files: list[Path], pool: LocalPool) -> None:
    settings = settings.model_copy(update={"min_train": 4})
    async with ClipSim.open(settings=settings, preset=replace(SMALL, name="paper"), pool=pool) as sim:
        for file in files[:4]:
            await sim.add(file)
        training = sim._training
    assert training is not None and training.done()
    async with ClipSim.open(settings=settings, preset=replace(SMALL, name="paper"), pool=pool) as sim:
        assert (await sim.query("Song 0")).results  # whether it came to an end or not


async def test_queries_are_answered_while_a_fusion_is_trained(filled: ClipSim) -> None:
    done = asyncio.create_task(filled.train("standard"))
    answers = 0
    while not done.done():
        assert len(await filled.similar("Song 1", k=3)) == 3
        answers += 1
    await done
    assert answers and len(await filled.similar("Song 1", k=3)) == 3


async def test_clusters_keep_their_names_when_a_few_clips_come(
    settings: Settings, files: list[Path], pool: LocalPool
) -> None:
    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        for file in files[:8]:
            await sim.add(file)
        await sim.settle()
        before = {cluster.id: cluster.label for cluster in await sim.clusters()}
        where = {title: await sim.cluster_of(title) for title in ("Song 1", "Song 6")}
        await sim.add(files[8])
        after = {cluster.id: cluster.label for cluster in await sim.clusters()}
        assert before == after
        for title, cluster in where.items():
            now = await sim.cluster_of(title)
            assert now is not None and cluster is not None and (now.id, now.label) == (cluster.id, cluster.label)


async def test_nine_clusters_when_nine_are_asked_for(filled: ClipSim) -> None:
    found = await filled.clustering(9)
    assert len(found.clusters) == 9 and found.method == "k-means (9)"
    assert sum(cluster.size for cluster in found.clusters) == await filled.count()
    assert len({cluster.label for cluster in found.clusters}) == 9


# Communities


async def test_a_community_sees_its_own_clips_only(sim: ClipSim, files: list[Path], monkeypatch: object) -> None:
    for number, community in ((0, "1"), (1, "1"), (2, "2"), (3, "2")):
        clip = await sim.add(files[number])
        await asyncio.to_thread(sim._library.join, clip.id, community)
        await asyncio.to_thread(sim._engine.absorb, clip.id, community, False)
    assert {clip.title for clip in await sim.clips(community="1")} == {"Song 0", "Song 1"}
    assert [m.clip.title for m in await sim.similar("Song 0", community="1")] == ["Song 1"]
    hidden = await sim.find("Song 2")
    with pytest.raises(UnknownClip):
        await sim.find(hidden.id, community="1")
    assert hidden.id not in {clip.id for clip in await sim.complete("Song 2", community="1")}
    assert {cluster.size for cluster in await sim.clusters(community="2")} == {2}
    assert len(await sim.similar("Song 0")) == 3  # HOME sees all of them


async def test_members_of_a_community_cannot_read_the_servers_files(sim: ClipSim, files: list[Path]) -> None:
    with pytest.raises(ClipSimError):
        await sim.add(files[0], community="1")
    with pytest.raises(UnknownClip):
        await sim.answer(str(files[0]), community="1")
    assert await sim.count() == 0


# When things break


async def test_a_worker_that_dies_takes_nothing_with_it(settings: Settings, files: list[Path]) -> None:
    async with ClipSim.open(settings=settings, preset=DYING) as sim:
        with pytest.raises(WorkerDied):
            await sim.add(files[0], lyrics=WORDS)
        assert await sim.count() == 0
        assert (await sim.add(files[0])).modalities == ("audio", "video")  # a fresh worker


async def test_a_worker_that_hangs_is_stopped(settings: Settings, files: list[Path]) -> None:
    settings = settings.model_copy(update={"encode_timeout": 300.0})
    async with ClipSim.open(settings=settings, preset=HANGING) as sim:
        await sim.add(files[0])  # the encoders are loaded now
        sim.settings.encode_timeout = 5.0
        with pytest.raises(EncodeTimeout):
            await sim.add(files[1], lyrics=WORDS)
        assert await sim.count() == 1


async def test_one_process_owns_a_library(sim: ClipSim) -> None:
    code = (
        "import asyncio, sys\nfrom clipsim import ClipSim\nfrom clipsim.errors import ClipSimError\n"
        "async def main():\n    async with ClipSim.open(data=sys.argv[1]): pass\n"
        "try:\n    asyncio.run(main())\nexcept ClipSimError as error:\n    print(error.code, error)\n"
    )
    run = [sys.executable, "-c", code, str(sim.settings.data)]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith(LibraryLocked.code) and str(os.getpid()) in done.stdout


async def test_other_encoders_are_refused_until_reencoded(
    settings: Settings, files: list[Path], pool: LocalPool
) -> None:
    async def open_with(preset: Preset, **options: bool) -> list[str]:
        async with ClipSim.open(settings=settings, preset=preset, **options) as sim:
            if options:
                report = await sim.reencode()
                assert report.encoded == 2 and not report.failed
            return [match.clip.title for match in await sim.similar("Song 0")]

    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        await sim.add(files[0], lyrics=WORDS)
        await sim.add(files[1])
    with pytest.raises(LibraryMismatch, match="clipsim reencode"):
        await open_with(OTHER)
    assert await open_with(OTHER, any_encoders=True) == ["Song 1"]
    assert await open_with(OTHER) == ["Song 1"]


async def test_the_index_is_made_anew_from_the_library(settings: Settings, files: list[Path], pool: LocalPool) -> None:
    import shutil

    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        for file in files[:4]:
            await sim.add(file)
        await sim.train("standard")  # raw features, which answer for so few clips, are not indexed
        before = [(m.clip.id, round(m.similarity, 5)) for m in await sim.similar("Song 0")]
    shutil.rmtree(settings.data / "index")
    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        assert [(m.clip.id, round(m.similarity, 5)) for m in await sim.similar("Song 0")] == before
        report = await sim.audit()
        assert not report.unmendable and [each.what for each in report.mended] == [
            "collection missing or of other settings, made anew"
        ]
        assert not (await sim.audit()).found


async def test_a_removed_clip_is_found_no_more(settings: Settings, files: list[Path], pool: LocalPool) -> None:
    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        for file in files[:4]:
            await sim.add(file)
        await sim.similar("Song 0")
        await sim.remove("Song 1")
        assert {m.clip.title for m in await sim.similar("Song 0")} == {"Song 2", "Song 3"}
        with pytest.raises(UnknownClip):
            await sim.find((await sim.find("Song 0")).id + "x")
        (status,) = [s for _, s in [await sim.ingest(files[1])]]
        assert status == "added"


async def test_a_backup_brings_everything_back(filled: ClipSim, tmp_path: Path, pool: LocalPool) -> None:
    from clipsim.backup import restore

    file = tmp_path / "copy.clipsim"
    assert await filled.backup(file) == 10
    before = [(m.clip.id, round(m.similarity, 5), m.why) for m in await filled.similar("Song 1")]
    await asyncio.to_thread(restore, file, tmp_path / "other")
    async with ClipSim.open(
        settings=load(data=tmp_path / "other", workers=1, min_train=8), preset=SMALL, pool=pool
    ) as sim:
        assert [(m.clip.id, round(m.similarity, 5), m.why) for m in await sim.similar("Song 1")] == before


async def test_the_map_is_a_picture_or_a_page(filled: ClipSim, tmp_path: Path) -> None:
    assert await filled.map(tmp_path / "map.png") == 10
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    await filled.map(tmp_path / "map.html")
    assert "Song 3" in (tmp_path / "map.html").read_text(encoding="utf-8")


# Jobs


async def test_a_job_survives_the_process(settings: Settings, pool: LocalPool) -> None:
    link = "https://youtu.be/dQw4w9WgXcQ"
    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        job = await sim.accept(link, community="1", requester="7", reply={"channel": 5})
        await sim.set_reply(job.id, {"channel": 5, "message": 6})
        await asyncio.to_thread(sim._jobs.start, job.id)  # and then the process is killed
    async with ClipSim.open(settings=settings, preset=SMALL, pool=pool) as sim:
        (found,) = await sim.pending()
        assert found.source == link and found.community == "1" and found.state == "queued"
        assert json.loads(json.dumps(found.reply)) == {"channel": 5, "message": 6}


async def test_a_job_that_fails_keeps_its_code(sim: ClipSim) -> None:
    job = await sim.accept("https://youtube.com/playlist?list=PL123", community="1", reply={})
    with pytest.raises(ClipSimError):
        await sim.run(job.id)
    kept = await asyncio.to_thread(sim._jobs.get, job.id)
    assert kept.state == "failed" and kept.error_code and await sim.pending() == []
