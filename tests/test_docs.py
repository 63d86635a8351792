"""The documentation says what is so: generated parts equal the code, and every name it uses exists."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from clipsim import settings
from clipsim.errors import BY_CODE
from tests.conftest import ROOT
from tools import docs

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
NOT_SETTINGS = {"CLIPSIM_TESTDATA"}  # of the tests


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors that headings get, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("name", docs.PARTS)
def test_generated_parts_are_the_code_s(name: str) -> None:
    written, made = docs.generated(name)
    assert written == made, "run: python tools/docs.py"


def test_the_command_table_names_every_option() -> None:
    """Checked against the help pages, which Typer writes by another way than the table is made."""
    table = docs.commands().replace("\\|", "|")
    for name in ("add", "similar", "cluster", "map", "models pull"):
        command = [sys.executable, "-m", "clipsim", *name.split(), "--help"]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        row = next(line for line in table.splitlines() if line.startswith(f"| `clipsim {name}"))
        for option in re.findall(r"^  (--?[a-z]+)", shown, re.MULTILINE):
            assert option in row or option in docs.EVERYWHERE, (name, option)


def test_every_error_a_user_meets_is_listed() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", docs.errors(), re.MULTILINE))
    assert {"unknown-link", "disk-full", "locked", "wrong-digest", "encoder", "setting", "unexpected"} <= listed
    assert set(BY_CODE) - listed == {"error", "source", "library"}  # families, never raised themselves


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", text(name)):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.is_file(), f"{name}: {target}"
        assert not anchor or anchor in anchors(there), f"{name}: {target}"


@pytest.mark.parametrize("name", NAMES)
def test_settings_named_exist(name: str) -> None:
    named = set(re.findall(r"\bCLIPSIM_[A-Z_]+\b", text(name))) - NOT_SETTINGS
    assert named <= {variable for variable, _, _ in settings.rows()}


@pytest.mark.parametrize("name", NAMES)
def test_commands_named_exist(name: str) -> None:
    known = set(re.findall(r"`clipsim ([a-z]+)", docs.commands()))
    body = text(name)
    used = re.findall(r"`clipsim ([a-z]+)", body)
    used += [found for block in _code(body) for found in re.findall(r"^(?:\$ )?clipsim ([a-z]+)", block, re.MULTILINE)]
    assert set(used) <= known
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    made = re.findall(r"`make ([a-z]+)", body)
    made += [found for block in _code(body) for found in re.findall(r"\bmake ([a-z]+)", block)]
    assert set(made) <= targets


@pytest.mark.parametrize("name", NAMES)
def test_files_named_exist(name: str) -> None:
    """`clipsim/library.py` and the like, wherever a page names one."""
    for found in re.findall(r"`((?:clipsim|bot|tests|benchmarks|tools|docs)/[\w./]*)`", text(name)):
        assert (ROOT / found).exists(), f"{name}: {found}"


def test_the_layout_in_the_design_is_the_layout() -> None:
    """Every module is in it, and nothing else: private ones (with an underscore) are their folder's business."""
    block = text("docs/design.md").split("## Layout\n", 1)[1].split("\n## ", 1)[0]
    named, package, folder = set(), "", ""
    for line in block.splitlines():
        if top := re.match(r"    (\w+)/ ", line):
            package, folder = top[1], ""
        if inner := re.match(r"    (?:\w+/)? +(?:(\w+/)|\w[\w, ]*?)  ", line):
            folder = inner[1] or ""
        named |= {f"{package}/{folder}{name}" for name in re.findall(r"\b((?:\w+/)?\w+\.py)\b", line)}
    modules = {
        str(path.relative_to(ROOT))
        for package in ("clipsim", "bot")
        for path in (ROOT / package).rglob("*.py")
        if not path.name.startswith("_") and "migrations" not in path.parts
    }
    assert named == modules


def test_the_python_example_uses_what_there_is() -> None:
    from clipsim import ClipSim
    from clipsim.model import Match

    example = next(block for block in _code(text("README.md")) if "from clipsim import ClipSim" in block)
    tree = ast.parse(example)
    called = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("sim", "ClipSim")
    }
    assert called >= {"open", "add", "similar"}
    for name in called:
        assert callable(getattr(ClipSim, name)), name
    assert "data" in inspect.signature(ClipSim.open).parameters and "k" in inspect.signature(ClipSim.similar).parameters
    shown = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "match"
    }
    assert shown and shown <= set(Match.__dataclass_fields__)


def test_the_discord_table_is_the_bot_s() -> None:
    from bot.text import ENGLISH as said

    table = text("README.md").split("| in Discord |", 1)[1].split("\n\n", 1)[0]
    for call, _ in said.HELP_LINES:
        assert f"`{call}`" in table or f"“{call}”" in table, call


def test_the_page_for_discord_has_every_command_and_its_pictures_are_small() -> None:
    from bot.text import ENGLISH as said

    page = text("docs/discord.md")
    for call, _ in said.HELP_LINES:
        assert not call.startswith("/") or f"`{call.split()[0]}" in page, call
    shown = re.findall(r"!\[[^\]]+\]\((pictures/[\w-]+\.png)\)", page)
    assert len(shown) >= 9
    for picture in shown:
        assert (ROOT / "docs" / picture).stat().st_size < 150_000, picture


def test_pictures_are_whole() -> None:
    for picture in (ROOT / "docs" / "pictures").glob("*.svg"):
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_changelog_leads_with_what_is_coming() -> None:
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings and headings[0].startswith("[")


def _code(body: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", body, re.MULTILINE | re.DOTALL)
