"""Write the generated parts of the documentation: `python tools/docs.py`. A test keeps them equal to the code.

Each part stands between two comments, `<!-- NAME: begin (generated) -->` and `<!-- NAME: end -->`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script: clipsim beside tools/ is the one to document
    sys.path.insert(0, str(ROOT))

TYPES = {"<str>": "TEXT", "<path>": "FILE", "<int range>": "N", "<int>": "N"}  # Typer's words for them, and ours
EVERYWHERE = ("--data", "--json", "--help")  # options of (nearly) every command: told once, above the table


def commands() -> str:
    """The command line as a Markdown table: how each command is called, and its one line of help."""
    import typer

    from clipsim.cli import app

    rows = [f"| `{_cell(usage)}` | {_cell(text)} |" for usage, text in _leaves(typer.main.get_command(app), "clipsim")]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def errors() -> str:
    """Every error code as a Markdown table, in the order of `clipsim.errors`."""
    from clipsim.errors import BY_CODE, ClipSimError

    rows = [
        f"| `{code}` | {_cell(kind.sentence)} | {_cell(kind.hint)} | {'yes' if kind.retry else ''} |"
        for code, kind in BY_CODE.items()
        if "sentence" in vars(kind) and kind is not ClipSimError  # the rest are families, never raised themselves
    ]
    return "\n".join(["| code | what happened | what to do | waiting may help |", "|---|---|---|---|", *rows])


def models() -> str:
    """The models' weights as a Markdown table: what each is, who needs it, its size and licence."""
    from clipsim.encoders import PRESETS
    from clipsim.weights import TABLE

    rows = []
    for entry in TABLE.values():
        presets = ", ".join(f"`{name}`" for name, preset in PRESETS.items() if entry.name in preset.weights)
        size = f"{entry.size / 1e6:.0f} MB"
        rows.append(f"| `{entry.name}` | {_cell(entry.what)} | {presets} | {size} | {_cell(entry.licence)} |")
    return "\n".join(["| model | what it is | preset | size | licence |", "|---|---|---|---|---|", *rows])


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "commands": ("README.md", commands),
    "models": ("README.md", models),
    "errors": ("docs/operations.md", errors),
}


def generated(name: str) -> tuple[str, str]:
    """A part as it stands in its file, and as the code says it should."""
    file, make = PARTS[name]
    _, inner, _ = _split((ROOT / file).read_text(encoding="utf-8"), name)
    return inner.strip(), make().strip()


def write(name: str) -> None:
    """Put a part into its file anew."""
    file, make = PARTS[name]
    path = ROOT / file
    head, _, tail = _split(path.read_text(encoding="utf-8"), name)
    path.write_text(f"{head}\n{make()}\n{tail}", encoding="utf-8")


def _split(text: str, name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}: begin (generated) -->", f"<!-- {name}: end -->"
    head, rest = text.split(begin, 1)
    inner, tail = rest.split(end, 1)
    return head + begin, inner, end + tail


def _leaves(command: Any, path: str) -> Iterator[tuple[str, str]]:
    """(usage, help) of every command below this one, in the order of its help page."""
    children = getattr(command, "commands", None)
    if not children or getattr(command, "invoke_without_command", False):
        yield _usage(command, path), (command.help or "").strip().splitlines()[0]
    for name, child in (children or {}).items():
        yield from _leaves(child, f"{path} {name}")


def _usage(command: Any, path: str) -> str:
    import typer

    context = typer.Context(command)
    arguments, options = [], []
    for part in command.params:
        if part.param_type_name == "argument":
            shown = part.metavar or f"{part.name.upper()}{'…' if part.nargs == -1 else ''}"
            arguments.append(shown if part.required else f"[{shown}]")
        elif not set(part.opts) & set(EVERYWHERE):
            name, _, value = part.get_help_record(context)[0].partition(" ")
            value = TYPES.get(value, value.strip("<>"))
            shown = name if part.is_flag else f"{name} {value}"
            options.append(shown if part.required else f"[{shown}]")
    return " ".join([path, *arguments, *options])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    from clipsim.settings import _write as settings

    settings(ROOT / "README.md", ROOT / ".env.example")
    for part in PARTS:
        write(part)
