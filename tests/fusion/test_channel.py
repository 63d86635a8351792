"""Channel compensation: directions in which copies differ shrink as the formula says, the others stay."""

from __future__ import annotations

import numpy as np
import pytest

from clipsim import fusion
from clipsim.encoders import PRESETS
from clipsim.fusion import channel, columns, standardise
from clipsim.model import Features

PRESET = PRESETS["standard"]
AUDIO = ("librosa", "musicnn")


def clips(count: int, seed: int = 0) -> list[Features]:
    """Made-up sound in the units of the real encoders."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        vectors = {}
        for encoder in AUDIO:
            prior = standardise.measured(encoder)
            assert prior is not None
            vectors[encoder] = (prior.mean + prior.scale * chance.standard_normal(len(prior.mean))).astype(np.float32)
        found.append(Features(vectors))
    return found


def copied(clip: Features, seed: int) -> Features:
    """A copy: moved by chance in the directions in which copies differ, twice as far as they do."""
    chance = np.random.default_rng(seed)
    vectors = {}
    for encoder, vector in clip.vectors.items():
        prior = standardise.measured(encoder)
        assert prior is not None and prior.channel is not None
        moved = chance.standard_normal(len(prior.channel)) @ prior.channel
        vectors[encoder] = (vector + 2 * moved).astype(np.float32)
    return Features(vectors)


def test_it_is_the_inverse_root_of_the_covariance() -> None:
    values, present = columns.stack(clips(80), PRESET)
    standardiser = standardise.fit(values, present, PRESET)
    standardised = standardiser.transform(values, present)
    got = channel.fit(standardiser, strength=5.0).apply(standardised)
    for part, where in columns.spans(PRESET):
        if part.encoder not in AUDIO:
            np.testing.assert_array_equal(got[:, where], standardised[:, where])
            continue
        prior = standardise.measured(part.encoder)
        assert prior is not None and prior.channel is not None
        differences = np.clip(prior.channel / standardiser.scale[where], -standardise.LIMIT, standardise.LIMIT)
        for layer in columns.layers(part):
            seen = differences[:, layer]
            variances, directions = np.linalg.eigh(np.eye(seen.shape[1]) + 5.0 * seen.T @ seen)
            root = directions / np.sqrt(variances) @ directions.T
            np.testing.assert_allclose(got[:, where][:, layer], standardised[:, where][:, layer] @ root, atol=2e-4)


@pytest.mark.parametrize("method", ["standard", "joint"])
def test_copies_are_nearer_to_their_originals_than_without_it(method) -> None:
    known = clips(80)
    fitted = fusion.fit(method, known, PRESET)
    copies = [copied(clip, seed) for seed, clip in enumerate(known)]
    with_it = (fitted.embed(known) * fitted.embed(copies)).sum(axis=1)
    fitted.channel = None
    without = (fitted.embed(known) * fitted.embed(copies)).sum(axis=1)
    assert with_it.mean() > without.mean() + 0.1


@pytest.mark.parametrize("method", ["raw", "pca"])
def test_the_decks_rivals_stay_as_they_are(method) -> None:
    assert fusion.fit(method, clips(80), PRESET).channel is None


@pytest.mark.parametrize("method", ["standard", "joint"])
def test_it_is_kept_with_the_fusion(method) -> None:
    known = clips(80)
    fitted = fusion.fit(method, known, PRESET)
    again = fusion.load(fusion.dump(fitted), PRESET)
    assert set(again.channel.rows) == set(AUDIO)
    np.testing.assert_array_equal(again.embed(known), fitted.embed(known))


def test_what_is_missing_stays_missing() -> None:
    values, present = columns.stack([Features({"musicnn": np.ones(953, np.float32)})], PRESET)
    standardiser = standardise.fit(values, present, PRESET)
    got = channel.fit(standardiser).apply(standardiser.transform(values, present))
    for part, where in columns.spans(PRESET):
        assert got[:, where].any() == (part.encoder == "musicnn")


@pytest.mark.parametrize(
    "rows", [np.ones((2, 952)), np.full((2, 953), np.nan), np.ones(953), np.ones((channel.RANK + 1, 953))]
)
def test_rows_of_another_shape_are_refused(rows) -> None:
    with pytest.raises(ValueError, match="another shape"):
        channel.restore({"channel_musicnn": rows}, PRESET)
