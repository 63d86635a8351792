"""Two ways to do one thing, by turns, each run in a process of its own: seconds, peak memory, and the ratio by pairs.

A way is a function that prepares (imports, weights, input, a first call on a little of it) and returns what is timed;
if that has a `close`, it is called in the end. Machines drift: only the runs of one pair are compared with each other.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

RESULTS = Path(__file__).with_name("results")
RUNS = 5
Way = Callable[[], Callable[[], object]]


@dataclass(frozen=True)
class Run:
    """One run: seconds on the clock, and the most memory (MiB) that its process ever held, imports included.

    `more` is whatever else the work told of itself, by name.
    """

    seconds: float
    memory: float
    more: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A thing done in two ways; `ours[i]` and `naive[i]` ran one after the other."""

    title: str
    unit: str  # what one run works through
    ours: tuple[Run, ...]
    naive: tuple[Run, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times as long the naive way takes, by pair, lowest first."""
        return sorted(n.seconds / o.seconds for o, n in zip(self.ours, self.naive, strict=True))

    def line(self) -> str:
        """A row of the table: seconds and memory (medians), and the ratio with its range."""
        low, middle, high = self.ratios[0], statistics.median(self.ratios), self.ratios[-1]
        cells = [
            f"{statistics.median(run.seconds for run in runs):.2f} s, {max(run.memory for run in runs):.0f} MiB"
            for runs in (self.ours, self.naive)
        ]
        return f"| {self.title} | {self.unit} | {cells[0]} | {cells[1]} | {middle:.1f} ({low:.1f} to {high:.1f}) |"


HEAD = "| | work | clipsim | naive | times as fast |\n|---|---|---|---|---|"


def compare(title: str, unit: str, ours: Way, naive: Way, *, runs: int = RUNS) -> Comparison:
    """Run both ways by turns, tell how it goes, and return what was measured."""
    found: dict[str, list[Run]] = {"ours": [], "naive": []}
    for number in range(runs):
        for name, way in (("ours", ours), ("naive", naive)):
            print(f"\r{title}: run {number + 1} of {runs}, {name}   ", end="", file=sys.stderr, flush=True)
            with ProcessPoolExecutor(1, get_context("spawn")) as child:
                found[name].append(child.submit(_once, way).result())
    print(file=sys.stderr)
    comparison = Comparison(title, unit, tuple(found["ours"]), tuple(found["naive"]))
    print(comparison.line(), flush=True)
    return comparison


def save(name: str, comparisons: list[Comparison]) -> Path:
    """Write what was measured to `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    rows = [{**asdict(each), "ratio": statistics.median(each.ratios)} for each in comparisons]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return path


def save_table(name: str, title: str, head: list[str], rows: list[list[str]], figures: object) -> Path:
    """Write a table of another kind to `results/NAME.json`, and beside it the figures that it was made of."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    table = {"title": title, "head": head, "rows": rows, "figures": figures}
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return path


def _once(way: Way) -> Run:
    work = way()
    begun = time.perf_counter()
    told = work()
    seconds = time.perf_counter() - begun
    more = told if isinstance(told, dict) else {}
    getattr(work, "close", lambda: None)()
    return Run(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, more)
