"""What the engine answers from memory: the same as the slow way over the library, whatever happens meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipsim import engine as engines
from clipsim.clustering import cluster, document
from clipsim.engine import Engine
from clipsim.errors import ClipSimError, MissingModality, UnknownClip
from clipsim.fusion import late
from clipsim.groups import GROWN, OUTGROWN
from clipsim.library import Library
from clipsim.model import HOME, MODALITIES, Answer, By, Clip, Method, Vote
from clipsim.retrieval import Scan, search
from tests.libraries import TINY, features, settings
from tests.test_retrieval import SETS, naive

COMMUNITIES = (HOME, "one", "two")


def add(engine: Engine, number: int, community: str = HOME, *, near: int | None = None) -> Clip:
    found = features(number, SETS[number % 7], near=10_000 + (number % 9 if near is None else near))
    clip = engine._library.add(Clip(f"c{number:03}", f"Title {number}", artist=f"A {number % 50}"), found, community)
    engine.absorb(clip.id, community)
    return clip


def filled(folder: Path, clips: int) -> Engine:
    engine = Engine(settings(folder), TINY, Library.open(settings(folder), TINY))
    for n in range(clips):
        found = features(n, SETS[n % 7], near=10_000 + n % 9)
        engine._library.add(Clip(f"c{n:03}", f"Title {n}", artist=f"A {n % 50}"), found, COMMUNITIES[n % 3])
    return engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = filled(tmp_path, 90)
    yield made
    made.close()
    made._library.close()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One that nobody changes: 200 clips, of which some are the very same."""
    made = filled(tmp_path_factory.mktemp("still"), 200)
    for n in range(30):
        found = features(7, ("audio", "lyrics"), near=10_003)
        made._library.add(Clip(f"twin-{(7 * n) % 30:02}", f"Twin {n}", artist=f"T {n}"), found, COMMUNITIES[n % 3])
    saved = made.answering().saved
    same = made._library.vectors(saved.id, ["twin-00"])["twin-00"]  # to the last bit
    made._library.save_embeddings(saved.id, {f"twin-{n:02}": same for n in range(30)})
    yield made
    made.close()
    made._library.close()


def told(answer: Answer) -> list[tuple[object, ...]]:
    return [(m.rank, m.clip.id, round(m.similarity, 9), m.why, m.cluster) for m in answer.results]


def slow(engine: Engine, clip: Clip, method: Method | None, community: str, **options: object) -> list[tuple]:
    """The same without anything in memory, and without Chroma."""
    ready = engine.answering(method)
    library = engine._library
    found = search(
        library, Scan(library), ready.saved.id, ready.fusion, clip, community=community, per_artist=2, **options
    )
    return [
        (one.clip.id, pytest.approx(one.similarity, abs=1e-12), pytest.approx(dict(one.by)), one.why) for one in found
    ]


def quick(answer: Answer) -> list[tuple]:
    return [(m.clip.id, m.similarity, dict(m.by), m.why) for m in answer.results]


# What it says


@pytest.mark.parametrize("method", [None, "raw", "pca"])
@pytest.mark.parametrize("by", ["all", *MODALITIES])
@pytest.mark.parametrize("options", [{}, {"weights": {"audio": 3.0, "video": 0.1}}, {"diversity": 0.5}])
def test_it_is_what_the_slow_way_says(still: Engine, method: Method | None, by: By, options: dict) -> None:
    for community in COMMUNITIES:
        for clip in still._library.clips(community)[::23]:
            if by != "all" and by not in clip.modalities:
                with pytest.raises(MissingModality):
                    still.query(clip, 6, by, method, community, "known", **options)
                continue
            answer = still.query(clip, 6, by, method, community, "known", **options)
            assert quick(answer) == slow(still, clip, method, community, k=6, by=by, **options)


def test_it_is_what_a_plain_loop_says(still: Engine) -> None:
    ready = still.answering()
    for clip in still._library.clips()[::17]:
        expected = naive(still._library, ready.saved.id, ready.fusion, clip, "all", {})
        artists: dict[str, int] = {}
        wanted = []
        for clip_id, similarity in expected:  # two of each artist
            artist = still._library.get(clip_id).artist or ""
            artists[artist] = artists.get(artist, 0) + 1
            if artists[artist] <= 2:
                wanted.append((clip_id, pytest.approx(similarity, abs=1e-9)))
        answer = still.query(clip, 40, "all", None, HOME, "known")
        assert [(m.clip.id, m.similarity) for m in answer.results] == wanted[:40]


