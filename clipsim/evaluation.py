"""`clipsim evaluate`: every way to compare clips side by side, on the same clips, in figures and with their intervals.

Each contender is fitted on the pool and on nothing else; labels only judge. See `clipsim.judgements` for who is right,
`clipsim.measures` for the figures, `clipsim.probes` for the rest of what is tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from clipsim import measures, probes
from clipsim.contenders import Contender, Fitted, Pool, Rows, chosen, chunks
from clipsim.errors import InvalidSetting
from clipsim.figures import Comparison, Evaluation, Failure, Result, Shown
from clipsim.judgements import Judgements, LabelName, judge
from clipsim.measures import Column
from clipsim.model import METHODS, Clip, Method

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much

SHOWN, ANSWERS = 5, 3  # failures that are shown, with so many of what was found


def evaluate(
    pool: Pool,
    label: LabelName = "genre",
    *,
    exclude: Literal["artist"] | None = None,
    methods: Sequence[str] | None = None,
    default: Method = "standard",
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure contenders on a pool of clips.

    Args:
        pool: the clips, their features and words.
        label: what makes two clips go together: genre, artist, album, or what people voted (feedback).
        exclude: "artist" takes a query's own artist's clips out of its list, so that genre is not known by voice.
        methods: names of `clipsim.contenders` ("all": every one; None: all but those that take minutes).
        default: the method that answers.
        seed: of everything that is drawn.
        progress: told what is under way, and how much of it is done.

    Raises:
        EmptyLibrary: too few clips have the label, or nobody voted.
        InvalidSetting: there is no contender of a name, or artists are to be found and excluded at once.
    """
    wanted = named(pool, methods)
    judged = judge(pool, label, exclude)
    tell = progress or (lambda what, done, of: None)
    results, values, skipped = [], {}, {}
    failures: dict[str, tuple[Failure, ...]] = {}
    for contender in wanted:
        if why := contender.missing(pool):
            skipped[contender.name] = why
            continue
        trial = _Trial(pool, judged, contender, seed, tell)
        values[contender.name] = trial.values
        failures[contender.name] = trial.failures()
        results.append(trial.result())
    blind = [measures.chance(judged.right(part), judged.among(part)) for part in _queries(judged)]
    best = default if default in values else next(iter(values), default)
    return Evaluation(
        label,
        len(pool.clips),
        len(judged.queries),
        judged.left_out,
        exclude,
        tuple(results),
        skipped,
        {name: float(np.concatenate([each[name] for each in blind]).mean()) for name in measures.MEASURES},
        default,
        _compared({result.name: values[result.name]["map"] for result in results if result.name in METHODS}, seed),
        best,
        failures.get(best, ()),
    )


def named(pool: Pool, methods: Sequence[str] | None) -> list[Contender]:
    """The contenders of these names (see `evaluate`).

    Raises:
        InvalidSetting: there is none of a name; the message lists them.
    """
    try:
        return chosen(pool.preset, methods)
    except KeyError as error:
        from clipsim.contenders import contenders

        raise InvalidSetting(
            f"There is no method {error.args[0]!r} to measure.",
            hint=f"There are: {', '.join(contenders(pool.preset))}.",
        ) from None


class _Trial:
    """One contender, fitted and asked with every clip of the pool."""

    def __init__(self, pool: Pool, judged: Judgements, contender: Contender, seed: int, tell: Progress) -> None:
        self.pool, self.judged, self.contender, self.seed, self.tell = pool, judged, contender, seed, tell
        name, count = contender.name, len(pool.clips)
        tell(name, 0, count)
        begun = time.perf_counter()
        self.fitted: Fitted = contender.fit(pool, lambda done, of, loss: tell(f"training {name}", done, of))
        self.seconds = time.perf_counter() - begun
        self.rows: Rows = self.fitted.rows(pool.features, pool.lyrics)
        asked, lists = np.isin(np.arange(count), judged.queries), []
        found: list[dict[str, Column]] = []
        self.best: dict[int, list[int]] = {}
        for part in chunks(count):
            tell(name, int(part[0]), count)
            scores = self.fitted.compare(self.rows[part], self.rows)
            others = np.ones(scores.shape, np.bool_)
            others[np.arange(len(part)), part] = False
            lists += measures.listed(scores, others)
            mine = part[asked[part]]
            if len(mine):
                among = judged.among(mine)
                found.append(measures.retrieval(scores[asked[part]], judged.right(mine), among))
                answers = measures.listed(scores[asked[part]], among, ANSWERS)
                self.best |= {int(row): answer.tolist() for row, answer in zip(mine, answers, strict=True)}
        self.values = {measure: np.concatenate([each[measure] for each in found]) for measure in measures.MEASURES}
        self.hubs = measures.hubs(lists, count)

    def result(self) -> Result:
        name, own = self.contender.name, self.contender.method
        intervals = {measure: measures.interval(values, self.seed) for measure, values in self.values.items()}
        known = {"halves": probes.halves(self.pool, self.fitted), **probes.copies(self.pool, self.fitted)}
        missing = {}
        if own:
            missing = probes.curves(
                self.pool,
                self.fitted,
                self.judged,
                self.seed,
                lambda done, of: self.tell(f"{name}, senses missing", done, of),
            )
            self.tell(f"{name}, its index", 0, 1)
        return Result(
            name,
            self.contender.about,
            {measure: float(values.mean()) for measure, values in self.values.items()},
            intervals,
            {kind: told for kind, told in known.items() if told},
            self._clusters(),
            self.hubs,
            missing,
            probes.index_recall(self.rows, [clip.id for clip in self.pool.clips]) if own else None,
            self.seconds,
            probes.embedding_time(self.pool, self.fitted),
        )

    def _clusters(self) -> dict[str, float]:
        """Of the queries: clips that are alone with their label are no group."""
        if not self.contender.space or self.judged.label == "feedback":
            return {}
        labels = [str(self.judged.labels[row]) for row in self.judged.queries]
        if not 1 < len(set(labels)) < len(labels):
            return {}
        self.tell(f"{self.contender.name}, its clusters", 0, 1)
        return measures.clusters(self.rows[self.judged.queries], labels, self.seed)

    def failures(self) -> tuple[Failure, ...]:
        values = self.values["map"]
        worst = [place for place in np.argsort(values, kind="stable")[:SHOWN] if values[place] < 1]  # else none failed
        return tuple(
            Failure(
                self._shown(row, row),
                float(values[place]),
                tuple(self._shown(other, row) for other in self.best[row]),
            )
            for place in worst
            for row in [int(self.judged.queries[place])]
        )

    def _shown(self, row: int, query: int) -> Shown:
        clip: Clip = self.pool.clips[row]
        right = bool(self.judged.right(np.array([query]))[0, row])
        return Shown(clip.id, clip.title, clip.artist, label_shown(clip, self.judged.label), right)


def label_shown(clip: Clip, label: LabelName) -> str | None:
    """A clip's label as it is written; None for feedback."""
    return {"genre": clip.genre, "artist": clip.artist, "album": clip.album}.get(label)


def _queries(judged: Judgements) -> list[measures.Places]:
    return [judged.queries[part] for part in chunks(len(judged.queries))]


def _compared(average: Mapping[str, Column], seed: int) -> Comparison | None:
    if len(average) < 2:
        return None
    best, second = sorted(average, key=lambda name: -float(average[name].mean()))[:2]
    difference = average[best] - average[second]
    return Comparison(
        best,
        second,
        float(difference.mean()),
        measures.interval(difference, seed),
        measures.randomisation(average[best], average[second], seed),
        len(difference),
    )
