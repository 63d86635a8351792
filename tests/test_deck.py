"""The deck's own vectors, in a real index: a reference that no one here made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from clipsim.index import Index
from clipsim.model import HOME, Clip
from clipsim.retrieval import Scan, search
from tests.libraries import settings

TOP = 5


def _deck(testdata: Path):
    stored = np.load(testdata / "deck" / "embeddings.npz", allow_pickle=False)
    expected = json.loads((testdata / "deck" / "expected_top5.json").read_text(encoding="utf-8"))
    return stored, [(row["title"], row["similarity"]) for row in expected]


def test_the_decks_vectors_return_the_decks_answer(testdata: Path, tmp_path: Path) -> None:
    stored, expected = _deck(testdata)
    titles = [str(title) for title in stored["titles"]]
    rows = stored["embeddings"].astype(np.float32)
    assert rows.shape == (821, 256)
    index = Index(settings(tmp_path), "deck0000")
    name = index.name("deck", HOME)
    index.rebuild(name, {f"{n:03}": row for n, row in enumerate(rows)})
    query = stored["query"].astype(np.float32).reshape(-1)
    found = index.query(name, query, TOP)
    index.close()
    assert [(titles[int(clip_id)], round(cosine, 6)) for clip_id, cosine in found] == expected


def test_retrieval_returns_it_too(testdata: Path, tmp_path: Path) -> None:
    """The same through over-fetch, exact re-rank and the filters, with the query as a clip of the library."""
    stored, expected = _deck(testdata)
    deck = _Deck(stored)
    index = Index(settings(tmp_path), "deck0000")
    index.rebuild(index.name("deck", HOME), dict(zip(*deck.embeddings("deck"), strict=True)))
    for nearest in (index, Scan(deck)):
        found = search(deck, nearest, "deck", deck, deck.clip("query"), k=TOP, per_artist=0)
        assert [(one.clip.title, round(one.similarity, 6)) for one in found] == expected
    index.close()


class _Deck:
    """A library of vectors and titles alone."""

    method = "pca"
    blocks = None

    def __init__(self, stored) -> None:
        self._rows = {f"{n:03}": row for n, row in enumerate(stored["embeddings"].astype(np.float32))}
        self._rows["query"] = stored["query"].astype(np.float32).reshape(-1)
        self._titles = {f"{n:03}": str(title) for n, title in enumerate(stored["titles"])} | {
            "query": str(stored["query_title"])
        }

    def clip(self, clip_id: str) -> Clip:
        return Clip(clip_id, self._titles[clip_id], modalities=("audio", "video", "lyrics"))

    def get_many(self, ids):
        return {clip_id: self.clip(clip_id) for clip_id in ids}

    def vectors(self, _fusion_id, ids):
        return {clip_id: self._rows[clip_id] for clip_id in ids}

    def embeddings(self, _fusion_id, _community=HOME):
        return list(self._rows), np.array(list(self._rows.values()))

    def ids(self, _community=HOME):
        return list(self._rows)

    def modality_sets(self, _community=HOME):
        return frozenset({frozenset({"audio", "video", "lyrics"})})

    def features(self, _ids):
        return {}

    def fingerprints(self, _ids):
        return {}

    def modal(self, _features):
        return {}
