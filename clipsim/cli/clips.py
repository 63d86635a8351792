"""The commands about clips: add, similar, cluster, remove, map."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipsim.cli.shared import (
    ClipArgument,
    DataOption,
    JsonOption,
    Kinds,
    Methods,
    everywhere,
    library,
    progress_bars,
    run,
    say,
)
from clipsim.errors import ClipSimError, FileMissing

HEAVIEST = 1000  # a weight

if TYPE_CHECKING:
    from clipsim.model import JSON, Answer, Clip, Modality


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
    run(_add(given, about, manifest, data, json))


async def _add(given: list[str], about: dict[str, Any], manifest: Path | None, data: Path | None, json: bool) -> int:
    from clipsim import show

    work = [(source, {name: value for name, value in about.items() if value is not None}) for source in given]
    work += manifest_rows(manifest) if manifest else []
    rows: list[JSON | None] = [None] * len(work)
    async with library(data) as sim, progress_bars(len(work)) as progress:
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
    if json or everywhere.json:
        show.document(found)
    else:
        show.print_added(found)
        if notice:
            show.err.print(show.plain(notice), soft_wrap=True)
    return 1 if any(row["status"] == "failed" for row in found) else 0


def manifest_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a manifest: its source, and what it says about it. Names of files are relative to the manifest."""
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


def similar(
    clip: ClipArgument,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many.")] = 5,
    by: Annotated[Kinds, typer.Option(help="What to compare by.")] = "all",
    method: Annotated[Methods | None, typer.Option(help="How the modalities are fused.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="audio=N,video=N,lyrics=N", help="What each counts for; 1 is the usual, 0 not at all."),
    ] = None,
    diversity: Annotated[
        float, typer.Option(metavar="0..1", min=0.0, max=1.0, help="How much results should differ from each other.")
    ] = 0.0,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """The clips that go with one clip, and why. A link or file that is new is added first."""
    if weights is not None and by != "all":
        raise typer.BadParameter("goes with --by all", param_hint="--weights")
    weighed = None if weights is None else parse_weights(weights)

    async def work() -> int:
        from clipsim import show

        async with library(data) as sim, progress_bars(1) as progress:
            with progress.clip(clip) as stage:
                found: Answer = await sim.answer(
                    clip, k=k, by=by, method=method, weights=weighed, diversity=diversity, progress=stage
                )
            await sim.shown(found)
        if json or everywhere.json:
            show.document(show.answer(found))
            return 0
        show.print_answer(found)
        if found.notice:
            show.err.print(show.plain(found.notice), soft_wrap=True)
        return 0

    run(work())


def parse_weights(text: str) -> dict[Modality, float]:
    """`audio=2,video=1,lyrics=0.5` as numbers from 0 to `HEAVIEST`. What is not named stays as it is.

    Raises:
        typer.BadParameter: it is nothing of the kind, or everything would count for nothing.
    """
    from clipsim.model import MODALITIES

    found: dict[Modality, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        modality = next((each for each in MODALITIES if each == name), None)
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if modality is None or modality in found or not (isfinite(weight) and 0 <= weight <= HEAVIEST):
            raise typer.BadParameter(
                f"“{part.strip()[:40]}” is no weight: name each of {', '.join(MODALITIES)} once at most, with a number "
                f"from 0 to {HEAVIEST}, such as audio=2,lyrics=0.5",
                param_hint="--weights",
            )
        found[modality] = weight
    if len(found) == len(MODALITIES) and not any(found.values()):
        raise typer.BadParameter("one weight must be above 0", param_hint="--weights")
    return found


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

        async with library(data) as sim:
            found = await sim.clustering("auto" if n == "auto" else int(n))
        if json or everywhere.json:
            show.document(show.clustering(found))
        else:
            show.print_clustering(found)
        return 0

    run(work())


def remove(clip: ClipArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Forget a clip: its metadata, features and embeddings."""

    async def work() -> int:
        async with library(data) as sim:
            gone: Clip = await sim.remove(clip)
        say({"removed": gone.id, "title": gone.title}, json, f"Forgot {gone.title} ({gone.id}).")
        return 0

    run(work())


def map_(
    file: Annotated[Path, typer.Argument(metavar="FILE.png|.html")], data: DataOption = None, json: JsonOption = False
) -> None:
    """Draw the library as a picture with labelled clusters, or as a page."""
    if file.suffix.lower() not in (".png", ".html"):
        raise typer.BadParameter("the name ends in .png or .html", param_hint="FILE")

    async def work() -> int:
        async with library(data) as sim:
            count = await sim.map(file)
        say({"file": str(file), "clips": count}, json, f"Drew {count} clips into {file}.")
        return 0

    run(work())


COMMANDS: dict[str, Callable[..., None]] = {
    "add": add,
    "similar": similar,
    "cluster": cluster,
    "remove": remove,
    "map": map_,
}
