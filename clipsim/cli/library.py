"""The commands about a whole library: train, reencode, audit, backup, restore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from clipsim.cli.shared import DataOption, JsonOption, Methods, library, progress_bars, run, say, settings_of


def train(
    method: Annotated[Methods | None, typer.Option(help="One method only (default: standard and pca).")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Fit the fusion to the library now, instead of when it has grown."""

    async def work() -> int:
        async with library(data) as sim, progress_bars(1) as progress:
            with progress.task("training") as step:
                reports = await sim.train(method, progress=step)
        say(
            [{"method": r.method, "clips": r.clips, "seconds": round(r.seconds, 3)} for r in reports],
            json,
            "\n".join(f"Trained {r.method} on {r.clips} clips in {r.seconds:.1f} s." for r in reports),
        )
        return 0

    run(work())


def reencode(
    preset: Annotated[str | None, typer.Option(help="Change to this preset's encoders.")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Compute every clip's features anew, from its file or link; needed after a change of encoders."""

    async def work() -> int:
        async with library(data, preset=preset, any_encoders=True) as sim, progress_bars(None) as progress:
            with progress.task("encoding anew") as step:
                report = await sim.reencode(progress=step)
        say(
            {"encoded": report.encoded, "failed": [{"id": i, "code": e.code} for i, e in report.failed]},
            json,
            f"Encoded {report.encoded} clips anew."
            + "".join(f"\nNot {clip}: {error}" for clip, error in report.failed),
        )
        return 1 if report.failed else 0

    run(work())


def audit(data: DataOption = None, json: JsonOption = False) -> None:
    """Check the library against its index and mend every difference."""

    async def work() -> int:
        from dataclasses import asdict

        async with library(data) as sim:
            report = await sim.audit()
        say(asdict(report), json, str(report))
        return 1 if report.unmendable else 0

    run(work())


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE")], data: DataOption = None, json: JsonOption = False
) -> None:
    """Write the whole library into one file."""

    async def work() -> int:
        async with library(data) as sim:
            count = await sim.backup(file)
        say({"file": str(file), "clips": count}, json, f"Wrote {count} clips into {file}.")
        return 0

    run(work())


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    replace: Annotated[bool, typer.Option(help="Replace the library that is there.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Put a backup where the library is; the index is made anew from it."""

    async def work() -> int:
        from clipsim.backup import restore as put_back

        settings = settings_of(data)
        await asyncio.to_thread(put_back, file, settings.data, replace=replace, database=settings.database)
        async with library(data, any_encoders=True) as sim:
            await sim.audit()
            count = await sim.count()
        say({"file": str(file), "clips": count}, json, f"Restored {count} clips from {file}.")
        return 0

    run(work())


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "reencode": reencode,
    "audit": audit,
    "backup": backup,
    "restore": restore,
}
