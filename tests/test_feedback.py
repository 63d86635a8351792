"""Votes, tuning, weights and diversity through the façade and the command line, on a library of random vectors."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from clipsim import ClipSim, encoders
from clipsim.cli import app
from clipsim.errors import InvalidSetting, NotTrained, UnknownClip
from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import MODALITIES, Match, Modality
from clipsim.tuning import EACH, VOTES
from tests.libraries import TINY, fill, settings, train

COUNT = 60


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feedback") / "library"
    library = Library.open(settings(folder), TINY)
    index = Index(settings(folder), library.id)
    fill(library, COUNT)
    for clip_id in library.ids()[:40]:
        library.join(clip_id, "guild")
    train(library, index)
    index.close()
    library.close()
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(template, tmp_path / "copy"))


def opened(folder: Path, **more: Any) -> Any:
    return ClipSim.open(settings=settings(folder, min_train=8, **more), preset=TINY)


async def vote_for(sim: ClipSim, modality: Modality, votes: int, community: str = "home", start: int = 0) -> None:
    """Thumbs up on results that are nearer than the median by one modality, down on the others."""
    clips = sorted(await sim.clips(community=community), key=lambda clip: clip.id)
    cast = 0
    for clip in clips[start:]:
        answer = await sim.query(clip, k=5, weights={"audio": 1, "video": 1, "lyrics": 1}, community=community)
        middle = float(np.median([match.by[modality] for match in answer.results]))
        for match in answer.results:
            if cast == votes:
                return
            await sim.vote(clip, match.clip, match.by[modality] >= middle, voter=f"v{cast % 4}", community=community)
            cast += 1


def ids(matches: list[Match] | tuple[Match, ...]) -> list[str]:
    return [match.clip.id for match in matches]


async def test_a_vote_is_cast_told_changed_and_taken_back(folder: Path) -> None:
    async with opened(folder) as sim:
        answer = await sim.query("Title 3", k=3)
        cast = await sim.vote("Title 3", answer.results[1].clip, True, rank=2, method="standard")
        assert cast and (cast.query, cast.up, cast.voter, cast.rank) == ("clip-0003", True, "me", 2)
        await sim.vote("clip-0003", answer.results[1].clip.id, False, voter="ann")
        assert {v.voter: v.up for v in (await sim.votes("Title 3")).values()} == {"ann": False}  # the newest
        assert (await sim.votes("Title 3", voter="me"))[answer.results[1].clip.id] == cast
        assert await sim.vote("Title 3", answer.results[1].clip, None) is None
        assert await sim.votes("Title 3", voter="me") == {}
        with pytest.raises(UnknownClip):
            await sim.vote("Title 3", "Nothing of the kind whatever", True)
        with pytest.raises(UnknownClip):
            await sim.vote("clip-0001", "clip-0055", True, community="guild")
        with pytest.raises(InvalidSetting):
            await sim.vote("Title 3", "Title 3", True)


async def test_votes_tune_the_community_in_the_background_and_its_answers_follow(folder: Path) -> None:
    async with opened(folder) as sim:
        before = await sim.query("Title 7", k=5)
        assert before.weights is None and (await sim.status())["tuned"] == 0
        await vote_for(sim, "lyrics", 100)
        for _ in range(200):
            if (await sim.status())["tuned"]:
                break
            await asyncio.sleep(0.05)
        assert (await sim.status())["tuned"] == 1  # nobody asked for it
        after = await sim.query("Title 7", k=5)
        assert after.weights is not None and after.weights["lyrics"] > 1.3
        expected = await sim.query("Title 7", k=5, weights=after.weights)
        assert expected.results == after.results and ids(after.results) != ids(before.results)
        # Asked for otherwise, by one sense, by another method, or by another community, they are not used.
        usual = dict.fromkeys(MODALITIES, 1.0)
        assert await sim.query("Title 7", k=5, weights=usual) == before
        assert (await sim.query("Title 7", by="lyrics")).weights is None
        assert (await sim.query("Title 7", method="pca")).weights is None
        assert (await sim.query("Title 7", community="guild")).weights is None
        await sim.tune(reset=True)
        assert await sim.query("Title 7", k=5) == before and (await sim.status())["tuned"] == 0


async def test_a_tuning_outlives_a_restart_and_a_background_one_is_not_cut_off(folder: Path) -> None:
    async with opened(folder) as sim:
        await vote_for(sim, "lyrics", VOTES)
    async with opened(folder) as sim:
        await vote_for(sim, "lyrics", 2 * EACH, start=20)
        await sim.tune()
        weights = (await sim.query("Title 7")).weights
        assert weights is not None
    async with opened(folder) as sim:
        assert (await sim.query("Title 7")).weights == weights


async def test_a_community_tunes_for_itself(folder: Path) -> None:
    async with opened(folder) as sim:
        await vote_for(sim, "video", 100, community="guild")
        found = await sim.tune("guild")
        assert found.weights and found.weights["video"] > 1.2
        assert (await sim.tune()).votes == 0  # HOME's own
        assert (await sim.query("Title 7")).weights is None
        assert (await sim.query("Title 7", community="guild")).weights == found.weights


async def test_without_the_fusion_that_has_weights_there_is_nothing_to_tune(tmp_path: Path) -> None:
    library = Library.open(settings(tmp_path / "small"), TINY)
    fill(library, 6)
    library.close()
    async with opened(tmp_path / "small") as sim:
        for other in range(1, 6):
            await sim.vote("clip-0000", f"clip-{other:04}", True)
        with pytest.raises(NotTrained, match="standard"):
            await sim.tune()


async def test_weights_and_diversity_reach_the_search(folder: Path) -> None:
    async with opened(folder) as sim:
        by_sound = await sim.similar("Title 3", k=8, by="audio")
        weighed = await sim.similar("Title 3", k=8, weights={"video": 0, "lyrics": 0})
        assert ids(by_sound) == ids(weighed)
        plain, mixed = await sim.similar("Title 3", k=8), await sim.similar("Title 3", k=8, diversity=0.6)
        assert ids(plain) != ids(mixed) and plain[0].clip == mixed[0].clip
        assert [match.rank for match in mixed] == list(range(1, 9))
        assert ids((await sim.answer("Title 3", k=8, diversity=0.6)).results) == ids(mixed)
        with pytest.raises(InvalidSetting):
            await sim.query("Title 3", diversity=7)
        with pytest.raises(InvalidSetting):
            await sim.query("Title 3", weights={"audio": -1})


async def test_the_secret_is_this_library_s(folder: Path, tmp_path: Path) -> None:
    async with opened(folder) as sim:
        first = await sim.secret()
        assert len(first) >= 32 and await sim.secret() == first
    async with opened(folder) as sim:
        assert await sim.secret() == first
    async with opened(tmp_path / "other") as sim:
        assert await sim.secret() != first


# The commands


@pytest.fixture
def clipsim(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(encoders.PRESETS, "standard", TINY)
    monkeypatch.setenv("CLIPSIM_DATA", str(folder))
    monkeypatch.setenv("CLIPSIM_MIN_TRAIN", "8")

    def run(*arguments: str, code: int = 0) -> Any:
        ran = CliRunner().invoke(app, list(arguments))
        assert ran.exit_code == code, (ran.stdout, ran.stderr, ran.exception)
        return json.loads(ran.stdout) if "--json" in arguments else ran.stdout + ran.stderr

    return run


def test_vote_and_tune(clipsim: Any, folder: Path) -> None:
    assert clipsim("vote", "Title 3", "Title 4", "up") == "Title 4 goes with Title 3.\n"
    told = {"query": "clip-0003", "result": "clip-0004", "thumb": "down"}
    assert clipsim("vote", "Title 3", "Title 4", "down", "--json") == told
    found = clipsim("tune", "--json")
    assert found["outcome"] == "too-few" and (found["votes"], found["down"]) == (1, 1)
    assert "1 of 30 votes" in found["missing"] and "0 of 8 thumbs up" in found["sentence"]
    clipsim("vote", "Title 3", "Title 4", "none")
    assert clipsim("tune", "--json")["votes"] == 0

    async def crowd() -> None:
        async with opened(folder) as sim:
            await vote_for(sim, "lyrics", 100)

    asyncio.run(crowd())
    clipsim("tune", "--reset")
    text = clipsim("tune", "--dry-run")
    assert "100 votes" in text and "Log-loss on votes held out" in text and "words" in text
    assert "weights" not in clipsim("similar", "Title 7", "--json")
    found = clipsim("tune", "--json")
    assert found["outcome"] == "accepted" and found["loss"]["after"] < found["loss"]["before"]
    assert found["weights"] == found["fitted"] and set(found["spread"]) == set(MODALITIES)
    assert clipsim("similar", "Title 7", "--json")["weights"] == pytest.approx(found["weights"], abs=1e-3)
    assert "usual" in clipsim("tune", "--reset") or "default" in clipsim("tune", "--reset")
    assert clipsim("tune", "--community", "guild", "--json")["community"] == "guild"


def test_similar_with_weights_and_diversity(clipsim: Any) -> None:
    usual = clipsim("similar", "Title 3", "--json")
    assert "weights" not in usual and clipsim("similar", "Title 3", "--json", "--weights", "audio=1") == usual
    found = clipsim("similar", "Title 3", "--json", "--weights", " audio = 2 ,lyrics=0.5")
    assert found["weights"] == {"audio": 2.0, "video": 1.0, "lyrics": 0.5}
    assert clipsim("similar", "Title 3", "--json", "--diversity", "0") == usual
    mixed = clipsim("similar", "Title 3", "--json", "--diversity", "0.9")
    assert [row["id"] for row in mixed["results"]] != [row["id"] for row in usual["results"]]


BAD = ["", "audio", "audio=", "audio=much", "smell=2", "audio=-1", "audio=nan", "audio=inf", "audio=1001", "audio=1,"]
BAD += ["audio=1,audio=2", "audio=0,video=0,lyrics=0", "audio=1;video=2", "=1", "audio=1=2"]


@pytest.mark.parametrize("text", BAD)
def test_bad_weights_are_wrong_usage(clipsim: Any, text: str) -> None:
    said = " ".join(clipsim("similar", "Title 3", "--weights", text, code=2).replace("│", " ").split())
    assert "--weights" in said and "weight" in said and "Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("similar", "Title 3", "--weights", "audio=2", "--by", "audio"),
        ("similar", "Title 3", "--diversity", "1.5"),
        ("similar", "Title 3", "--diversity", "-0.1"),
        ("vote", "Title 3", "Title 4", "sideways"),
        ("vote", "Title 3", "Title 4"),
        ("tune", "--dry-run", "--reset"),
    ],
)
def test_wrong_usage(clipsim: Any, arguments: tuple[str, ...]) -> None:
    clipsim(*arguments, code=2)


def test_a_vote_that_cannot_be_is_one_line(clipsim: Any) -> None:
    for arguments, code in ((("Title 3", "Title 3"), "setting"), (("Title 3", "no such title at all"), "unknown-clip")):
        said = clipsim("vote", *arguments, "up", code=1)
        assert len(said.strip().splitlines()) == 1 and said.strip().endswith(f"[{code}]")
