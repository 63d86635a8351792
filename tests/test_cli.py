"""The command line as a user meets it: what it prints, where, and with which exit code. Small encoders, real parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clipsim import encoders
from clipsim.cli import app
from tests.doubles.encoders import SMALL
from tests.doubles.media import make_clip

KEYS = {"source", "id", "title", "artist", "duration", "status", "error", "modalities", "tempo", "tags", "classes"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.PRESETS, "standard", SMALL)
    monkeypatch.setenv("CLIPSIM_WORKERS", "1")
    monkeypatch.setenv("CLIPSIM_MIN_TRAIN", "4")


@pytest.fixture(scope="module")
def library(folder: Path) -> Path:
    """A library of four clips from a manifest, and the JSON that adding them printed."""
    for number in range(4):
        make_clip(folder / f"clip {number}.mp4", seconds=2, tone=110 * (number + 1), width=64, height=48)
    (folder / "words.lrc").write_text(
        "[00:01.00]the river runs down to the sea\n[00:02.00]and the boat is sailing home\n"
    )
    rows = ["source,title,artist,genre,lyrics", "clip 0.mp4,Zero,Ann,folk,words.lrc"]
    rows += ['clip 1.mp4,"One, [red]and[/] a half",Ben,folk,', "clip 2.mp4,Two,Cat,rock,", "clip 3.mp4,Three,Dan,rock,"]
    (folder / "list.csv").write_text("\n".join([*rows, "nowhere.mp4,Gone,,,"]) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(encoders.PRESETS, "standard", SMALL)
        patch.setenv("CLIPSIM_WORKERS", "1")
        patch.setenv("CLIPSIM_MIN_TRAIN", "4")
        ran = CliRunner().invoke(
            app, ["add", "--manifest", str(folder / "list.csv"), "--data", str(folder / "library"), "--json"]
        )
    assert ran.exit_code == 1, ran.stderr  # one of them is not there
    (folder / "added.json").write_text(ran.stdout, encoding="utf-8")
    (folder / "stderr.txt").write_text(ran.stderr, encoding="utf-8")
    return folder / "library"


def clipsim(*arguments: str, code: int = 0) -> Any:
    """Run a command; its standard output, as JSON where it was asked for."""
    ran = CliRunner().invoke(app, list(arguments))
    assert ran.exit_code == code, (ran.stdout, ran.stderr, ran.exception)
    return json.loads(ran.stdout) if "--json" in arguments else ran.stdout


def test_add_prints_one_object_for_each_source(library: Path, folder: Path) -> None:
    rows = json.loads((folder / "added.json").read_text(encoding="utf-8"))
    assert [row["status"] for row in rows] == ["added"] * 4 + ["failed"]
    assert all(set(row) >= KEYS for row in rows)
    first = rows[0]
    assert first["title"] == "Zero" and first["artist"] == "Ann"
    assert first["modalities"] == ["audio", "video", "lyrics"] and first["duration"] == pytest.approx(2, abs=0.2)
    assert [set(tag) for tag in first["tags"]] == [{"label", "score"}] * 5 and len(first["classes"]) == 5
    assert rows[4]["error"]["code"] == "file-missing" and rows[4]["id"] is None
    assert "nowhere.mp4" in (folder / "stderr.txt").read_text(encoding="utf-8")
    assert not (library / "incoming").exists()


def test_similar_prints_what_other_programs_rely_on(library: Path) -> None:
    found = clipsim("similar", "Zero", "-k", "3", "--data", str(library), "--json")
    assert found["method"] == "standard" and found["query"]["title"] == "Zero"
    assert [row["rank"] for row in found["results"]] == [1, 2, 3]
    keys = {"rank", "id", "title", "artist", "url", "similarity", "by", "cluster", "why"}
    assert all(set(row) == keys and set(row["by"]) == {"audio", "video", "lyrics"} for row in found["results"])
    assert all(row["by"]["lyrics"] is None for row in found["results"])
    assert found["query"]["id"] not in {row["id"] for row in found["results"]}


def test_the_folder_may_stand_before_the_command_or_in_the_environment(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clipsim("--data", str(library), "--json", "similar", "Two")["query"]["title"] == "Two"
    monkeypatch.setenv("CLIPSIM_DATA", str(library))
    assert clipsim("similar", "Two", "--method", "raw", "--json")["method"] == "raw"


def test_people_see_titles_as_they_are(library: Path) -> None:
    text = clipsim("similar", "Two", "--data", str(library))
    assert "Ben – One, [red]and[/] a half" in text


def test_cluster(library: Path) -> None:
    found = clipsim("cluster", "-n", "2", "--data", str(library), "--json")
    assert [set(each) for each in found["clusters"]] == [{"id", "label", "size", "members"}] * 2
    assert sum(each["size"] for each in found["clusters"]) == 4 and found["method"] and found["quality"]
    assert {clip["title"] for each in found["clusters"] for clip in each["members"]} >= {"Zero", "Two"}
    assert "clusters by" in clipsim("cluster", "--data", str(library)) or "cluster by" in clipsim(
        "cluster", "--data", str(library)
    )


def test_train_audit_map_and_doctor(library: Path, folder: Path) -> None:
    assert {row["method"] for row in clipsim("train", "--data", str(library), "--json")} == {"standard", "pca"}
    assert clipsim("audit", "--data", str(library), "--json") == {"mended": [], "unmendable": []}
    clipsim("map", str(folder / "map.png"), "--data", str(library))
    assert (folder / "map.png").stat().st_size > 10_000
    names = {row["name"] for row in json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)}
    assert {"python", "yt-dlp", "deno", "disk", "memory"} <= names


def test_backup_restore_and_remove(library: Path, folder: Path) -> None:
    copy, other = str(folder / "copy.clipsim"), str(folder / "other")
    clipsim("backup", copy, "--data", str(library))
    assert clipsim("restore", copy, "--data", other, "--json")["clips"] == 4
    assert clipsim("remove", "Three", "--data", other, "--json")["title"] == "Three"
    assert len(clipsim("similar", "Zero", "--data", other, "--json")["results"]) == 2
    clipsim("restore", copy, "--data", other, code=1)  # a library is there


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["add"], 2),
        (["add", "a.mp4", "b.mp4", "--title", "x"], 2),
        (["similar"], 2),
        (["similar", "x", "--by", "smell"], 2),
        (["similar", "x", "-k", "0"], 2),
        (["cluster", "-n", "many"], 2),
        (["map", "map.jpeg"], 2),
        (["nonsense"], 2),
        (["similar", "no such title"], 1),
        (["cluster"], 1),
        (["add", "https://vimeo.example/1"], 1),
        (["add", "--manifest", "nowhere.csv"], 1),
        (["restore", "nowhere.clipsim"], 1),
    ],
)
def test_exit_codes_and_one_line_on_stderr(arguments: list[str], code: int, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "clipsim", "--data", str(tmp_path / "empty"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert ran.returncode == code, ran.stderr
    assert ran.stdout.strip() == "" or code == 2
    assert "Traceback" not in ran.stderr
    if code == 1:
        assert len(ran.stderr.strip().splitlines()) == 1 and ran.stderr.startswith("clipsim: ")


def test_help_does_not_load_what_it_does_not_need() -> None:
    code = (
        "import sys\nfrom clipsim.cli import app\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = 'torch librosa chromadb sklearn transformers numpy scipy numba matplotlib sqlalchemy alembic pydantic"
        " av yt_dlp discord aiohttp'.split()\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_similar_on_a_warm_library_loads_no_network_and_no_index(library: Path) -> None:
    code = (
        "import sys\nfrom clipsim import encoders\nfrom tests.doubles.encoders import SMALL\n"
        "encoders.PRESETS['standard'] = SMALL\nheavy = set(sys.modules)\n"
        "from clipsim.cli import app\nfrom typer.testing import CliRunner\n"
        f"ran = CliRunner().invoke(app, ['similar', 'Zero', '--data', {str(library)!r}])\n"
        "assert ran.exit_code == 0, ran.stderr\n"
        "needless = 'librosa sklearn transformers av torch chromadb scipy numba matplotlib alembic yt_dlp'.split()\n"
        "print([m for m in needless if m in sys.modules and m not in heavy])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
