"""Embeddings held in memory: always what the library has, whatever happens to it; and what they are compared by."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from clipsim import fusion, tables
from clipsim.changes import KEPT, Changes, about
from clipsim.errors import MissingModality, NotTrained
from clipsim.library import Library
from clipsim.model import HOME, METHODS, MODALITIES, By, Clip, Matrix, Method, Vote
from clipsim.rows import Rows, Stored, in_order
from clipsim.similarity import Comparison, hold, pairwise, rates
from clipsim.votes import Votes
from tests.libraries import TINY, features, fill, settings
from tests.test_similarity import SETS, fitted

__all__ = ["fitted"]  # the fixture of five methods
COMMUNITIES = (HOME, "one", "two")


class Counting(Library):
    """A library that counts how often all embeddings are read."""

    reads = 0

    def embeddings(self, fusion_id: str, community: str = HOME) -> tuple[list[str], Matrix]:
        self.reads += 1
        return super().embeddings(fusion_id, community)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Counting]:
    opened = Counting.open(settings(tmp_path), TINY)
    yield opened
    opened.close()


def embed(library: Library, found: fusion.Fusion, fusion_id: str, ids: Sequence[str]) -> None:
    read = library.features(ids)
    library.save_embeddings(fusion_id, dict(zip(read, found.embed(list(read.values())), strict=True)))


def trained(library: Library, clips: int) -> tuple[str, fusion.Fusion, Rows]:
    for n in range(clips):
        library.add(Clip(f"c{n:03}", f"T{n}"), features(n, SETS[n % 7]), COMMUNITIES[n % 3])
    found = fusion.fit("standard", list(library.features(library.ids()).values()), TINY)
    fusion_id = library.save_fusion("standard", fusion.dump(found), clips=clips, size=found.size)
    embed(library, found, fusion_id, library.ids())
    library.activate_fusion(fusion_id)
    return fusion_id, found, Rows(library, fusion_id, found)


def assert_right(rows: Rows, library: Library, fusion_id: str) -> None:
    for community in COMMUNITIES:
        view = rows.view(community)
        ids, matrix = library.embeddings(fusion_id, community)
        assert sorted(view.ids()) == sorted(ids) and len(view) == len(ids)
        ordered, held = in_order(view, library, community)
        assert ordered == ids
        np.testing.assert_array_equal(held, matrix)
        assert all(view.has(clip_id) for clip_id in ids) and not view.has("nobody")
        there = dict(zip(*library.embeddings(fusion_id), strict=True))
        for clip_id, vector in there.items():
            assert view.has(clip_id) == (clip_id in ids)
            np.testing.assert_array_equal(view.vector(clip_id), vector)


def change(library: Library, found: fusion.Fusion, fusion_id: str, drawn: np.random.Generator, step: int) -> None:
    """Something that happens to a library."""
    ids = library.ids()
    some = str(drawn.choice(ids))
    match int(drawn.integers(0, 9)):
        case 0 | 1 | 2:
            library.add(Clip(f"n{step}", "New"), features(1000 + step), str(drawn.choice(COMMUNITIES)))
            embed(library, found, fusion_id, [f"n{step}"])
        case 3:  # words were given later: other vectors, another set of modalities
            library.add(Clip(some, "Again"), features(2000 + step, SETS[step % 7]))
            embed(library, found, fusion_id, [some])
        case 4:
            library.join(some, str(drawn.choice(COMMUNITIES[1:])))
        case 5 if len(ids) > 4:
            library.remove(some)
        case 6:
            community = str(drawn.choice(COMMUNITIES[1:]))
            if library.has(some, community):
                library.remove(some, community)
        case 7:  # without a word on which clips it is about
            with library.write() as connection:
                connection.execute(tables.clips.delete().where(tables.clips.c.id == some))
        case _:
            library.add(Clip(f"bare{step}", "Not embedded"), features(step))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_it_is_what_the_library_has(library: Counting, seed: int) -> None:
    fusion_id, found, rows = trained(library, 12 + 60 * (seed % 2))
    drawn = np.random.default_rng(seed)
    views = []
    for step in range(40):
        assert_right(rows, library, fusion_id)
        views += [(view, view.ids(), view.matrix().copy()) for view in map(rows.view, COMMUNITIES)]
        for _ in range(int(drawn.integers(1, 4))):
            change(library, found, fusion_id, drawn, 10 * step + int(drawn.integers(0, 10)))
    assert_right(rows, library, fusion_id)
    for view, ids, matrix in views:  # what was handed out stays what it was
        assert view.ids() == ids
        np.testing.assert_array_equal(view.matrix(), matrix)


def test_only_what_changed_is_read_again(library: Counting) -> None:
    fusion_id, found, rows = trained(library, 30)
    rows.view()
    library.reads = 0
    for n in range(200):
        library.add(Clip(f"n{n}", "New"), features(n), COMMUNITIES[n % 3])
        embed(library, found, fusion_id, [f"n{n}"])
        assert len(rows.view()) == 31 + n
    library.join("c000", "one")
    assert rows.view("one").has("c000")
    library.remove("c001")
    assert len(rows.view()) == 229 and library.reads == 0
    view = rows.view()
    Votes(library).cast(Vote("c000", "c002", True, "me"))
    library.set_meta("fact", 1)
    assert rows.view() is view
    other = library.save_fusion("pca", b"", clips=1, size=4)
    library.save_embeddings(other, {"c002": np.ones(4, np.float32)})
    assert np.shares_memory(rows.view().held.matrix, view.held.matrix) and library.reads == 0
    with library.write() as connection:
        connection.execute(sa.text("DELETE FROM clips WHERE id = 'c003'"))
    assert len(rows.view()) == 228 and library.reads == 1


def test_a_write_that_fails_changes_nothing(library: Counting) -> None:
    _, _, rows = trained(library, 5)
    before = rows.view(), library.changes.revision
    with pytest.raises(ZeroDivisionError), library.write() as connection:
        connection.execute(tables.clips.delete())
        raise ZeroDivisionError
    assert (rows.view(), library.changes.revision) == before


def test_a_fusion_that_is_gone(library: Counting) -> None:
    fusion_id, _, rows = trained(library, 5)
    library.drop_fusion(fusion_id)
    with pytest.raises(NotTrained):
        rows.view()


def test_nothing_yet(library: Counting) -> None:
    fusion_id = library.save_fusion("standard", b"", clips=0, size=256)
    found = fusion.fit("standard", [features(n) for n in range(4)], TINY)
    rows = Rows(library, fusion_id, found)
    assert len(rows.view()) == len(rows.view("one")) == 0 and rows.view().ids() == []
    fill(library, 3)
    embed(library, found, fusion_id, library.ids())
    assert_right(rows, library, fusion_id)


def test_what_is_read_each_time_is_the_same(library: Counting) -> None:
    fusion_id, _, rows = trained(library, 20)
    for community in COMMUNITIES:
        view, stored = rows.view(community), Stored(library, fusion_id, community)
        assert view.ids() == stored.ids() and len(view) == len(stored)
        np.testing.assert_array_equal(view.matrix(), stored.matrix())
        assert [view.has(i) for i in library.ids()] == [stored.has(i) for i in library.ids()]
        np.testing.assert_array_equal(view.vector("c004"), stored.vector("c004"))
        assert view.vector("nobody") is None and stored.vector("nobody") is None


def test_many_threads(library: Counting) -> None:
    """Some add and remove while others look: each view is one that the library had, and the last one is right."""
    fusion_id, found, rows = trained(library, 40)
    embedded = dict(zip(*library.embeddings(fusion_id), strict=True))
    embedded |= {f"n{n}": found.embed([features(n)])[0] for n in range(60)}
    stop, wrong = threading.Event(), []

    def look(community: str) -> None:
        while not stop.is_set():
            view = rows.view(community)
            ids, matrix = view.ids(), view.matrix()
            if len(ids) != len(set(ids)) or len(ids) != len(matrix):
                wrong.append(ids)
            wrong.extend(i for i, row in zip(ids, matrix, strict=True) if not np.allclose(row, embedded[i], atol=1e-6))

    def work(start: int) -> None:
        for n in range(start, 60, 2):
            library.add(Clip(f"n{n}", "New"), features(n), COMMUNITIES[n % 3])
            library.save_embeddings(fusion_id, {f"n{n}": embedded[f"n{n}"]})
            if n % 4 == 0:
                library.remove(f"n{n}")

    workers = [threading.Thread(target=work, args=(start,)) for start in (0, 1)]
    watchers = [threading.Thread(target=look, args=(community,)) for community in COMMUNITIES]
    for thread in (*workers, *watchers):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    for thread in watchers:
        thread.join()
    assert wrong == []
    assert_right(rows, library, fusion_id)


# Similarity, roughly


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by", ["all", *MODALITIES])
@pytest.mark.parametrize("weights", [None, {"audio": 2.0, "lyrics": 0.0}, {"audio": 1000.0, "video": 1e-3}])
def test_rates_are_the_exact_similarities_rounded(fitted, method: Method, by: By, weights) -> None:
    found, matrix = fitted[method]
    if method in ("paper", "pca", "joint") and (by != "all" or weights):
        return  # those mix the modalities: compared otherwise
    exact = pairwise(matrix, matrix, found, by, weights)
    comparisons, asked = [], []
    for row, query in enumerate(matrix):
        try:
            comparisons.append(Comparison(query, found, by, weights))
            asked.append(row)
        except MissingModality:
            continue
    held = hold(matrix, found)
    together = rates(comparisons, held)
    for row, comparison, many in zip(asked, comparisons, together, strict=True):
        one = comparison.rates(held)
        nothing = np.isnan(exact[row])
        assert one.dtype == many.dtype == np.float32
        assert (np.isneginf(one) == nothing).all() and (np.isneginf(many) == nothing).all()
        np.testing.assert_allclose(one[~nothing], exact[row][~nothing], rtol=0, atol=2e-6)
        np.testing.assert_allclose(many[~nothing], exact[row][~nothing], rtol=0, atol=2e-6)


# The log


def test_changes_are_told_since_a_revision() -> None:
    changes = Changes()
    changes.note(["votes", "jobs"], about(None))
    assert changes.revision == 0
    changes.note(["clips"], about(["a"]))
    changes.note(["embeddings"], about(["b"], "f1"))
    changes.note(["active"], about(None))
    changes.note(["memberships"], about(["c"]))
    assert changes.since(0) == {"a", "b", "c"} and changes.since(1) == {"b", "c"} and changes.since(4) == frozenset()
    assert changes.since(0, "f2") == {"a", "c"} and changes.since(0, "f1") == {"a", "b", "c"}
    assert changes.since(0, tables={"embeddings", "clips"}) == {"a", "b"}
    changes.note(["features"], about(None))
    assert changes.since(4) is None and changes.since(5) == frozenset()
    for n in range(KEPT + 1):
        changes.note(["clips"], about([str(n)]))
    assert changes.since(5) is None and len(changes.since(7) or ()) == KEPT - 1
