"""Every contender against a plain recomputation, and pools in which some cannot run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.cross_decomposition import CCA
from sklearn.feature_extraction.text import TfidfVectorizer

from clipsim import fusion
from clipsim.contenders import Pool, chosen, chunks, contenders
from clipsim.encoders import Part, Preset
from clipsim.fusion import base, columns, standardise
from clipsim.model import METHODS, MODALITIES, Clip, Features, Modality
from clipsim.similarity import pairwise
from tests.libraries import TINY, features

TWO_EARS = Preset("two", (*TINY.parts, Part("other-ear", "audio", 10, "nowhere:load", layers=(4, 6))))
SETS: list[tuple[Modality, ...]] = [MODALITIES, MODALITIES, ("audio", "video"), ("audio",), ("video", "lyrics")]


def pool(count: int = 50, sets: list[tuple[Modality, ...]] = SETS, preset: Preset = TINY, **more: object) -> Pool:
    found = [features(n, sets[n % len(sets)], preset, near=1000 + n % 6) for n in range(count)]
    return Pool(tuple(Clip(f"c{n}", f"T{n}") for n in range(count)), tuple(found), preset, **more)


def scores(name: str, given: Pool) -> np.ndarray:
    fitted = contenders(given.preset)[name].fit(given, None)
    rows = fitted.rows(given.features, given.lyrics)
    return fitted.compare(rows, rows)


def test_all_are_there_in_order_and_say_what_they_are() -> None:
    names = list(contenders(TWO_EARS))
    assert names[:5] == list(METHODS)
    assert names[5:] == [*MODALITIES, "ear", "other-ear", "naive", "rrf", "whitened", "cca", "tfidf"]
    assert "ear" not in contenders(TINY)  # it is all of `audio`
    assert all(each.name == name and each.about for name, each in contenders(TWO_EARS).items())
    assert [each.name for each in contenders(TINY).values() if each.method] == list(METHODS)


def test_choosing() -> None:
    assert "paper" not in [each.name for each in chosen(TINY, None)]
    assert [each.name for each in chosen(TINY, ["all"])] == list(contenders(TINY))
    assert [each.name for each in chosen(TINY, ["rrf", "paper"])] == ["paper", "rrf"]
    with pytest.raises(KeyError, match="smell"):
        chosen(TINY, ["raw", "smell"])


@pytest.mark.parametrize("method", ["standard", "joint", "pca", "raw"])
def test_a_method_is_the_one_that_answers(method: str) -> None:
    given = pool()
    fitted = fusion.fit(method, given.features, TINY)
    rows = fitted.embed(given.features)
    np.testing.assert_array_equal(scores(method, given), pairwise(rows, rows, fitted))


@pytest.mark.parametrize("name", [*MODALITIES, "ear", "other-ear"])
def test_one_sense_alone_is_the_cosine_of_its_standardised_columns(name: str) -> None:
    given = pool(preset=TWO_EARS)
    values, present = columns.stack(given.features, TWO_EARS)
    rows = standardise.fit(values, present, TWO_EARS).transform(values, present).astype(np.float64)
    parts = [(part, span) for part, span in columns.spans(TWO_EARS) if name in (part.modality, part.encoder)]
    layers = {
        "ear": [slice(0, 20)],
        "eye": [slice(0, 12)],
        "pen": [slice(0, 16)],
        "other-ear": [slice(0, 4), slice(4, 10)],
    }
    there = np.array([any(part.encoder in found.vectors for part, _ in parts) for found in given.features])
    pieces = []
    for part, span in parts:
        for layer in layers[part.encoder]:
            piece = rows[:, span][:, layer]
            weight = (base.weight(part) / len(layers[part.encoder])) ** 0.5
            pieces.append(weight * piece / np.maximum(np.linalg.norm(piece, axis=1, keepdims=True), 1e-12))
    mine = np.hstack(pieces)
    found = scores(name, given)
    for a in range(50):
        for b in range(50):
            if there[a] and there[b]:
                cosine = mine[a] @ mine[b] / (np.linalg.norm(mine[a]) * np.linalg.norm(mine[b]))
                assert found[a, b] == pytest.approx(cosine, abs=1e-5)
            else:
                assert np.isnan(found[a, b])


def test_naive_is_the_cosine_of_what_was_found() -> None:
    given = pool(sets=[MODALITIES])
    mine = np.array([np.concatenate([f.vectors[part.encoder] for part in TINY.parts]) for f in given.features], float)
    mine /= np.linalg.norm(mine, axis=1, keepdims=True)
    np.testing.assert_allclose(scores("naive", given), mine @ mine.T, atol=1e-6)


def test_reciprocal_rank_fusion_adds_up_each_list() -> None:
    given = pool()
    by = {name: scores(name, given) for name in MODALITIES}
    found = scores("rrf", given)
    for query in range(0, 50, 7):
        total = [0.0] * 50
        for table in by.values():
            ranked = sorted(
                (n for n in range(50) if not np.isnan(table[query, n])), key=lambda n: (-table[query, n], n)
            )
            for rank, n in enumerate(ranked, 1):
                total[n] += 1 / (60 + rank)
        expected = [value or np.nan for value in total]
        assert found[query] == pytest.approx(expected, nan_ok=True)


def test_whitening_is_by_the_covariance_that_scikit_learn_shrinks() -> None:
    given = pool(count=300, sets=[MODALITIES])
    values, present = columns.stack(given.features, TINY)
    columns_ = standardise.fit(values, present, TINY).transform(values, present).astype(float)
    shrunk = LedoitWolf().fit(columns_)
    expected = (columns_ - shrunk.location_) @ np.linalg.inv(shrunk.covariance_) @ (columns_ - shrunk.location_).T
    rows = np.asarray(contenders(TINY)["whitened"].fit(given, None).rows(given.features, ()), float)
    np.testing.assert_allclose(rows @ rows.T, expected, rtol=1e-3, atol=1e-3)
    few = pool(count=12, sets=[MODALITIES])
    rows = contenders(TINY)["whitened"].fit(few, None).rows(few.features, ())
    assert np.isfinite(rows).all() and np.asarray(rows).shape[1] <= 11


def test_cca_finds_what_two_modalities_share() -> None:
    generator = np.random.default_rng(0)
    shared = generator.standard_normal((400, 2))

    def view(size: int) -> np.ndarray:
        own = 3 * generator.standard_normal((400, size))  # louder than what is shared
        return (shared @ generator.standard_normal((2, size)) * 3 + own).astype(np.float32)

    ear, eye = view(20), view(12)
    found = [Features({"ear": ear[n], "eye": eye[n]}) for n in range(400)]
    given = Pool(tuple(Clip(f"c{n}", "T") for n in range(400)), tuple(found), TINY)
    fitted = contenders(TINY)["cca"].fit(given, None)
    heard = np.asarray(fitted.rows([Features({"ear": row}) for row in ear], ()), float)
    seen = np.asarray(fitted.rows([Features({"eye": row}) for row in eye], ()), float)
    a, b = CCA(2).fit(ear, eye).transform(ear, eye)
    for n in range(2):  # the two strongest directions agree as much as scikit-learn's do
        mine = abs(np.corrcoef(heard[:, n], seen[:, n])[0, 1])
        assert mine == pytest.approx(abs(np.corrcoef(a[:, n], b[:, n])[0, 1]), abs=0.05)
    own = np.array([fitted.compare(heard[n : n + 1], seen)[0].argsort().tolist().index(n) for n in range(400)])
    assert own.mean() > 0.7 * 400  # across modalities, a clip's own is far up


def test_tfidf_is_scikit_learn_s_cosine_and_knows_who_has_no_words() -> None:
    words = ["love love me do", "love is all", "the river runs", "down to the river", None, "  "]
    given = pool(count=6, lyrics=tuple(words))
    found = scores("tfidf", given)
    vectors = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\b\w+\b").fit_transform(words[:4])
    np.testing.assert_allclose(found[:4, :4], (vectors @ vectors.T).toarray(), atol=1e-9)
    assert np.isnan(found[4:]).all() and np.isnan(found[:, 4:]).all()
    fitted = contenders(TINY)["tfidf"].fit(given, None)
    assert fitted.rows(given.features[:3], ()).shape[0] == 3  # halves of clips have no words


@pytest.mark.parametrize("name", list(contenders(TINY)))
def test_why_one_cannot_run(name: str) -> None:
    whole, sound = pool(lyrics=("la la",) * 50), pool(sets=[("audio",)])
    assert contenders(TINY)[name].missing(whole) is None
    why = contenders(TINY)[name].missing(sound)
    assert (why is None) == (name in (*METHODS, "audio", "naive", "whitened"))
    assert why is None or why.endswith(".")
    if why is None and name != "paper":
        assert np.isfinite(scores(name, replace(sound, features=sound.features[:3], clips=sound.clips[:3]))).all()


def test_chunks_are_all_rows_once() -> None:
    assert np.concatenate(list(chunks(1000, 300))).tolist() == list(range(1000))
    assert list(chunks(0)) == []
