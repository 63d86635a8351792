"""What a fitted contender is put to besides finding labels: known items, missing modalities, the index itself."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from clipsim import measures
from clipsim.contenders import Fitted, Pool, Rows, chunks
from clipsim.errors import IndexUnavailable
from clipsim.judgements import Judgements
from clipsim.model import Features, Matrix, Modality

log = logging.getLogger(__name__)

Step = Callable[[int, int], None]  # done, of

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the clips, that lose a modality
COMMON = 0.5  # share of the clips that have a modality, from which losing it is measured
SAMPLE = 500  # queries that the curves are measured on, at most
TIMED = 20  # clips that are embedded one by one
ASKED = 500  # queries that the index is asked at once


@dataclass(frozen=True, slots=True)
class Point:
    """What is left once a share of the clips, 0 to 1, has lost a modality."""

    share: float
    precision: float  # P@5
    map: float


def halves(pool: Pool, fitted: Fitted) -> dict[str, float]:
    """Whether the first half of each clip finds its own second half among all second halves; {} where none can say.

    By what the encoders found in the halves (`Features.segments`), and by nothing else.
    """
    pairs = [sides for found in pool.features if (sides := _sides(found))]
    if len(pairs) < 2:
        return {}
    return _known(fitted, [a for a, _ in pairs], [b for _, b in pairs], np.arange(len(pairs)))


def copies(pool: Pool, fitted: Fitted) -> dict[str, dict[str, float]]:
    """Whether a changed copy finds its original among all clips, by what was changed."""
    found = {}
    for change in dict.fromkeys(copy.change for copy in pool.copies):
        made = [copy for copy in pool.copies if copy.change == change]
        originals = np.array([copy.original for copy in made], np.intp)
        told = _known(fitted, [copy.features for copy in made], pool.features, originals)
        if told:
            found[change] = told
    return found


def _sides(found: Features) -> tuple[Features, Features] | None:
    parts = {name: rows for name, rows in found.segments.items() if len(rows) > 1}
    if not parts:
        return None
    return Features({n: rows[0] for n, rows in parts.items()}), Features({n: rows[1] for n, rows in parts.items()})


def _known(
    fitted: Fitted, asked: Sequence[Features], among: Sequence[Features], own: measures.Places
) -> dict[str, float]:
    queries, candidates = fitted.rows(asked, ()), fitted.rows(among, ())
    places, silent = [], True
    for part in chunks(len(asked)):
        scores = fitted.compare(queries[part], candidates)
        silent = silent and bool(np.isnan(scores).all())
        places.append(measures.ranks(scores, own[part]))
    return {} if silent else {**measures.known_item(np.concatenate(places)), "queries": len(asked)}


def curves(
    pool: Pool, fitted: Fitted, judged: Judgements, seed: int = 0, step: Step = lambda done, of: None
) -> dict[Modality, tuple[Point, ...]]:
    """How precise the fitted contender stays while more and more clips lose a modality, both as query and candidate.

    For each modality that at least half of the clips have. The clips that lose it are drawn once, each set within the
    next; a clip never loses its last modality. Measured on at most 500 queries, drawn.
    """
    generator = np.random.default_rng(seed)
    queries = np.sort(generator.permutation(judged.queries)[:SAMPLE])
    held = [pool.preset.modalities(found.vectors) for found in pool.features]
    plan = []
    for modality in pool.modalities:
        can = [row for row, names in enumerate(held) if modality in names and len(names) > 1]
        if sum(modality in names for names in held) >= COMMON * len(held) and can:
            plan.append((modality, generator.permutation(can)))
    found: dict[Modality, tuple[Point, ...]] = {}
    for number, (modality, losers) in enumerate(plan):
        points = []
        for at, share in enumerate(SHARES):
            step(number * len(SHARES) + at, len(plan) * len(SHARES))
            gone = set(losers[: round(share * len(losers))].tolist())
            points.append(Point(share, *_left(pool, fitted, judged, queries, modality, gone)))
        found[modality] = tuple(points)
    return found


def _left(
    pool: Pool, fitted: Fitted, judged: Judgements, queries: measures.Places, modality: Modality, gone: set[int]
) -> tuple[float, float]:
    lost = {part.encoder for part in pool.preset.of(modality)}
    features = [
        Features({n: v for n, v in found.vectors.items() if n not in lost}) if row in gone else found
        for row, found in enumerate(pool.features)
    ]
    rows = fitted.rows(features, pool.lyrics)
    parts = []
    for part in chunks(len(queries)):
        asked = queries[part]
        parts.append(measures.retrieval(fitted.compare(rows[asked], rows), judged.right(asked), judged.among(asked)))
    told = {name: float(np.concatenate([each[name] for each in parts]).mean()) for name in ("p@5", "map")}
    return told["p@5"], told["map"]


def embedding_time(pool: Pool, fitted: Fitted) -> float:
    """Seconds that it takes to represent one clip: the median of twenty, one at a time."""
    taken = []
    for row in range(min(TIMED, len(pool.clips))):
        begun = time.perf_counter()
        fitted.rows(pool.features[row : row + 1], pool.lyrics[row : row + 1])
        taken.append(time.perf_counter() - begun)
    return median(taken)


def index_recall(matrix: Matrix, ids: Sequence[str], k: int = measures.LISTED) -> float | None:
    """The share of each clip's exact `k` nearest that the real index returns, in a folder that goes again.

    What is exactly as near as the last of them counts as one of them. None where there is no index to be had.
    """
    rows = np.asarray(matrix, np.float32)
    k = min(k, len(ids) - 1)
    try:
        with tempfile.TemporaryDirectory(prefix="clipsim-", ignore_cleanup_errors=True) as folder:
            answers = list(_answers(rows, ids, k, Path(folder)))
    except IndexUnavailable as error:
        log.warning("the index cannot be measured: %s", error)
        return None
    row_of = {clip_id: row for row, clip_id in enumerate(ids)}
    right = 0
    for part in chunks(len(ids)):
        cosines = rows[part].astype(np.float64) @ rows.T.astype(np.float64)
        cosines[np.arange(len(part)), part] = -np.inf
        last = np.sort(cosines, axis=1)[:, -k] - 1e-6
        for place, row in enumerate(part.tolist()):
            found = [row_of[clip_id] for clip_id in answers[row] if clip_id != ids[row]][:k]
            right += int((cosines[place, found] >= last[place]).sum())
    return right / (k * len(ids))


def _answers(rows: Rows, ids: Sequence[str], k: int, folder: Path) -> Iterator[list[str]]:
    from clipsim.index import Index
    from clipsim.settings import load

    index = Index(load(data=folder).model_copy(update={"chroma": None}), "measured")
    try:
        name = index.name("measured", "home")
        index.rebuild(name, dict(zip(ids, rows, strict=True)))
        for part in chunks(len(ids), ASKED):
            for answer in index.query_many(name, rows[part], k + 1):  # itself among them
                yield [clip_id for clip_id, _ in answer]
    finally:
        index.close()
