"""The command line. Results go to stdout, progress and messages to stderr.

Exit 0: done; 2: wrong usage; 1: anything else, with one line on stderr. Heavy modules are imported where they are
used, so that `clipsim --help` is quick.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from clipsim.cli import clips, discover, evaluate, feedback, library, machine
from clipsim.cli.shared import DataOption, JsonOption, everywhere, fail
from clipsim.errors import ClipSimError

app = typer.Typer(
    name="clipsim",
    help="Find music videos that go together: hear, watch and read clips, then ask for their neighbours.",
    epilog="A CLIP is a link, a YouTube id, a path, or the title of a clip in the library.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _everywhere(
    data: DataOption = None,
    json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from clipsim import __version__

        typer.echo(f"clipsim {__version__}")
        raise typer.Exit()
    everywhere.data, everywhere.json = data, json
    level = logging.INFO if verbose else logging.CRITICAL
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


for module in (clips, discover, feedback, library, evaluate):
    for name, command in module.COMMANDS.items():
        app.command(name)(command)
app.add_typer(machine.models, name="models")
for name, command in machine.COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """The entry point: every error ends in one line on stderr and an exit code."""
    try:
        app()
    except ClipSimError as error:  # raised before a command's own handler could
        fail(error)