def test_equals_are_in_the_order_of_their_ids(still: Engine) -> None:
    seed = still._library.get("twin-05")
    answer = still.query(seed, 29, "all", None, HOME, "known")
    assert [m.clip.id for m in answer.results] == [f"twin-{n:02}" for n in range(30) if n != 5]


@pytest.mark.parametrize("method", [None, "raw", "pca"])
@pytest.mark.parametrize(
    ("by", "options"), [("all", {}), ("audio", {}), ("all", {"weights": {"lyrics": 4.0}}), ("all", {"diversity": 0.3})]
)
@pytest.mark.parametrize("community", COMMUNITIES)
def test_many_at_once_are_each_alone(
    still: Engine, method: Method | None, by: By, options: dict, community: str
) -> None:
    clips = [clip for clip in still._library.clips(community) if by == "all" or by in clip.modalities][:16]
    together = still.query_many(clips, 5, by, method, community, **options)
    alone = [still.query(clip, 5, by, method, community, "known", **options) for clip in clips]
    assert [told(answer) for answer in together] == [told(answer) for answer in alone]
    assert [(a.query, a.cluster, a.method, a.weights) for a in together] == [
        (a.query, a.cluster, a.method, a.weights) for a in alone
    ]
    assert still.query_many([], 5, by, method, community) == []


