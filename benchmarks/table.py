"""`python -m benchmarks.table`: what is in benchmarks/results as Markdown, printed and put into docs/performance.md.

A file of results holds what `benchmarks.paired.save` writes, or a table of its own:
`{"title": …, "head": [column, …], "rows": [[cell, …], …]}`. A test keeps the document equal to the results.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.paired import RESULTS

DOCUMENT = Path(__file__).resolve().parent.parent / "docs/performance.md"
BEGIN, END = "<!-- figures: begin (generated) -->", "<!-- figures: end -->"
HEAD = ["", "work", "clipsim", "plain way", "times as fast"]
NOTHING = "Nothing has been measured yet: `make bench`, then `python -m benchmarks.table`."


def render(results: Path = RESULTS) -> str:
    """All results as Markdown: one table of what was done in two ways, then each table of another kind."""
    pairs: list[list[str]] = []
    others: list[str] = []
    for file in sorted(results.glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            others.append(f"{found['title']}:\n\n{_table(found['head'], found['rows'])}")
        else:
            pairs += [_row(row) for row in found]
    return "\n\n".join(([_table(HEAD, pairs)] if pairs else []) + others) or NOTHING


def written(document: str, figures: str) -> str:
    """The document with these figures between its marks."""
    head, rest = document.split(BEGIN, 1)
    return f"{head}{BEGIN}\n{figures}\n{END}{rest.split(END, 1)[1]}"


def _row(row: dict[str, Any]) -> list[str]:
    ours, naive = row["ours"], row["naive"]
    ratios = sorted(theirs["seconds"] / mine["seconds"] for mine, theirs in zip(ours, naive, strict=True))
    cells = [
        f"{statistics.median(run['seconds'] for run in runs):.2f} s, {max(run['memory'] for run in runs):.0f} MiB"
        for runs in (ours, naive)
    ]
    ratio = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
    return [row["title"], row["unit"], *cells, ratio]


def _table(head: list[Any], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def main() -> None:
    figures = render()
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), figures), encoding="utf-8")
    print(figures)


if __name__ == "__main__":
    main()
