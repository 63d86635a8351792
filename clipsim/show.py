"""What the command line prints: each result as a JSON document, and as a table for people.

Titles come from strangers: they reach the terminal as `Text`, never as Rich markup, and without control characters.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from clipsim.errors import ClipSimError
from clipsim.model import JSON, MODALITIES, Answer, Clip, Clustering, Health, Label, Match
from clipsim.titles import printable

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)

ROUND = 6  # decimals of a similarity in JSON
SHOWN = 10  # members of a cluster that are listed
SENSES = {"audio": "sound", "video": "look", "lyrics": "words"}
QUALITY = {"silhouette": "silhouette", "nmi": "NMI with genres"}  # that people are told; --json has all


def document(value: Any) -> None:
    """Print one JSON document."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def plain(text: object, style: str = "") -> Text:
    """A stranger's text, safe for a terminal: no control characters, no markup."""
    return Text(printable(text), style=style)


def plain_lines(text: str) -> Text:
    """Several lines of such text."""
    return Text("\n").join(plain(line) for line in text.splitlines())


# JSON


def labels(found: Sequence[Label]) -> list[JSON]:
    """Tags or classes, best first."""
    return [{"label": label.label, "score": round(label.score, ROUND)} for label in found]


def added(source: str, clip: Clip | None, status: str, error: ClipSimError | None = None) -> JSON:
    """One object of `clipsim add --json`."""
    return {
        "source": source,
        "id": clip.id if clip else None,
        "title": clip.title if clip else None,
        "artist": clip.artist if clip else None,
        "duration": clip.duration if clip else None,
        "status": status,
        "error": {"code": error.code, "message": str(error)} if error else None,
        "modalities": list(clip.modalities) if clip else [],
        "tempo": clip.tempo if clip else None,
        "tags": labels(clip.tags) if clip else [],
        "classes": labels(clip.classes) if clip else [],
        "notes": list(clip.notes) if clip else [],
    }


def match(found: Match) -> JSON:
    """One result of `clipsim similar --json`."""
    clip = found.clip
    return {
        "rank": found.rank,
        "id": clip.id,
        "title": clip.title,
        "artist": clip.artist,
        "url": clip.url or clip.path,
        "similarity": round(found.similarity, ROUND),
        "by": {name: round(found.by[name], ROUND) if name in found.by else None for name in MODALITIES},
        "cluster": found.cluster.label if found.cluster else None,
        "why": found.why,
    }


def answer(found: Answer) -> JSON:
    """`clipsim similar --json`."""
    query = found.query
    return {
        "query": {
            "id": query.id,
            "title": query.title,
            "artist": query.artist,
            "url": query.url or query.path,
            "cluster": found.cluster.label if found.cluster else None,
            "modalities": list(query.modalities),
            "status": found.status,
        },
        "method": found.method,
        **({"weights": dict(found.weights)} if found.weights is not None else {}),
        "notice": found.notice,
        "results": [match(result) for result in found.results],
    }


def clustering(found: Clustering) -> JSON:
    """`clipsim cluster --json`."""
    return {
        "method": found.method,
        "clusters": [
            {
                "id": cluster.id,
                "label": cluster.label,
                "size": cluster.size,
                "members": [{"id": clip.id, "title": clip.title} for clip in cluster.members],
            }
            for cluster in found.clusters
        ],
        "quality": dict(found.quality),
    }


# For people: a line that matters, then what there is to say about it, so that no terminal is too narrow


def print_added(rows: Iterable[JSON]) -> None:
    """`clipsim add` for people."""
    for row in rows:
        if row["status"] == "failed":
            continue
        line(f"{row['status']:>5}  ", named(row["title"], row["artist"]), f"  {row['id']}")
        found = [SENSES[name] for name in row["modalities"]]
        about = [" and ".join(", ".join(found).rsplit(", ", 1))]
        if row["tempo"]:
            about.append(f"{row['tempo']:.0f} bpm")
        about += [", ".join(label["label"] for label in row[kind][:3]) for kind in ("tags", "classes") if row[kind]]
        line("       ", " · ".join(about), style="dim")


def print_answer(found: Answer) -> None:
    """`clipsim similar` for people."""
    where = f" · {found.cluster.label}" if found.cluster else ""
    line("Like ", named(found.query.title, found.query.artist), where, style="bold")
    for result in found.results:
        line(f"{result.rank:3}  {result.similarity:6.3f}  ", named(result.clip.title, result.clip.artist))
        by = ", ".join(f"{SENSES[name]} {result.by[name]:.2f}" for name in MODALITIES if name in result.by)
        where = f" · {result.cluster.label}" if result.cluster else ""
        line("             ", f"{by}{where} · {result.why}", style="dim")
        if result.clip.url:
            line("             ", result.clip.url, style="dim")
    if not found.results:
        out.print("Nothing to compare with yet: add more clips.")


def print_clustering(found: Clustering) -> None:
    """`clipsim cluster` for people."""
    told = [
        f"{name.upper() if name == 'nmi' else name} {found.quality[name]:.2f}"
        for name in QUALITY
        if name in found.quality
    ]
    count = f"{len(found.clusters)} cluster{'s' if len(found.clusters) != 1 else ''}"
    line("", f"{count} by {found.method}" + (f" · {', '.join(told)}" if told else ""), style="bold")
    for cluster in found.clusters:
        out.print()
        line("", f"{cluster.id:2}  {cluster.label} ({cluster.size})", style="bold")
        for clip in cluster.members[:SHOWN]:
            line("      ", named(clip.title, clip.artist))
        if cluster.size > SHOWN:
            line("      ", f"… and {cluster.size - SHOWN} more")


def line(before: str, text: str, after: str = "", style: str = "") -> None:
    """Print one line; `text` is a stranger's."""
    out.print(Text(before, style=style) + plain(text, style) + Text(after, style="dim"), soft_wrap=True)


def print_health(rows: Iterable[Health]) -> None:
    """`clipsim doctor` for people."""
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for row in rows:
        table.add_row("[green]ok[/]" if row.ok else "[red]!![/]", row.name, plain(row.detail), plain(row.mend))
    out.print(table)


def named(title: str | None, artist: str | None) -> str:
    """`Artist – Title`, or the title alone."""
    return f"{artist} – {title}" if artist and artist.casefold() not in (title or "").casefold() else title or ""
