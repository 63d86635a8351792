"""`clipsim evaluate` as a user meets it, on a library of made features; and through the façade, on real small clips."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clipsim import ClipSim, encoders
from clipsim.cli import app
from clipsim.contenders import contenders
from clipsim.copies import CHANGES
from clipsim.errors import EmptyLibrary, InvalidSetting
from clipsim.library import Library
from clipsim.model import HOME, Clip, Vote
from clipsim.votes import Votes
from tests.doubles.encoders import SMALL
from tests.doubles.media import make_clip
from tests.libraries import TINY, features, settings

METHODS = "standard,pca,audio,rrf"


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.PRESETS, "standard", TINY)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 clips of four genres; the community "guild" sees the first twelve and has voted."""
    folder = tmp_path_factory.mktemp("evaluate")
    library = Library.open(settings(folder), TINY)
    for n in range(36):
        clip = Clip(f"c{n:02}", f"Title [red]{n}[/]", artist=f"Artist {n % 8}", genre=f"genre {n % 4}")
        library.add(clip, features(n, near=100 + n % 4), "guild" if n < 12 else HOME)
    for n in range(4):
        for other in (n + 4, n + 1):
            Votes(library).cast(Vote(f"c{n:02}", f"c{other:02}", other == n + 4, "ann", "guild"))
    library.close()
    return folder


def clipsim(*arguments: str, code: int = 0) -> Any:
    ran = CliRunner().invoke(app, ["evaluate", *arguments])
    assert ran.exit_code == code, (ran.stdout, ran.stderr, ran.exception)
    return ran


def test_the_table_fits_a_narrow_terminal(shelf: Path) -> None:
    text = clipsim("--data", str(shelf), "--methods", METHODS).stdout
    lines = text.splitlines()
    table = [line for line in lines if line[2:].split(" ")[0] in METHODS.split(",")]
    assert len(table) == 4 and max(map(len, table)) <= 80
    assert table[0].startswith("> standard") and "1.000" in table[0] and "±0.000" in table[0]
    assert "By genre: 36 clips, 36 of them asked" in text and "chance" in text
    assert "cannot be told apart on these 36 queries" in text and "Worst" not in text  # all are right
    assert [line.split()[0] for line in lines if line.startswith(("sound", "pictures", "words"))] == [
        "sound",
        "pictures",
        "words",
    ]
    assert max(map(len, lines)) <= 100


def test_titles_are_shown_as_they_are(shelf: Path) -> None:
    text = clipsim("--data", str(shelf), "--methods", "raw", "--label", "artist").stdout
    assert "Worst answers of raw" in text and text.count("Title [red]") == 5 * 4 and "(Artist " not in text


def test_the_document(shelf: Path) -> None:
    told = json.loads(clipsim("--data", str(shelf), "--methods", METHODS, "--json").stdout)
    assert (told["label"], told["clips"], told["queries"], told["default"]) == ("genre", 36, 36, "standard")
    assert list(told["methods"]) == METHODS.split(",")
    for result in told["methods"].values():
        assert {"p@1", "p@5", "p@10", "map", "interval"} <= set(result)
    assert told["methods"]["standard"]["p@5"] == 1.0


def test_by_artist_without_the_artist_and_in_a_community(shelf: Path) -> None:
    where = ("--data", str(shelf), "--methods", "standard", "--json")
    assert json.loads(clipsim(*where, "--label", "artist").stdout)["methods"]["standard"]["p@1"] < 1
    kept = json.loads(clipsim(*where, "--exclude", "artist").stdout)
    assert kept["exclude"] == "artist" and kept["queries"] == 36
    guild = json.loads(clipsim(*where, "--community", "guild").stdout)
    assert guild["clips"] == 12
    voted = json.loads(clipsim(*where, "--community", "guild", "--label", "feedback").stdout)
    assert (voted["label"], voted["queries"], voted["methods"]["standard"]["map"]) == ("feedback", 4, 1.0)


def test_the_report(shelf: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    text = clipsim("--data", str(shelf), "--methods", "standard,pca", "--report", str(file)).stdout
    assert "Wrote" in text
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "<svg" in page and "standard" in page
    nowhere = str(tmp_path / "nowhere" / "report.html")
    assert "not-writable" in clipsim("--data", str(shelf), "--methods", "raw", "--report", nowhere, code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--methods", "smell"], "standard, joint, paper, pca, raw"),
        (["--methods", ","], "choose from"),
        (["--label", "colour"], "colour"),
        (["--exclude", "genre"], "genre"),
        (["--label", "artist", "--exclude", "artist"], "artist"),
        (["--report", "page.txt"], ".html"),
        (["--copies", "1001"], "1000"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str, shelf: Path) -> None:
    said = clipsim("--data", str(shelf), *arguments, code=2).stderr
    assert told in " ".join(said.replace("│", " ").split())


@pytest.mark.parametrize("label", ["genre", "feedback"])
def test_a_library_with_nothing_to_measure_by(tmp_path: Path, label: str) -> None:
    said = clipsim("--data", str(tmp_path), "--label", label, code=1).stderr
    assert said.count("\n") == 1 and "[empty]" in said and ("--manifest" in said) == (label == "genre")


async def test_copies_are_made_encoded_and_found(tmp_path: Path) -> None:
    async with ClipSim.open(settings=settings(tmp_path / "library", workers=1), preset=SMALL) as sim:
        for n in range(4):
            file = make_clip(
                tmp_path / f"{n}.mp4", seconds=3, tone=110 * 1.4**n, rhythm=60 + 30 * n, width=64, height=48
            )
            await sim.add(str(file), title=f"T{n}", genre="ab"[n % 2], lyrics="la " * 30 if n else None)
        (tmp_path / "3.mp4").unlink()
        steps: list[tuple[str, int, int]] = []
        found = await sim.evaluate(
            methods=["standard", "audio", "naive"], copies=9, progress=lambda *step: steps.append(step)
        )
        known = {result.name: result.known for result in found.results}
        kinds = {"64 kbit/s", "-3 dB", "+3 dB", "8 kHz"}  # too short for a crop, too small for 144p
        assert set(known["audio"]) - {"halves"} == kinds
        assert all(known["audio"][kind]["queries"] == 3 for kind in kinds)
        assert known["audio"]["-3 dB"]["recall@1"] == known["standard"]["-3 dB"]["recall@1"] == 1.0
        assert ("copies", 3 * len(CHANGES), 3 * len(CHANGES)) in steps
        with pytest.raises(InvalidSetting):
            await sim.evaluate(methods=["smell"])
        with pytest.raises(EmptyLibrary):
            await sim.evaluate("album")
        assert await sim.count() == 4


async def test_an_evaluation_that_is_given_up_ends(shelf: Path) -> None:
    async with ClipSim.open(shelf, preset=TINY) as sim:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        told: list[str] = []

        def progress(what: str, done: int, of: int) -> None:
            told.append(what)
            if what == "standard":
                loop.call_soon_threadsafe(begun.set)

        task = asyncio.create_task(sim.evaluate(methods=list(contenders(TINY)), progress=progress))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        for _ in range(300):
            heard = len(told)
            await asyncio.sleep(0.1)
            if len(told) == heard:
                break
        assert "paper" not in told
