"""playlist, path, mix, find and surprise as a user meets them. Small encoders, real workers and the rest real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from typer.testing import CliRunner

from clipsim import encoders
from clipsim.cli import app
from clipsim.library import Library
from clipsim.model import Clip, Features, Label, Lyrics
from clipsim.settings import load
from tests.doubles.encoders import SMALL, SmallText

KEYS = {"rank", "id", "title", "artist", "url", "similarity", "why"}
WORDS = ("the river runs to the sea tonight", "thunder over the hills again", "dancing in the kitchen with you")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.PRESETS, "standard", SMALL)
    monkeypatch.setenv("CLIPSIM_WORKERS", "1")
    monkeypatch.setenv("CLIPSIM_MIN_TRAIN", "8")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty clips on YouTube in three groups, and one local file of no group."""
    folder = tmp_path_factory.mktemp("discover")
    opened = Library.open(load(data=folder), SMALL)
    reader, generator = SmallText(), np.random.default_rng(1)
    centres = generator.standard_normal((3, 400))
    for n in range(30):
        text = f"{WORDS[n % 3]}\nand this is verse number {n}"
        seen = (centres[n % 3] + 0.3 * generator.standard_normal(400)).astype(np.float32)
        found = Features({"small-video": seen, "small-text": reader.encode(text).vector}, tags=(Label("rock", 0.4),))
        title = "Say [red]Hello[/]" if n == 0 else f"Number {n}"
        about = Clip(f"youtube{n:04}", title, artist=f"Band {n % 11}", genre=("folk", "rock", "soul")[n % 3])
        opened.add(about, found, lyrics=Lyrics(text))
    alone = Features({"small-video": generator.standard_normal(400).astype(np.float32)})
    opened.add(Clip("local-0123456789abcdef", "Home Movie", path="/films/home.mp4"), alone)
    opened.close()
    return folder


def clipsim(*arguments: str, code: int = 0) -> Any:
    """Run a command; its standard output, as JSON where it was asked for."""
    ran = CliRunner().invoke(app, list(arguments))
    assert ran.exit_code == code, (ran.stdout, ran.stderr, ran.exception)
    if code:
        assert len(ran.stderr.strip().splitlines()) == 1 or code == 2
        return ran.stderr
    return json.loads(ran.stdout) if "--json" in arguments else ran.stdout + ran.stderr


def ids(url: str) -> list[str]:
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "www.youtube.com", "/watch_videos")
    return parse_qs(parts.query)["video_ids"][0].split(",")


def test_playlist(library: Path) -> None:
    found = clipsim("playlist", "Number 1", "Number 4", "-k", "8", "--data", str(library), "--json")
    assert found["kind"] == "playlist" and [set(row) for row in found["results"]] == [KEYS] * 8
    assert [row["rank"] for row in found["results"]] == list(range(1, 9))
    assert found["results"][0]["id"] == "youtube0001" and found["results"][0]["similarity"] is None
    assert {"youtube0001", "youtube0004"} <= {row["id"] for row in found["results"]}
    assert ids(found["url"]) == [row["id"] for row in found["results"]] and found["urls"] == [found["url"]]
    text = clipsim("playlist", "say hello", "--data", str(library))
    assert (
        "Band 0 – Say [red]Hello[/]" in text and "https://www.youtube.com/watch_videos?video_ids=youtube0000," in text
    )


def test_a_name_remembers_what_it_played(library: Path) -> None:
    once, again = (
        clipsim("playlist", "Number 1", "-k", "6", "--place", "evening", "--data", str(library), "--json")["results"]
        for _ in range(2)
    )
    assert {row["id"] for row in once} & {row["id"] for row in again} == {"youtube0001"}


def test_path(library: Path) -> None:
    found = clipsim("path", "Number 1", "Number 2", "-k", "6", "--data", str(library), "--json")
    assert found["kind"] == "path" and len(found["results"]) == 6
    assert (found["results"][0]["title"], found["results"][-1]["title"]) == ("Number 1", "Number 2")
    assert all(-1 <= row["similarity"] <= 1 for row in found["results"][1:]) and "5 steps" in found["why"]
    assert "From “Number 1” to “Number 2” in 7 steps" in clipsim("path", "Number 1", "Number 2", "--data", str(library))
    assert "[setting]" in clipsim("path", "Number 1", "youtube0001", "--data", str(library), code=1)


def test_mix(library: Path) -> None:
    arguments = ("mix", "--add", "Number 1", "--add", "Number 2", "--less", "Number 5", "-k", "5")
    found = clipsim(*arguments, "--data", str(library), "--json")
    named = {"youtube0001", "youtube0002", "youtube0005"}
    assert found["kind"] == "mix" and not named & {row["id"] for row in found["results"]}
    numbers = [int(row["id"].removeprefix("youtube")) for row in found["results"]]
    assert all(number % 3 == 1 for number in numbers)  # Number 1's group: the other was taken away
    assert "unlike “Number 5”" in found["why"]


def test_find(library: Path) -> None:
    found = clipsim("find", "verse", "number", "17", "-k", "4", "--data", str(library), "--json")
    assert found["words"] == "verse number 17" and found["notice"] is None  # the encoder was asked, in a worker
    assert {"youtube0017"} <= {row["id"] for row in found["results"][:2]} and len(found["results"]) == 4
    assert [set(row) for row in found["results"]] == [(KEYS - {"similarity"}) | {"score"}] * 4
    assert ids(found["url"]) == [row["id"] for row in found["results"]]
    text = clipsim("find", "thunder hills", "--no-meaning", "--data", str(library))
    assert "lyrics: “thunder over the hills again”" in text and "watch_videos" in text
    assert "Nothing was found." in clipsim("find", "xyzzyplugh", "--no-meaning", "--data", str(library))
    assert "[setting]" in clipsim("find", "!!!", "--data", str(library), code=1)


def test_what_is_not_on_youtube_has_no_link(library: Path) -> None:
    text = clipsim("find", "home movie", "-k", "1", "--no-meaning", "--data", str(library))
    assert "Home Movie" in text and "https://" not in text and "no link that plays them" in text
    found = clipsim("find", "home movie", "-k", "1", "--no-meaning", "--data", str(library), "--json")
    assert found["url"] is None and found["urls"] == [] and found["results"][0]["url"] == "/films/home.mp4"


def test_surprise(library: Path) -> None:
    first, second = (clipsim("surprise", "--seed", "3", "--data", str(library), "--json") for _ in range(2))
    assert set(first) == {"id", "title", "artist", "url", "why", "times", "like", "watch"}
    assert second["id"] != first["id"]  # the first has been recommended since
    assert (
        first["times"] == second["times"] == 0 and len(first["like"]) == 2 and first["like"][0]["title"] in first["why"]
    )
    text = clipsim("surprise", "--data", str(library))
    assert "Number" in text and ("watch_videos?video_ids=youtube" in text or "no link that plays them" in text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["playlist"],
        ["playlist", "x", "-k", "0"],
        ["playlist", "x", "-k", "201"],
        ["path", "x"],
        ["path", "x", "y", "-k", "1"],
        ["mix"],
        ["mix", "--less", "x"],
        ["find"],
        ["surprise", "--seed", "-1"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    clipsim(*arguments, code=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["playlist", "no such title"],
        ["path", "no such title", "neither"],
        ["mix", "--add", "no such title"],
        ["find", "anything"],
        ["surprise"],
    ],
)
def test_an_empty_library_says_so_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    assert clipsim(*arguments, "--data", str(tmp_path), code=1).startswith("clipsim: ")
