"""The whole evaluation, on made pools: against plain recomputations, and where the answer is known beforehand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipsim import evaluation, fusion, measures, probes
from clipsim.contenders import Copy, Pool, contenders
from clipsim.errors import EmptyLibrary, InvalidSetting
from clipsim.evaluation import evaluate
from clipsim.judgements import judge
from clipsim.model import MODALITIES, Clip, Features, Modality, Vote
from clipsim.similarity import Comparison
from tests.libraries import TINY

SETS: list[tuple[Modality, ...]] = [MODALITIES, MODALITIES, MODALITIES, ("audio", "video"), ("audio",)]
CHEAP = ["standard", "pca", "raw"]
LOUD = {"ear": 1.0, "eye": 2.0, "pen": 1.5}  # noise over the groups' centres


def made(count: int = 80, groups: int = 8, sets: list[tuple[Modality, ...]] = SETS, **more: object) -> Pool:
    """Clips in groups: genre 1 … groups, two artists in each."""
    generator = np.random.default_rng(7)
    centres = {part.encoder: generator.standard_normal((groups, part.size)) for part in TINY.parts}
    clips, found = [], []
    for n in range(count):
        vectors, segments = {}, {}
        for part in TINY.parts:
            if part.modality not in sets[n % len(sets)]:
                continue
            vector = centres[part.encoder][n % groups] + LOUD[part.encoder] * generator.standard_normal(part.size)
            vectors[part.encoder] = vector.astype(np.float32)
            if part.modality != "lyrics":
                parts = vector + 0.2 * generator.standard_normal((2, part.size))
                segments[part.encoder] = parts.astype(np.float32)
        artist = f"Artist {n % groups} {'x' if n < count / 2 else 'y'}"
        clips.append(Clip(f"c{n:03}", f"Title {n}", artist=artist, genre=f"Genre {n % groups}"))
        found.append(Features(vectors, segments))
    return Pool(tuple(clips), tuple(found), TINY, **more)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return made()


@pytest.fixture(scope="module")
def measured(pool: Pool) -> evaluation.Evaluation:
    return evaluate(pool, methods=[*CHEAP, "audio", "rrf", "tfidf"])


def plainly(pool: Pool, method: str, right: object, among: object) -> dict[str, float]:
    """One method's figures, one query at a time through what `clipsim similar` uses."""
    fitted = fusion.fit(method, pool.features, TINY)
    rows = dict(zip([clip.id for clip in pool.clips], fitted.embed(pool.features), strict=True))
    told: dict[str, list[float]] = {"p@1": [], "p@5": [], "p@10": [], "map": []}
    for query in pool.clips:
        candidates = {clip.id for clip in pool.clips if clip.id != query.id and among(query, clip)}
        wanted = {clip.id for clip in pool.clips if clip.id in candidates and right(query, clip)}
        if not wanted:
            continue
        ranked = Comparison(rows[query.id], fitted).score(rows)
        order = [one.id for one in ranked if one.id in candidates]
        hits = [clip_id in wanted for clip_id in order]
        for k in (1, 5, 10):
            told[f"p@{k}"].append(sum(hits[:k]) / min(k, len(candidates)))
        told["map"].append(sum(sum(hits[: n + 1]) / (n + 1) for n, hit in enumerate(hits) if hit) / len(wanted))
    return {name: float(np.mean(values)) for name, values in told.items()}


@pytest.mark.parametrize("method", CHEAP)
def test_the_figures_are_those_of_the_search_that_answers(pool: Pool, measured, method: str) -> None:
    expected = plainly(pool, method, lambda a, b: a.genre == b.genre, lambda a, b: True)
    found = next(result for result in measured.results if result.name == method)
    assert dict(found.means) == pytest.approx(expected, abs=1e-9)
    low, high = found.intervals["map"]
    assert low < found.means["map"] < high < 1


def test_the_artist_filter(pool: Pool) -> None:
    found = evaluate(pool, methods=["standard"], exclude="artist")
    expected = plainly(pool, "standard", lambda a, b: a.genre == b.genre, lambda a, b: a.artist != b.artist)
    assert dict(found.results[0].means) == pytest.approx(expected, abs=1e-9)
    unknown = replace(pool, clips=tuple(replace(clip, artist=None) for clip in pool.clips))
    nobody = evaluate(unknown, methods=["standard"], exclude="artist")
    assert nobody.results[0].means == evaluate(pool, methods=["standard"]).results[0].means


