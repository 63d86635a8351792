"""What the commands share: options, the library they open, and how they end."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from clipsim.errors import ClipSimError, UnexpectedError

if TYPE_CHECKING:
    from clipsim.core import ClipSim
    from clipsim.progress import Progress
    from clipsim.settings import Settings

log = logging.getLogger(__name__)

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the library.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ClipArgument = Annotated[str, typer.Argument(metavar="CLIP", help="A link, a YouTube id, a path, or a title.")]


Methods = Literal["standard", "joint", "paper", "pca", "raw"]
Kinds = Literal["all", "audio", "video", "lyrics"]


@dataclass
class _Everywhere:
    data: Path | None = None
    json: bool = False


everywhere = _Everywhere()


def run(work: Coroutine[Any, Any, int]) -> None:
    """Run a command to its exit code; any error ends in one line."""
    try:
        code = asyncio.run(work)
    except ClipSimError as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except typer.Exit:
        raise
    except Exception as error:
        log.exception("unexpected")
        fail(UnexpectedError(f"Something unexpected went wrong ({type(error).__name__}: {error})."))
    else:
        if code:
            raise typer.Exit(code)


def fail(error: ClipSimError) -> NoReturn:
    """Say what happened in one line and exit with 1."""
    typer.echo(f"clipsim: {error} [{error.code}]", err=True)
    raise SystemExit(1)


def settings_of(data: Path | None, **overrides: object) -> Settings:
    """The settings, with the command's own options on top."""
    from clipsim.settings import load

    return load(data=data or everywhere.data, **overrides)


@asynccontextmanager
async def library(
    data: Path | None, *, preset: str | None = None, any_encoders: bool = False
) -> AsyncIterator[ClipSim]:
    """The library that the command works on."""
    from clipsim.core import ClipSim

    async with ClipSim.open(settings=settings_of(data, preset=preset), any_encoders=any_encoders) as sim:
        yield sim


def say(value: Any, json: bool, text: str) -> None:
    """Print a result: the document, or the text."""
    from clipsim import show

    if json or everywhere.json:
        show.document(value)
    else:
        show.out.print(show.plain_lines(text))


@asynccontextmanager
async def progress_bars(total: int | None) -> AsyncIterator[Progress]:
    """Progress on stderr over `total` clips."""
    from clipsim.progress import Progress as Bars

    with _quiet_warnings(), Bars(total) as progress:
        yield progress


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
