"""Many queries at once against one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from clipsim import fusion
from clipsim.errors import InvalidSetting, MissingModality
from clipsim.fusion import autoencoder
from clipsim.model import METHODS, MODALITIES, By, Method, Modality
from clipsim.similarity import Comparison, pairwise
from tests.libraries import TINY, features

SETS: list[tuple[Modality, ...]] = [
    MODALITIES, MODALITIES, ("audio", "video"), ("audio",), ("video",), ("lyrics",), ("video", "lyrics"),
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> dict[Method, tuple[fusion.Fusion, np.ndarray]]:
    clips = [features(n, SETS[n % 7], near=1000 + n % 9) for n in range(39)]  # too few for `joint` to learn long
    made = {}
    for method in METHODS:
        found = autoencoder.fit(clips, TINY, epochs=2) if method == "paper" else fusion.fit(method, clips, TINY)
        made[method] = (found, found.embed(clips))
    return made


def one_at_a_time(rows: np.ndarray, found: fusion.Fusion, by: By, weights) -> np.ndarray:
    table = np.full((len(rows), len(rows)), np.nan)
    candidates = {str(n): row for n, row in enumerate(rows)}
    for row, query in enumerate(rows):
        try:
            comparison = Comparison(query, found, by, weights)
        except MissingModality:
            continue
        for scored in comparison.score(candidates):
            table[row, int(scored.id)] = scored.similarity
    return table


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by", ["all", *MODALITIES])
@pytest.mark.parametrize("weights", [None, {"audio": 2.0, "lyrics": 0.0}])
def test_it_is_the_comparison_of_each(fitted, method: Method, by: By, weights) -> None:
    found, rows = fitted[method]
    table = pairwise(rows[:20], rows, found, by, weights)
    assert table.shape == (20, 39) and table.dtype == np.float64
    np.testing.assert_allclose(table, one_at_a_time(rows, found, by, weights)[:20], rtol=0, atol=1e-12)
    if method in ("standard", "raw"):
        assert np.isnan(table).any() and not np.isnan(table).all()


def test_weights_that_cannot_be_used(fitted) -> None:
    found, rows = fitted["standard"]
    with pytest.raises(InvalidSetting):
        pairwise(rows, rows, found, weights={"audio": -1.0})
