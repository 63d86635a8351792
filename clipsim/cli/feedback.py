"""The commands about what people think of the answers: vote, tune."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clipsim.cli.shared import DataOption, JsonOption, everywhere, library, run, say

if TYPE_CHECKING:
    from clipsim.model import JSON
    from clipsim.tuning import Tuning

ROUND = 4  # decimals

Thumbs = Literal["up", "down", "none"]


def vote(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The clip that was asked about.")],
    result: Annotated[str, typer.Argument(metavar="RESULT", help="The clip that was answered with.")],
    thumb: Annotated[Thumbs, typer.Argument(metavar="up|down|none", help="Goes with it, does not, or no opinion.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Say whether a result goes with a clip. With enough votes the weights by modality follow them."""

    async def work() -> int:
        from clipsim.model import THUMBS

        async with library(data) as sim:
            asked, found = await sim.find(query), await sim.find(result)
            await sim.vote(asked, found, THUMBS[thumb])
        told: JSON = {"query": asked.id, "result": found.id, "thumb": thumb}
        text = {"up": "goes with", "down": "does not go with", "none": "is no longer voted on as like"}[thumb]
        say(told, json, f"{found.title} {text} {asked.title}.")
        return 0

    run(work())


def tune(
    community: Annotated[
        str | None, typer.Option(help="Whose votes (default: the command line's and web page's).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be found.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the usual weights.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Learn from votes what sound, look and words count for; kept only if it holds on votes held out."""
    if dry_run and reset:
        raise typer.BadParameter("goes without --dry-run", param_hint="--reset")

    async def work() -> int:
        from clipsim import show
        from clipsim.model import HOME

        async with library(data) as sim:
            found = await sim.tune(community or HOME, dry_run=dry_run, reset=reset)
        if json or everywhere.json:
            show.document(document(found))
        else:
            print_tuning(found)
        return 0

    run(work())


def document(found: Tuning) -> JSON:
    """`clipsim tune --json`."""

    def rounded(number: float | None) -> float | None:
        return None if number is None else round(number, ROUND)

    def each(numbers: object) -> JSON | None:
        return {m: round(n, ROUND) for m, n in numbers.items()} if isinstance(numbers, dict) else None

    return {
        "community": found.community,
        "outcome": found.outcome,
        "sentence": found.sentence,
        "weights": each(found.weights),
        "fitted": each(found.fitted),
        "spread": each(found.spread),
        "votes": found.votes,
        "up": found.up,
        "down": found.down,
        "queries": found.queries,
        "voters": found.voters,
        "loss": {name: rounded(getattr(found, name)) for name in ("before", "after", "error")},
        "missing": list(found.missing),
        "at": found.at.isoformat(timespec="seconds"),
    }


def print_tuning(found: Tuning) -> None:
    """`clipsim tune` for people."""
    from rich.table import Table

    from clipsim import show
    from clipsim.model import MODALITIES

    if found.outcome != "reset":
        counts = f"{found.votes} votes ({found.up} up, {found.down} down)"
        show.line(
            "", f"{counts} on {found.queries} queries by {found.voters} voters in {found.community}", style="bold"
        )
    if found.fitted is not None and found.spread is not None:
        table = Table("", "answers with", "fits the votes", "give or take", box=None, pad_edge=False)
        for modality in MODALITIES:
            answers = found.weights[modality] if found.weights else 1.0
            spread = f"× or ÷ {found.spread[modality]:.2f}"
            table.add_row(show.SENSES[modality], f"{answers:.2f}", f"{found.fitted[modality]:.2f}", spread)
        show.out.print(table)
    if found.before is not None and found.after is not None:
        over = "the new votes" if found.outcome == "rolled-back" else "votes held out"
        give = f", give or take {found.error:.4f}" if found.error is not None else ""
        gain = found.before - found.after
        text = f"Log-loss on {over}: {found.before:.4f} by default, {found.after:.4f} with these"
        show.line("", f"{text}; better by {gain:.4f}{give}." if gain > 0 else f"{text}; worse by {-gain:.4f}{give}.")
    show.line("", found.sentence)


COMMANDS: dict[str, Callable[..., None]] = {"vote": vote, "tune": tune}
