"""`clipsim evaluate`: how well every method finds what goes together, as a table, a document or a page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clipsim.cli.shared import DataOption, JsonOption, everywhere, library, progress_bars, run, settings_of

if TYPE_CHECKING:
    from clipsim.evaluation import Progress as Telling
    from clipsim.figures import Evaluation, Result
    from clipsim.progress import Progress as Bars

NOTE = "share never recommended. halves: clips whose first half finds their second first."

Labels = Literal["genre", "artist", "album", "feedback"]


def evaluate(
    label: Annotated[Labels, typer.Option(help="What goes together: clips of one genre, artist, album, or votes.")] = (
        "genre"
    ),
    exclude: Annotated[
        Literal["artist"] | None, typer.Option(help="Leave a clip's own artist's clips out of its list.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(metavar="NAME,…|all", help="What to measure (default: all but paper, which is slow).")
    ] = None,
    copies: Annotated[
        int, typer.Option(min=0, max=1000, metavar="N", help="Look also for changed copies of N clips' files.")
    ] = 0,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page with plots.")] = None,
    community: Annotated[str, typer.Option(metavar="ID", help="Whose clips and votes.")] = "home",
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how well every method finds what goes together, side by side, with intervals."""
    if label == "artist" and exclude == "artist":
        raise typer.BadParameter(
            "clips of one artist cannot be found with that artist excluded", param_hint="--exclude"
        )
    if report is not None and report.suffix.lower() != ".html":
        raise typer.BadParameter("the name ends in .html", param_hint="--report")
    names = _names(methods, data)

    async def work() -> int:
        from clipsim import show

        async with library(data) as sim, progress_bars(None) as bars:
            with _told(bars) as telling:
                found = await sim.evaluate(
                    label, exclude=exclude, methods=names, community=community, copies=copies, progress=telling
                )
        if report is not None:
            from clipsim.evaluation_report import write

            await asyncio.to_thread(write, found, report)
        if json or everywhere.json:
            show.document(found.json())
        else:
            _print(found)
            if report is not None:
                show.line("", f"Wrote {report}.")
        return 0

    run(work())


def _names(methods: str | None, data: Path | None) -> list[str] | None:
    """The names in `--methods`.

    Raises:
        typer.BadParameter: there is none of that name; it lists them.
    """
    if methods is None:
        return None
    from clipsim.contenders import contenders
    from clipsim.encoders import PRESETS

    names = [name.strip() for name in methods.split(",") if name.strip()]
    known = list(contenders(PRESETS[settings_of(data).preset]))
    unknown = [name for name in names if name not in (*known, "all")]
    if unknown or not names:
        raise typer.BadParameter(f"choose from all, {', '.join(known)}", param_hint="--methods")
    return names


@contextmanager
def _told(bars: Bars) -> Iterator[Telling]:
    """One bar, under the name of what is under way."""
    with ExitStack() as stack:
        shown = ""
        step: Callable[[int, int], None] = lambda done, of: None  # noqa: E731

        def telling(what: str, done: int, of: int) -> None:
            nonlocal shown, step
            if what != shown:
                stack.close()
                shown, step = what, stack.enter_context(bars.task(what))
            step(done, of)

        yield telling


# For people


def _print(found: Evaluation) -> None:
    from clipsim import show

    told = f"By {found.label}: {found.clips} clips, {found.queries} of them asked"
    told += f", {found.left_out} without anything to find" if found.left_out else ""
    told += ", without those of the same artist" if found.exclude else ""
    show.line("", told, style="bold")
    show.out.print(_table(found))
    notes = ["±: half a 95 % interval. skew, never: how unevenly clips are recommended,", NOTE]
    if any(result.name == found.default for result in found.results):
        notes.insert(0, ">: the method that answers.")
    for note in notes:
        show.line("", note, style="dim")
    for name, why in found.skipped.items():
        show.line("", f"Not measured: {name}. {why}", style="dim")
    if found.comparison:
        show.out.print()
        show.line("", str(found.comparison))
    _print_copies(found)
    _print_missing(found)
    _print_failures(found)


def _table(found: Evaluation) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("method", no_wrap=True)
    for heading in ("P@1", "P@5", "P@10", "mAP", "", "NMI", "skew", "never", "halves"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in found.results:
        low, high = result.intervals["map"]
        table.add_row(
            ">" if result.name == found.default else "",
            result.name,
            *(f"{result.means[name]:.3f}" for name in ("p@1", "p@5", "p@10", "map")),
            f"±{(high - low) / 2:.3f}",
            f"{result.clusters['nmi']:.2f}" if result.clusters else "–",
            f"{result.hubs['skew']:.2f}",
            _percent(result.hubs["never"]),
            _percent(result.known["halves"]["recall@1"]) if "halves" in result.known else "–",
            style="bold" if result.name == found.default else "",
        )
    table.add_row("", "chance", *(f"{found.chance[name]:.3f}" for name in ("p@1", "p@5", "p@10", "map")), style="dim")
    return table


def _print_copies(found: Evaluation) -> None:
    from rich.table import Table

    from clipsim import show

    kinds = list(dict.fromkeys(kind for result in found.results for kind in result.known if kind != "halves"))
    if not kinds:
        return
    counts = {kind: next(r.known[kind]["queries"] for r in found.results if kind in r.known) for kind in kinds}
    show.out.print()
    show.line("", "Copies whose original comes first", style="bold")
    table = Table("method", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for kind in kinds:
        table.add_column(f"{kind}\nof {counts[kind]:.0f}", justify="right", no_wrap=True)
    for result in found.results:
        if any(kind in result.known for kind in kinds):
            cells = (_percent(result.known[kind]["recall@1"]) if kind in result.known else "–" for kind in kinds)
            table.add_row(result.name, *cells, style="bold" if result.name == found.default else "")
    show.out.print(table)


def _print_missing(found: Evaluation) -> None:
    from rich.table import Table

    from clipsim import show
    from clipsim.contenders import SENSES

    result: Result | None = next((each for each in found.results if each.name == found.judged), None)
    if result is None or not result.missing:
        return
    show.out.print()
    show.line("", f"P@5 of {result.name} where a share of the clips that have it loses its", style="bold")
    table = Table("", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for point in next(iter(result.missing.values())):
        table.add_column(_percent(point.share), justify="right")
    for modality, points in result.missing.items():
        table.add_row(SENSES[modality], *(f"{point.precision:.3f}" for point in points))
    show.out.print(table)


def _print_failures(found: Evaluation) -> None:
    from clipsim import show

    if not found.failures:
        return
    show.out.print()
    show.line("", f"Worst answers of {found.judged}", style="bold")
    for failure in found.failures:
        show.line(f"{failure.precision:.3f}  ", str(failure.query))
        for other in failure.found:
            show.line(f"     {'+' if other.right else '-'} ", str(other), style="dim")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


COMMANDS: dict[str, Callable[..., None]] = {"evaluate": evaluate}
