"""Questions, from an index alone to the engine's whole answer, against what else there is; and how both grow.

    python -m benchmarks queries                            (1,000, 10,000 and 100,000 clips; some twenty minutes)
    python -m benchmarks.bench_queries 1000000              other sizes
    pip install -e '.[bench]'                               faiss and usearch to compare with

Each way is built in a process of its own, which tells how long that took and how much memory it holds. Then all are
asked the same questions by turns, a round each. `ours` is all that a question takes once the clip is found: the fusion
that answers, comparison, re-uploads, artists, reasons, clusters. The others only find ids, of the ten clips with the
largest cosine; `ours` compares by the modalities that both clips have. So recall is against the exact answer to what
each is asked, and `as ours` is the share of our ten that a way finds at all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import made_up
from benchmarks.paired import save_table
from clipsim.encoders import Preset
from clipsim.fusion.late import layout
from clipsim.model import HOME, Clip, Matrix
from clipsim.similarity import pairwise

SIZES = (1000, 10_000, 100_000)
BEST = 10  # results
AT_ONCE = 16  # questions of a batch
ROUNDS, EACH = 10, 20  # rounds, and questions in each
CHECKED = 64  # questions of each kind that are asked exactly too
COMMUNITIES = 10  # each sees a tenth of the clips
PATIENCE = 600.0  # seconds that building may take; what would take longer is left out
PIECE = 2000  # rows added at once
Ids = list[list[int]]


class Way:
    """One way to answer. `where` is a community, or None for all clips."""

    needs = ""  # a module

    def __init__(self, folder: Path, rows: Matrix, member: np.ndarray) -> None:
        """`member`, shape (clips,): the community that sees each."""
        self.folder = folder
        self.rows = rows
        self.member = member

    def build(self) -> None: ...

    def ask(self, number: int, where: int | None) -> list[int]:
        """The rows of the best, for the clip in this row."""
        return self.ask_many([number], where)[0]

    def ask_many(self, numbers: Sequence[int], where: int | None) -> Ids:
        return [self.ask(number, where) for number in numbers]


class Numpy(Way):
    """One product with all rows, by however many cores BLAS takes."""

    def build(self) -> None:
        self.matrix = self.rows.copy()
        self.members = [np.flatnonzero(self.member == each) for each in range(COMMUNITIES)]

    def ask_many(self, numbers: Sequence[int], where: int | None) -> Ids:
        cosines = self.matrix[list(numbers)] @ self.matrix.T
        if where is not None:
            cosines = cosines[:, self.members[where]]
        count = min(BEST, cosines.shape[1])
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        found = best if where is None else self.members[where][best]
        return found.tolist()


class Faiss(Way):
    needs = "faiss"

    def index(self) -> Any:
        import faiss

        return faiss.IndexFlatIP(self.rows.shape[1])

    def options(self, selector: Any) -> Any:
        import faiss

        return faiss.SearchParameters(sel=selector)

    def build(self) -> None:
        import faiss

        self.made = self.index()
        for start in patient(len(self.rows)):
            self.made.add(self.rows[start : start + PIECE])
        bits = [np.packbits(self.member == each, bitorder="little") for each in range(COMMUNITIES)]
        self.kept = bits
        self.selectors = [faiss.IDSelectorBitmap(len(self.rows), faiss.swig_ptr(each)) for each in bits]

    def ask_many(self, numbers: Sequence[int], where: int | None) -> Ids:
        options = self.options(None if where is None else self.selectors[where])
        return self.made.search(self.rows[list(numbers)], BEST, params=options)[1].tolist()


class FaissHnsw(Faiss):
    """With the index's own settings: see `clipsim.index.HNSW`."""

    def index(self) -> Any:
        import faiss

        made = faiss.IndexHNSWFlat(self.rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        made.hnsw.efConstruction = 200
        return made

    def options(self, selector: Any) -> Any:
        import faiss

        return faiss.SearchParametersHNSW(sel=selector, efSearch=400)


class Usearch(Way):
    """It knows no filter: one index of all clips, and one for each community."""

    needs = "usearch"

    def build(self) -> None:
        from usearch.index import Index

        def fill(keys: np.ndarray) -> Any:
            made = Index(ndim=self.rows.shape[1], metric="ip", connectivity=32, expansion_add=200, expansion_search=400)
            for start in patient(len(keys), self.share * len(keys) / len(self.rows)):
                made.add(keys[start : start + PIECE], self.rows[keys[start : start + PIECE]])
            return made

        self.share = 0.5  # of the time for the whole
        self.made = {None: fill(np.arange(len(self.rows)))}
        self.made |= {each: fill(np.flatnonzero(self.member == each)) for each in range(COMMUNITIES)}

    def ask_many(self, numbers: Sequence[int], where: int | None) -> Ids:
        if len(numbers) == 1:
            return [self.made[where].search(self.rows[numbers[0]], BEST).keys.tolist()]
        return self.made[where].search(self.rows[list(numbers)], BEST).keys.tolist()


class ChromaWhere(Way):
    """One collection; a community is a filter."""

    needs = "chromadb"

    def build(self) -> None:
        import chromadb

        from clipsim.index import HNSW

        client = chromadb.PersistentClient(tempfile.mkdtemp(dir=self.folder))
        self.made = client.create_collection("all", embedding_function=None, configuration={"hnsw": dict(HNSW)})
        for start in patient(len(self.rows)):
            some = range(start, min(start + PIECE, len(self.rows)))
            labels = [{"community": int(self.member[row])} for row in some]
            self.made.add(ids=[str(row) for row in some], embeddings=self.rows[list(some)], metadatas=labels)

    def ask_many(self, numbers: Sequence[int], where: int | None) -> Ids:
        only = {} if where is None else {"where": {"community": where}}
        found = self.made.query(query_embeddings=self.rows[list(numbers)], n_results=BEST, include=[], **only)
        return [[int(each) for each in ids] for ids in found["ids"]]


class ChromaEach(Way):
    """`clipsim.index`, a collection for each community."""

    needs = "chromadb"

    def build(self) -> None:
        from clipsim.index import Index
        from clipsim.settings import load

        self.made = Index(load(data=Path(tempfile.mkdtemp(dir=self.folder))), "0123abcd")
        for where in (None, *range(COMMUNITIES)):
            rows = np.arange(len(self.rows)) if where is None else np.flatnonzero(self.member == where)
            for start in patient(len(rows), 0.5 * len(rows) / len(self.rows)):
                some = rows[start : start + PIECE]
                self.made.upsert(
                    self.made.name("fusion", str(where)),
                    dict(zip(map(str, some.tolist()), self.rows[some], strict=True)),
                )

    def ask_many(self, numbers: Sequence[int], where: int | None) -> Ids:
        found = self.made.query_many(self.made.name("fusion", str(where)), self.rows[list(numbers)], BEST)
        return [[int(clip_id) for clip_id, _ in each] for each in found]


class Ours(Way):
    """`Engine.query`, whole."""

    def build(self) -> None:
        from clipsim.engine import Engine
        from clipsim.library import Library
        from clipsim.settings import load

        settings = load(data=self.folder / "library").model_copy(update={"per_artist": 0})
        self.library = Library.open(settings, made_up.SMALL)
        self.engine = Engine(settings, made_up.SMALL, self.library)
        self.clips: dict[int, Clip] = {}
        self.rows = np.zeros((0, 0), np.float32)
        self.ask(0, None)

    def find(self, numbers: Sequence[int]) -> None:
        """A question begins with a clip that was found."""
        self.clips |= {int(i[1:]): clip for i, clip in self.library.get_many([f"c{n:07}" for n in numbers]).items()}

    def ask_many(self, numbers: Sequence[int], where: int | None) -> Ids:
        if any(number not in self.clips for number in numbers):
            self.find(numbers)
        clips, community = [self.clips[number] for number in numbers], HOME if where is None else str(where)
        if len(clips) == 1:
            found = [self.engine.query(clips[0], BEST, "all", None, community, "known")]
        else:
            found = self.engine.query_many(clips, BEST, "all", None, community)
        return [[int(match.clip.id[1:]) for match in answer.results] for answer in found]


WAYS: dict[str, type[Way]] = {
    "ours": Ours,
    "numpy": Numpy,
    "faiss flat": Faiss,
    "faiss HNSW": FaissHnsw,
    "usearch": Usearch,
    "Chroma where": ChromaWhere,
    "Chroma each": ChromaEach,
}
NAIVE = "numpy"


class TooSlow(Exception):
    """Building would take longer than anybody waits."""


_patience = PATIENCE


def patient(count: int, share: float = 1.0) -> Any:
    """Where each piece of the rows begins; stops when all of them would take more than `share` of the patience."""
    begun = time.perf_counter()
    for start in range(0, count, PIECE):
        yield start
        spent, done = time.perf_counter() - begun, min(count, start + PIECE)
        if spent > 20 and spent * count / done > share * _patience:
            raise TooSlow(f"left out: building would take {spent * count / done / share:.0f} s or more")


# A process for each


def resident() -> float:
    """MiB that this process holds."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def child(pipe: Any, name: str, folder: Path, patience: float) -> None:
    """Build one way, then answer until the pipe is closed."""
    global _patience
    _patience = patience
    try:
        rows, member = np.load(folder / "rows.npy", mmap_mode="r"), np.load(folder / "member.npy")
        rows = np.asarray(rows) if name == "ours" else np.array(rows)
        way = WAYS[name](folder, rows, member)
        before, begun = resident(), time.perf_counter()
        way.build()
        pipe.send({"build": time.perf_counter() - begun, "memory": resident() - before})
    except Exception as error:
        pipe.send({"error": str(error) if isinstance(error, TooSlow) else f"{type(error).__name__}: {error}"})
        return
    while (asked := pipe.recv()) is not None:
        numbers, where, together = asked
        if isinstance(way, Ours):
            way.find(numbers)
        times, found = [], []
        for part in [numbers] if together else [[number] for number in numbers]:
            begun = time.perf_counter()
            found += way.ask_many(part, where)
            times.append(time.perf_counter() - begun)
        pipe.send((times, found))


class Asked:
    """A child, and what it said."""

    def __init__(self, name: str, folder: Path, patience: float) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=child, args=(theirs, name, folder, patience))
        self.process.start()
        theirs.close()
        self.built: dict[str, Any] = self.pipe.recv()

    def ask(self, numbers: Sequence[int], where: int | None, together: bool) -> tuple[list[float], Ids]:
        self.pipe.send((list(numbers), where, together))
        times, found = self.pipe.recv()
        return times, [[each for each in best if each != number] for number, best in zip(numbers, found, strict=True)]

    def close(self) -> None:
        if self.process.is_alive() and "error" not in self.built:
            self.pipe.send(None)
        self.process.join()


def questions(size: int, folder: Path, names: Sequence[str], patience: float) -> list[dict[str, Any]]:
    """Build a library of this size, and ask."""
    rows = made_up.embeddings(size)
    member = np.arange(size) % COMMUNITIES
    np.save(folder / "rows.npy", rows)
    np.save(folder / "member.npy", member)
    members = [np.flatnonzero(member == each).tolist() for each in range(COMMUNITIES)]
    made_up.library(folder / "library", rows, members)
    print(f"\n{size} clips", flush=True)
    asked: dict[str, Asked] = {}
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        if WAYS[name].needs and find_spec(WAYS[name].needs) is None:
            results[name] = {"error": f"left out: {WAYS[name].needs} is not installed (pip install -e '.[bench]')"}
        else:
            asked[name] = Asked(name, folder, patience)
            results[name] = dict(asked[name].built)
        print(f"  {name}: {results[name].get('error') or 'built'}", flush=True)
    ready = {name: each for name, each in asked.items() if "error" not in each.built}
    drawn = np.random.default_rng(7)
    times: dict[tuple[str, str], list[float]] = {}
    found: dict[tuple[str, str], list[tuple[int, list[int]]]] = {}
    try:
        for turn in range(ROUNDS + 1):  # the first warms up
            for kind, where, count in (("all", None, EACH), ("community", 3, EACH), ("16 at once", None, AT_ONCE)):
                pool = np.flatnonzero(member == where) if where is not None else np.arange(size)
                numbers = drawn.choice(pool, count, replace=False).tolist()
                for name, each in ready.items():
                    spent, best = each.ask(numbers, where, kind == "16 at once")
                    if turn:
                        times.setdefault((name, kind), []).extend(spent)
                        found.setdefault((name, kind), []).extend(zip(numbers, best, strict=True))
    finally:
        for each in asked.values():
            each.close()
    for kind, where in (("all", None), ("community", 3), ("16 at once", None)):
        some = list(dict.fromkeys(number for number, _ in found[next(iter(ready)), kind]))[:CHECKED]
        exact = truth(rows, None if where is None else np.flatnonzero(member == where), some)
        for name in ready:
            spent = 1000 * np.array(times[name, kind])
            right = recall(exact, found[name, kind], name)
            naive = 1000 * np.array(times.get((NAIVE, kind), [np.nan]))
            results[name][kind] = {
                "p50": float(np.median(spent)),
                "p99": float(np.percentile(spent, 99)),
                "recall": right[0],
                "as ours": right[1],
                "times as fast as numpy": float(np.median(naive) / np.median(spent)),
            }
    for name, result in results.items():
        print(line(name, result), flush=True)
    return [{"clips": size, "way": name, **result} for name, result in results.items()]


class Late:
    """What `pairwise` needs of a fusion."""

    method = "standard"
    blocks = layout(made_up.SMALL)


def truth(rows: Matrix, among: np.ndarray | None, numbers: Sequence[int]) -> dict[str, dict[int, set[int]]]:
    """The exact best nine of each clip (it is the tenth itself), by cosine and by our similarity."""
    seen = np.arange(len(rows)) if among is None else among
    queries = rows[list(numbers)]
    best: dict[str, list[list[tuple[float, int]]]] = {kind: [[] for _ in numbers] for kind in ("cosine", "ours")}
    for start in range(0, len(seen), made_up.PIECE):
        some = seen[start : start + made_up.PIECE]
        ours = np.nan_to_num(pairwise(queries, rows[some], Late()), nan=-2)
        for kind, table in (("cosine", queries @ rows[some].T), ("ours", ours)):
            for known, values in zip(best[kind], table, strict=True):
                top = np.argsort(-values, kind="stable")[:BEST]
                known += [(-float(values[each]), int(some[each])) for each in top]
    return {
        kind: {
            number: {row for _, row in [one for one in sorted(known) if one[1] != number][: BEST - 1]}
            for number, known in zip(numbers, lists, strict=True)
        }
        for kind, lists in best.items()
    }


def recall(right: dict[str, dict[int, set[int]]], found: Sequence[tuple[int, list[int]]], name: str) -> list[float]:
    """Share of the exact best that were found: by the way's own measure, and by ours."""
    shares = {
        kind: float(np.mean([len(wanted[n] & set(best)) / len(wanted[n]) for n, best in found if n in wanted]))
        for kind, wanted in right.items()
    }
    return [shares["ours" if name == "ours" else "cosine"], shares["ours"]]


def line(name: str, result: dict[str, Any]) -> str:
    if "error" in result:
        return f"  {name:<18} {result['error']}"
    cells = [f"{result['build']:8.1f} s {result['memory']:7.0f} MiB"]
    for kind in ("all", "community", "16 at once"):
        one = result[kind]
        cells.append(f"{kind} {one['p50']:7.2f} / {one['p99']:7.2f} ms, recall {one['recall']:.3f}")
    return f"  {name:<18} " + "; ".join(cells) + f"; as ours {result['all']['as ours']:.3f}"


# Growing


def growth(size: int, folder: Path, added: int = 20) -> dict[str, Any]:
    """What the library, index and memory cost for each clip added to so many, without encoding and training."""
    from clipsim.engine import Engine
    from clipsim.library import Library
    from clipsim.settings import load

    made_up.library(folder, made_up.embeddings(size), [range(0, size, COMMUNITIES)])
    settings = load(data=folder)
    library = Library.open(settings, made_up.SMALL)
    engine = Engine(settings, made_up.SMALL, library)
    ready = engine.answering()
    engine.query(library.get("c0000000"), 5, "all", None, HOME, "known")
    engine._indexing.ready(ready.saved.id, HOME) if size <= 10_000 else engine.index.ping()
    adding, asking = [], []
    for number in range(added + 1):
        begun = time.perf_counter()
        clip = library.add(Clip(f"new{number}", f"New {number}", artist=f"N {number}"), made_up.features(number))
        engine.absorb(clip.id)
        engine.due()
        between = time.perf_counter()
        assert engine.query(clip, 5, "all", None, HOME, "known").results
        if number:  # the first opens what is opened when needed
            adding.append(between - begun)
            asking.append(time.perf_counter() - between)
    engine.close()
    library.close()
    row = {"clips": size, "add": float(np.median(adding)), "question after": float(np.median(asking))}
    print(f"  {size} clips: {1000 * row['add']:.1f} ms to add one, {1000 * row['question after']:.1f} ms to answer it")
    return row


def first_training(count: int, folder: Path) -> dict[str, Any]:
    """What training costs when a library has grown to so many clips; it is due each time it has doubled."""
    from clipsim.engine import Engine
    from clipsim.library import Library
    from clipsim.settings import load

    preset: Preset = made_up.SMALL
    library = Library.open(load(data=folder), preset)
    engine = Engine(load(data=folder), preset, library)
    for number in range(count):
        library.add(Clip(f"c{number:07}", f"Title {number}"), made_up.features(number))
    begun = time.perf_counter()
    for method in engine.due():
        engine.train(method)
    seconds = time.perf_counter() - begun
    engine.close()
    library.close()
    print(f"  {count} clips: trained (both methods, and indexed) in {seconds:.2f} s")
    return {"clips": count, "training": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES), metavar="CLIPS")
    parser.add_argument("--ways", default=",".join(WAYS), help="names, comma-separated, of those above")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds that building one may take")
    parser.add_argument("--only", choices=("growth", "questions"), help="one half of it")
    given = parser.parse_args()
    names: list[str] = [name for name in WAYS if name in given.ways.split(",")] or list(WAYS)
    found: dict[str, list[dict[str, Any]]] = {"questions": [], "growth": [], "training": []}
    parts: list[tuple[str, Callable[[int, Path], Any], Sequence[int]]] = [
        ("growth", growth, sorted({10, 100, 1000, *given.sizes})),
        ("training", first_training, [100, 1000]),
    ]
    for name, measure, sizes in [] if given.only == "questions" else parts:
        print(name, flush=True)
        for size in sizes:
            with tempfile.TemporaryDirectory() as scratch:
                found[name].append(measure(size, Path(scratch)))
    for size in [] if given.only == "growth" else given.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            found["questions"] += questions(size, Path(scratch), names, given.patience)
    if found["growth"]:
        trained = {row["clips"]: f"{row['training']:.2f} s" for row in found["training"]}
        rows = [
            [
                f"{row['clips']:,}",
                f"{1000 * row['add']:.1f} ms",
                f"{1000 * row['question after']:.1f} ms",
                trained.get(row["clips"], ""),
            ]
            for row in found["growth"]
        ]
        title = "Growth: what each clip more takes the library, without encoding; the question after it; training"
        save_table("growth", title, ["clips", "to add one", "to answer it", "to train"], rows, found)
    if found["questions"]:
        rows = [[f"{row['clips']:,}", row["way"], *cells(row)] for row in found["questions"]]
        head = [
            "clips",
            "way",
            "built in",
            "memory",
            "all clips",
            "a tenth of them",
            "16 at once",
            "recall@10",
            "as ours",
        ]
        title = f"Questions: milliseconds (median, 99 %), {ROUNDS} rounds by turns"
        save_table("questions", title, head, rows, found["questions"])


def cells(row: dict[str, Any]) -> list[str]:
    """A way's figures, as they stand in the table."""
    if "error" in row:
        return [row["error"], *[""] * 6]
    times = [f"{row[kind]['p50']:.2f}, {row[kind]['p99']:.2f}" for kind in ("all", "community", "16 at once")]
    own = min(row[kind]["recall"] for kind in ("all", "community"))
    return [f"{row['build']:.1f} s", f"{row['memory']:.0f} MiB", *times, f"{own:.3f}", f"{row['all']['as ours']:.3f}"]


if __name__ == "__main__":
    main()