def test_labels_are_folded_and_lonely_clips_are_no_queries(pool: Pool) -> None:
    clips = [replace(clip, genre=(clip.genre or "").upper() + " ") for clip in pool.clips[:40]] + list(pool.clips[40:])
    clips[0], clips[1] = replace(clips[0], genre="Alone"), replace(clips[1], genre="  ")
    judged = judge(replace(pool, clips=tuple(clips)), "genre")
    assert judged.queries.tolist() == list(range(2, 80)) and judged.left_out == 0
    assert judged.right(np.array([2]))[0].nonzero()[0].tolist() == list(range(2, 80, 8))
    assert judged.among(np.array([2]))[0].nonzero()[0].tolist() == [n for n in range(80) if n != 2]


def test_queries_that_the_filter_leaves_nothing_to_find_are_told(pool: Pool) -> None:
    clips = tuple(replace(c, artist="One" if c.genre == "Genre 3" else c.artist) for c in pool.clips)
    found = evaluate(replace(pool, clips=clips), methods=["raw"], exclude="artist")
    assert (found.queries, found.left_out) == (70, 10)


def test_chance_is_what_random_vectors_reach(measured, pool: Pool) -> None:
    generator = np.random.default_rng(0)
    judged, rows = judge(pool, "genre"), np.arange(80)
    drawn = [measures.retrieval(generator.random((80, 80)), judged.right(rows), judged.among(rows)) for _ in range(200)]
    for name in measures.MEASURES:
        mean = np.mean([each[name].mean() for each in drawn])
        assert measured.chance[name] == pytest.approx(mean, abs=0.003)


def test_feedback_ranks_only_what_was_judged(pool: Pool) -> None:
    votes = []
    for n in range(0, 40, 2):
        query = pool.clips[n].id
        for other in ((n + 8) % 80, (n + 1) % 80, (n + 3) % 80):
            votes.append(Vote(query, pool.clips[other].id, pool.clips[other].genre == pool.clips[n].genre, "ann"))
    votes.append(Vote("c000", "c016", False, "ann"))
    votes.append(Vote("c000", "c016", True, "ann"))  # her last word
    votes += [Vote("c000", "c002", True, "ann"), Vote("c000", "c002", False, "ben")]  # split: says nothing
    votes += [Vote("c001", "c002", False, "ann"), Vote("c003", "gone", True, "ann")]  # nothing right to find
    found = evaluate(replace(pool, votes=tuple(votes)), "feedback", methods=["standard"])
    assert (found.queries, found.left_out) == (20, 1)

    def said(a: Clip, b: Clip) -> bool:
        return any(v.query == a.id and v.result == b.id for v in votes) and (a.id, b.id) != ("c000", "c002")

    expected = plainly(pool, "standard", lambda a, b: a.genre == b.genre, said)
    assert dict(found.results[0].means) == pytest.approx(expected, abs=1e-9)
    assert not found.results[0].clusters


def test_hubs_are_counted_over_the_whole_pool(pool: Pool) -> None:
    clips = tuple(replace(clip, genre=clip.genre if n < 24 else None) for n, clip in enumerate(pool.clips))
    found = evaluate(replace(pool, clips=clips), methods=["standard"])
    assert found.queries == 24
    assert found.results[0].hubs == evaluate(pool, methods=["standard"]).results[0].hubs


def test_halves_and_copies_are_found_again(pool: Pool) -> None:
    generator = np.random.default_rng(1)

    def copy(row: int, noise: float, name: str) -> Copy:
        ear = pool.features[row].vectors["ear"]
        return Copy(row, name, Features({"ear": (ear + noise * generator.standard_normal(20)).astype(np.float32)}))

    copies = [copy(n, 0.05, "quiet") for n in range(20)] + [copy(n, 50.0, "ruined") for n in range(20)]
    found = evaluate(replace(pool, copies=tuple(copies)), methods=["standard", "audio", "lyrics"])
    known = {result.name: result.known for result in found.results}
    for name in ("standard", "audio"):
        assert known[name]["quiet"]["recall@1"] == 1.0 and known[name]["quiet"]["queries"] == 20
        assert known[name]["ruined"]["recall@1"] < 0.3
        assert known[name]["halves"]["recall@1"] > 0.9 and known[name]["halves"]["queries"] == 80
    assert known["lyrics"] == {}  # neither halves nor copies have words


