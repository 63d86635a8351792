"""docs/performance.md shows what benchmarks/results holds."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import table
from benchmarks.paired import Comparison, Run


def test_the_document_shows_the_results() -> None:
    document = table.DOCUMENT.read_text(encoding="utf-8")
    assert document == table.written(document, table.render()), "run: python -m benchmarks.table"


def test_figures_become_a_table(tmp_path: Path) -> None:
    assert table.render(tmp_path) == table.NOTHING
    ours, naive = (Run(1.0, 100), Run(2.0, 300), Run(1.0, 200)), (Run(3.0, 500), Run(4.0, 400), Run(5.0, 400))
    rows = [{"title": "I3D", "unit": "4 min", "ours": [vars_(r) for r in ours], "naive": [vars_(r) for r in naive]}]
    (tmp_path / "b.json").write_text(json.dumps(rows), encoding="utf-8")
    growth = {"title": "Growth", "head": ["clips", "ms"], "rows": [[1000, 1.5]]}
    (tmp_path / "a.json").write_text(json.dumps(growth), encoding="utf-8")
    first, second = table.render(tmp_path).split("\n\n", 1)
    assert first.splitlines()[2] == Comparison("I3D", "4 min", ours, naive).line()
    assert first.splitlines()[2] == "| I3D | 4 min | 1.00 s, 300 MiB | 4.00 s, 500 MiB | 3.0 (2.0 to 5.0) |"
    assert second == "Growth:\n\n| clips | ms |\n| --- | --- |\n| 1000 | 1.5 |"


def vars_(run: Run) -> dict[str, float]:
    return {"seconds": run.seconds, "memory": run.memory}
