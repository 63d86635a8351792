"""What `clipsim evaluate` found, as values that turn into plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clipsim.judgements import LabelName
from clipsim.model import JSON, Modality
from clipsim.probes import Point

SURE = 0.05  # p below which two methods are told apart
DECIMALS = 6  # of figures in JSON


@dataclass(frozen=True, slots=True)
class Result:
    """One contender's figures. What could not be measured is empty, or None."""

    name: str
    about: str
    means: Mapping[str, float]  # of p@1, p@5, p@10 and map, over the queries
    intervals: Mapping[str, tuple[float, float]]  # of the same, 95 %
    known: Mapping[str, Mapping[str, float]]  # recall@1, recall@10, mrr and queries, of "halves" and each change
    clusters: Mapping[str, float]  # nmi, ari
    hubs: Mapping[str, float]  # skew, never
    missing: Mapping[Modality, tuple[Point, ...]]
    index_recall: float | None
    fit_seconds: float
    embed_seconds: float  # one clip

    def json(self) -> JSON:
        """As plain JSON."""
        return {
            "about": self.about,
            **{name: round(value, DECIMALS) for name, value in self.means.items()},
            "interval": {name: [round(end, DECIMALS) for end in ends] for name, ends in self.intervals.items()},
            "known": {kind: rounded(told) for kind, told in self.known.items()},
            "nmi": rounded(self.clusters).get("nmi"),
            "ari": rounded(self.clusters).get("ari"),
            "hubs": rounded(self.hubs),
            "index_recall@10": None if self.index_recall is None else round(self.index_recall, DECIMALS),
            "missing": {
                modality: [rounded({"share": p.share, "p@5": p.precision, "map": p.map}) for p in points]
                for modality, points in self.missing.items()
            },
            "seconds": round(self.fit_seconds, 3),
            "embed_ms": round(1000 * self.embed_seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two best of clipsim's own methods by mAP, and whether they can be told apart."""

    best: str
    second: str
    difference: float
    interval: tuple[float, float]
    p: float
    queries: int

    @property
    def apart(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p < SURE and self.interval[0] > 0

    def __str__(self) -> str:
        ends = f"{self.interval[0]:.3f} to {self.interval[1]:.3f}"
        chance = f"p = {self.p:.2g}" if self.p >= 0.001 else "p < 0.001"
        if self.apart:
            return f"{self.best} is better than {self.second} by {self.difference:.3f} mAP ({ends}), {chance}."
        return (
            f"{self.best} and {self.second} cannot be told apart on these {self.queries} queries: "
            f"{self.difference:.3f} mAP ({ends}), {chance}."
        )

    def json(self) -> JSON:
        """As plain JSON."""
        return {
            "best": self.best,
            "second": self.second,
            **rounded({"difference": self.difference, "p": self.p}),
            "interval": [round(end, DECIMALS) for end in self.interval],
            "apart": self.apart,
            "sentence": str(self),
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip as a failure shows it. `right`: whether it goes with the query."""

    id: str
    title: str
    artist: str | None
    label: str | None
    right: bool = False

    def __str__(self) -> str:
        known = self.artist and self.artist.casefold() not in self.title.casefold()
        named = f"{self.artist} – {self.title}" if known else self.title
        return f"{named} ({self.label})" if self.label and self.label != self.artist else named

    def json(self) -> JSON:
        """As plain JSON."""
        return {"id": self.id, "title": self.title, "artist": self.artist, "label": self.label, "right": self.right}


@dataclass(frozen=True, slots=True)
class Failure:
    """A query that was answered badly, and what was found first."""

    query: Shown
    precision: float  # average precision
    found: tuple[Shown, ...]

    def json(self) -> JSON:
        """As plain JSON."""
        query = self.query.json()
        del query["right"]
        return {**query, "ap": round(self.precision, DECIMALS), "found": [each.json() for each in self.found]}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured. `results` are in the order of `clipsim.contenders`."""

    label: LabelName
    clips: int
    queries: int
    left_out: int  # queries without any right candidate
    exclude: str | None
    results: tuple[Result, ...]
    skipped: Mapping[str, str]  # why a contender could not run
    chance: Mapping[str, float]  # what a random order reaches
    default: str  # the method that answers
    comparison: Comparison | None
    judged: str  # whose failures they are: the default where it was measured
    failures: tuple[Failure, ...] = ()

    def json(self) -> JSON:
        """As plain JSON. Others rely on label, clips, methods with p@1, p@5, p@10, map and interval, and default."""
        return {
            "label": self.label,
            "clips": self.clips,
            "queries": self.queries,
            "left_out": self.left_out,
            "exclude": self.exclude,
            "methods": {result.name: result.json() for result in self.results},
            "skipped": dict(self.skipped),
            "chance": rounded(self.chance),
            "default": self.default,
            "comparison": self.comparison.json() if self.comparison else None,
            "failures_of": self.judged,
            "failures": [failure.json() for failure in self.failures],
        }


def rounded(told: Mapping[str, float]) -> dict[str, float]:
    """Figures as JSON has them; counts as they are."""
    return {name: value if isinstance(value, int) else round(value, DECIMALS) for name, value in told.items()}