def test_halves_that_are_other_clips_halves_are_not_found(pool: Pool) -> None:
    shifted = [
        replace(
            f, segments={n: np.stack([rows[0], g.segments[n][1]]) for n, rows in f.segments.items() if n in g.segments}
        )
        for f, g in zip(pool.features, [*pool.features[1:], pool.features[0]], strict=True)
    ]
    found = evaluate(replace(pool, features=tuple(shifted)), methods=["standard"])
    assert found.results[0].known["halves"]["recall@1"] < 0.1


def test_curves_begin_whole_and_end_without(pool: Pool) -> None:
    """At the end the figures are those of a pool that never had the modality, under the fusion fitted on all."""
    judged = judge(pool, "genre")
    fitted = contenders(TINY)["standard"].fit(pool, None)
    found = probes.curves(pool, fitted, judged)
    assert set(found) == {"audio", "video", "lyrics"}
    whole = evaluate(pool, methods=["standard"]).results[0].means
    for modality, points in found.items():
        assert [point.share for point in points] == [0.0, 0.25, 0.5, 0.75, 1.0]
        assert (points[0].precision, points[0].map) == pytest.approx((whole["p@5"], whole["map"]))
        (encoder,) = (part.encoder for part in TINY.of(modality))
        left = [
            Features({n: v for n, v in f.vectors.items() if n != encoder}) if len(f.vectors) > 1 else f
            for f in pool.features
        ]
        rows = np.arange(80)
        embedded = fitted.rows(left, ())
        expected = measures.retrieval(fitted.compare(embedded, embedded), judged.right(rows), judged.among(rows))
        assert points[-1].precision == pytest.approx(expected["p@5"].mean())
    assert found["audio"][-1].map < found["audio"][0].map


def test_a_modality_that_few_have_or_that_is_all_there_is_has_no_curve() -> None:
    few = made(sets=[("audio", "video"), ("audio", "video"), ("audio", "lyrics")])
    fitted = contenders(TINY)["standard"].fit(few, None)
    assert set(probes.curves(few, fitted, judge(few, "genre"))) == {"audio", "video"}
    alone = made(sets=[("audio",)])
    assert probes.curves(alone, contenders(TINY)["raw"].fit(alone, None), judge(alone, "genre")) == {}


def test_the_index_is_the_real_one_and_its_recall_is_counted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [f"c{n:03}" for n in range(300)]
    assert probes.index_recall(rows, ids) == 1.0
    whole = probes._answers
    lossy = lambda *given: ([found for found in answer if found > "c149"] for answer in whole(*given))  # noqa: E731
    monkeypatch.setattr(probes, "_answers", lossy)
    assert probes.index_recall(rows, ids) == pytest.approx(0.5, abs=0.05)


def test_what_is_told(measured) -> None:
    told = json.loads(json.dumps(measured.json(), allow_nan=False))
    assert {"label", "clips", "queries", "methods", "chance", "default", "comparison", "failures"} <= set(told)
    assert (told["label"], told["clips"], told["queries"], told["default"]) == ("genre", 80, 80, "standard")
    assert list(told["methods"]) == ["standard", "pca", "raw", "audio", "rrf"]
    assert told["skipped"] == {"tfidf": "No two clips have lyrics."}
    for name, result in told["methods"].items():
        assert {"p@1", "p@5", "p@10", "map", "interval", "known", "nmi", "ari", "hubs", "missing", "seconds"} <= set(
            result
        )
        assert set(result["interval"]) == {"p@1", "p@5", "p@10", "map"} and result["embed_ms"] > 0
        assert (result["index_recall@10"] is not None) == (name in CHEAP) == bool(result["missing"])
        assert (result["nmi"] is None) == (name == "rrf")
        assert told["chance"]["map"] < result["interval"]["map"][0]


def test_failures_are_the_worst_queries(pool: Pool, measured) -> None:
    assert measured.judged == "standard" and len(measured.failures) == 5
    fitted = fusion.fit("standard", pool.features, TINY)
    rows = dict(zip([clip.id for clip in pool.clips], fitted.embed(pool.features), strict=True))
    genres = {clip.id: clip.genre for clip in pool.clips}
    precisions = [failure.precision for failure in measured.failures]
    assert precisions == sorted(precisions) and precisions[-1] < measured.results[0].means["map"]
    for failure in measured.failures:
        ranked = [one.id for one in Comparison(rows[failure.query.id], fitted).score(rows)]
        ranked.remove(failure.query.id)
        assert [other.id for other in failure.found] == ranked[:3]
        assert [other.right for other in failure.found] == [genres[n] == genres[failure.query.id] for n in ranked[:3]]
        assert failure.query.label == genres[failure.query.id]