def test_weights_that_were_learnt_answer(still: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = {"audio": 0.25, "video": 1.0, "lyrics": 4.0}
    clip = still._library.get("c000")
    usual = still.query(clip, 5, "all", None, HOME, "known")
    monkeypatch.setattr(still.tuner, "weights", lambda community: learnt if community == HOME else None)
    tuned = still.query(clip, 5, "all", None, HOME, "known")
    assert tuned.weights == learnt and told(tuned) != told(usual)
    assert quick(tuned) == slow(still, clip, None, HOME, k=5, weights=learnt)
    assert told(still.query_many([clip], 5, "all", None, HOME)[0]) == told(tuned)


@pytest.mark.parametrize("community", COMMUNITIES)
def test_too_many_to_hold_and_the_index_answers(still: Engine, community: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = still._library.clips(community)[::11]
    before = [told(still.query(clip, 6, "all", None, community, "known")) for clip in clips]
    vectors = still.vectors(community)
    monkeypatch.setattr(engines, "MOST_HELD", 1000)
    asked = []
    ask = still.index.query
    monkeypatch.setattr(still.index, "query", lambda *given: asked.append(given) or ask(*given))
    assert [told(still.query(clip, 6, "all", None, community, "known")) for clip in clips] == before
    assert len(asked) >= len(clips) and still.answering().saved.id not in still._rows
    assert still.vectors(community)[0] == vectors[0]
    np.testing.assert_array_equal(still.vectors(community)[1], vectors[1])


def test_an_index_that_was_thrown_away_is_made_anew_when_asked(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "MOST_HELD", 1000)
    clip = engine._library.get("c003")
    before = told(engine.query(clip, 5, "all", None, HOME, "known"))
    engine.index.reset()
    fresh = Engine(settings(tmp_path), TINY, engine._library)
    assert told(fresh.query(clip, 5, "all", None, HOME, "known")) == before
    fresh.close()


# While things change


def act(engine: Engine, drawn: np.random.Generator, step: int) -> None:
    """What people do to a library, as the façade does it."""
    library = engine._library
    some = str(drawn.choice(library.ids()))
    community = str(drawn.choice(COMMUNITIES))
    match int(drawn.integers(0, 8)):
        case 0 | 1 | 2:
            add(engine, 200 + step, community)
        case 3:  # its words were given later
            library.add(Clip(some, "Renamed"), features(900 + step), HOME)
            engine.absorb(some)
        case 4:
            library.join(some, community)
            engine.absorb(some, community, False)
        case 5:
            try:
                engine.remove(some, community)
            except UnknownClip:
                assert not library.has(some, community)
        case 6:
            engine.votes.cast(Vote("c000", "c003", bool(step % 2), "me")) if library.has("c003") else None
        case _:
            engine.train("standard")


@pytest.mark.parametrize("seed", range(2))
def test_answers_are_those_of_a_fresh_engine(engine: Engine, tmp_path: Path, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    for step in range(16):
        act(engine, drawn, step)
        fresh = Engine(settings(tmp_path), TINY, engine._library)
        for community in COMMUNITIES:
            clips = engine._library.clips(community)
            for clip in [clips[int(drawn.integers(0, len(clips)))] for _ in range(2)]:
                answer = engine.query(clip, 5, "all", None, community, "known")
                other = fresh.query(clip, 5, "all", None, community, "known")
                assert told(answer) == told(other) and answer.cluster == other.cluster
                assert quick(answer) == slow(engine, clip, None, community, k=5)
                assert {m.clip.id for m in answer.results} <= set(engine._library.ids(community))
            assert engine.groups.of(community) == fresh.groups.of(community)
    audited = engine.audit()
    assert audited.found == []  # the index had all of it


def test_questions_while_others_add_remove_and_train(engine: Engine) -> None:
    stop = threading.Event()
    errors: list[BaseException] = []
    counts = dict.fromkeys(COMMUNITIES, 0)

    def ask(community: str) -> None:
        drawn = np.random.default_rng(len(community))
        while not stop.is_set():
            try:
                clip = engine._library.get(f"c{3 * int(drawn.integers(0, 20)) + COMMUNITIES.index(community):03}")
                found = engine.query(clip, 4, "all", None, community, "known")
                assert len(found.results) == 4
                if community != HOME:
                    assert all(seen[m.clip.id] == community for m in found.results)
                counts[community] += 1
            except BaseException as error:
                errors.append(error)
                return

    seen = {f"c{n:03}": COMMUNITIES[n % 3] for n in range(300)}
    engine.answering()
    threads = [threading.Thread(target=ask, args=(community,)) for community in COMMUNITIES]
    for thread in threads:
        thread.start()
    try:
        for n in range(100, 130):
            add(engine, n, COMMUNITIES[n % 3])
            if n % 3 == 0:
                engine.remove(f"c{n:03}", HOME)
            if n % 10 == 0:
                engine.train("standard")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == [] and min(counts.values()) > 0


def test_communities_never_see_each_others_clips(engine: Engine) -> None:
    mine = add(engine, 500, "one", near=1)
    theirs = add(engine, 507, "two", near=1)  # as near as can be
    both = add(engine, 514, "one", near=1)
    engine._library.join(both.id, "two")
    engine.absorb(both.id, "two", False)

    def listed(clip: Clip, community: str) -> set[str]:
        return {m.clip.id for m in engine.query(clip, 500, "all", None, community, "known").results}

    assert theirs.id not in listed(mine, "one") and both.id in listed(mine, "one")
    assert mine.id not in listed(theirs, "two") and both.id in listed(theirs, "two")
    assert {mine.id, theirs.id} & listed(both, HOME) == {mine.id, theirs.id}
    engine.remove(both.id, "two")
    assert both.id not in listed(theirs, "two") and both.id in listed(mine, "one")
    engine.remove(both.id, "one")
    assert both.id not in listed(mine, "one") and not engine._library.has(both.id)


# Clusters


def test_new_clips_join_a_cluster_and_only_many_of_them_make_new_ones(engine: Engine) -> None:
    before = engine.groups.of(HOME)
    assert len(before) == 90
    state = engine._library.clustering(HOME)
    for n in range(int(90 * GROWN) - 90):
        clip = add(engine, 200 + n)
        own = engine.query(clip, 3, "all", None, HOME, "known").cluster
        assert own is not None and own.id in {each.id for each in before.values()}
    assert not engine.groups.refresh(HOME) and engine._library.clustering(HOME) == state
    add(engine, 300)
    assert sum(each.size for each in {g.id: g for g in engine.groups.of(HOME).values()}.values()) == 100
    assert engine._library.clustering(HOME) == state  # a question does not wait for a new grouping …
    assert engine.groups.refresh(HOME) and not engine.groups.refresh(HOME)  # … it is made in the background
    assert len(engine._library.clustering(HOME)["assigned"]) == 100
    ids, matrix = engine.vectors(HOME)
    clips = engine._library.get_many(ids)
    expected = cluster(ids, matrix, [document(clips[i]) for i in ids], "auto", state["previous"], [None] * len(ids))
    assert {g.id: set(g.members) for g in expected.groups} == {
        number: {i for i, g in engine.groups.of(HOME).items() if g.id == number}
        for number in {g.id for g in engine.groups.of(HOME).values()}
    }


def test_a_question_waits_where_the_clusters_are_of_another_time(engine: Engine) -> None:
    engine.groups.of("one")
    for n in range(int(30 * OUTGROWN) - 30 + 1):
        add(engine, 200 + n, "one")
    assert len(engine._library.clustering("one")["assigned"]) == 30
    found = engine.groups.of("one")
    assert len(found) == 61 and len(engine._library.clustering("one")["assigned"]) == 61


def test_a_community_that_was_never_grouped_is_not_in_the_background(engine: Engine) -> None:
    assert not engine.groups.refresh(HOME) and engine._library.clustering(HOME) is None
    assert not engine.groups.refresh("nobody") and engine.groups.of("nobody") == {}
    assert engine.groups.find(["c000"], "nobody") == {}


def test_a_clusters_members(engine: Engine) -> None:
    groups = engine.groups.of("two")
    own = engine.groups.cluster_of("c002", "two")
    assert own is not None and own.size == len(own.members)
    assert {clip.id for clip in own.members} == {i for i, each in groups.items() if each.id == own.id}
    assert engine.groups.cluster_of("c000", "two") is None


# What it does not need


def test_a_small_librarys_question_needs_no_index(engine: Engine, tmp_path: Path) -> None:
    """Nor scikit-learn, once it is grouped."""
    for community in COMMUNITIES:
        engine.query(engine._library.clips(community)[0], 5, "all", None, community, "known")
    engine.close()
    code = (
        "import sys\nfrom pathlib import Path\nfrom clipsim.engine import Engine\n"
        "from clipsim.library import Library\nfrom tests.libraries import TINY, settings\nfolder = Path(sys.argv[1])\n"
        "engine = Engine(settings(folder), TINY, Library.open(settings(folder), TINY))\n"
        "for community in ('home', 'one'):\n"
        "    for by in ('all', 'audio'):\n"
        "        clip = next(c for c in engine._library.clips(community) if 'audio' in c.modalities)\n"
        "        assert len(engine.query(clip, 5, by, None, community, 'known').results) == 5\n"
        "print([m for m in ('chromadb', 'sklearn', 'scipy', 'torch', 'alembic') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_index_that_cannot_be_had_does_not_keep_a_small_library_from_answering(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = engine._library.get("c000")
    engine.query(clip, 5, "all", None, HOME, "known")

    def broken(*_: object) -> None:
        raise AssertionError("the index was opened")

    monkeypatch.setattr(engine.index, "_chroma", broken)
    assert len(engine.query(clip, 5, "all", None, HOME, "known").results) == 5


def test_a_seed_that_is_gone(engine: Engine) -> None:
    clip = engine._library.get("c004")
    engine.query(clip, 5, "all", None, HOME, "known")
    engine.remove("c004")
    with pytest.raises(ClipSimError):
        engine.query(clip, 5, "all", None, HOME, "known")


def test_weights_of_late_fusion_are_what_the_embeddings_say(still: Engine) -> None:
    """What `Comparison.rates` takes for granted: clips with the same modalities have blocks of the same lengths."""
    ready = still.answering()
    held = still._view(ready, HOME).held
    assert set(held.codes.tolist()) == set(range(1, 8))
    for code in range(1, 8):
        expected = np.array([late.WEIGHTS[m] if code >> n & 1 else 0.0 for n, m in enumerate(ready.fusion.blocks)])
        lengths = held.lengths[held.codes == code]
        np.testing.assert_allclose(lengths**2, np.tile(expected / expected.sum(), (len(lengths), 1)), atol=1e-6)