def test_the_two_best_methods_are_compared(measured) -> None:
    means = {result.name: result.means["map"] for result in measured.results if result.name in CHEAP}
    best, second = sorted(means, key=means.__getitem__, reverse=True)[:2]
    told = measured.comparison
    assert (told.best, told.second) == (best, second)
    assert told.difference == pytest.approx(means[best] - means[second])
    assert told.interval[0] <= told.difference <= told.interval[1]
    assert evaluate(made(24), methods=["standard", "audio", "rrf"]).comparison is None


def test_what_the_comparison_says() -> None:
    told = evaluation.Comparison("standard", "pca", 0.0214, (0.004, 0.037), 0.01, 290)
    assert str(told) == "standard is better than pca by 0.021 mAP (0.004 to 0.037), p = 0.01."
    told = evaluation.Comparison("standard", "pca", 0.0014, (-0.004, 0.007), 0.61, 290)
    assert str(told).startswith("standard and pca cannot be told apart on these 290 queries")
    assert "p < 0.001" in str(evaluation.Comparison("a", "b", 0.1, (0.05, 0.15), 0.0001, 9))


def test_the_same_each_time_and_told_on_the_way(pool: Pool) -> None:
    steps: list[tuple[str, int, int]] = []
    first = evaluate(pool, methods=["standard"], progress=lambda *step: steps.append(step)).json()
    second = evaluate(pool, methods=["standard"]).json()
    for told in (first, second):
        told["methods"]["standard"].pop("seconds"), told["methods"]["standard"].pop("embed_ms")
    assert first == second
    assert {"standard", "standard, senses missing", "standard, its index"} <= {what for what, _, _ in steps}
    assert all(0 <= done <= of for _, done, of in steps)


@pytest.mark.parametrize("label", ["genre", "artist", "album"])
def test_too_few_labels(pool: Pool, label: str) -> None:
    bare = [replace(clip, genre=None, artist=None, album=None) for clip in pool.clips]
    for given in ({}, {0: "x"}, {0: "x", 1: "x"}, {0: "x", 1: "y", 2: "z"}):
        clips = tuple(replace(clip, **{label: given.get(n)}) for n, clip in enumerate(bare))
        with pytest.raises(EmptyLibrary, match=label) as caught:
            evaluate(replace(pool, clips=clips), label)
        assert caught.value.advice


def test_what_cannot_be_asked(pool: Pool) -> None:
    with pytest.raises(EmptyLibrary, match="voted"):
        evaluate(pool, "feedback")
    with pytest.raises(InvalidSetting, match="artist"):
        evaluate(pool, "artist", exclude="artist")
    with pytest.raises(InvalidSetting, match="'smell'") as caught:
        evaluate(pool, methods=["raw", "smell"])
    assert "standard" in caught.value.advice and "tfidf" in caught.value.advice


def test_a_pool_of_three() -> None:
    pool = made(3, groups=1, sets=[("audio",)])
    found = evaluate(pool)
    assert {result.means["p@10"] for result in found.results} == {1.0}
    assert all(result.hubs["never"] == 0.0 for result in found.results)
    assert json.dumps(found.json(), allow_nan=False)


def test_the_page(measured, tmp_path: Path) -> None:
    from html.parser import HTMLParser

    from clipsim.evaluation_report import page, write

    bad = '<script>alert("x")</script>&\x1b[31m\u202e'
    shown = replace(measured.failures[0].query, title=bad, artist=bad, label=bad)
    hostile = replace(measured, failures=(replace(measured.failures[0], query=shown, found=(shown,)),))
    text = write(hostile, tmp_path / "report.html").read_text(encoding="utf-8")
    assert text == page(hostile) and [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "\x1b" not in text and "\u202e" not in text
    assert "http" not in text and "url(" not in text and "@import" not in text
    opened: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert not any(name.startswith("on") for name, _ in attrs)
            if tag not in ("meta", "line", "circle", "rect", "polyline"):
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

        def handle_startendtag(self, tag, attrs):
            pass

    Balance().feed(text)
    assert opened == []
    for result in measured.results:
        assert f">{result.means['map']:.3f}" in text
    assert text.count("<polyline") == 3 * len(CHEAP)
