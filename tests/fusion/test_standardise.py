import csv

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from clipsim.encoders import PRESETS
from clipsim.encoders.audio import NAMES
from clipsim.errors import LibraryCorrupt, LibraryMismatch
from clipsim.fusion import columns, standardise
from clipsim.model import Features
from tests.fusion.clips import SMALL, make


def fitted(clips, preset=SMALL, **options):
    values, present = columns.stack(clips, preset)
    return standardise.fit(values, present, preset, **options), values, present


def test_with_enough_clips_it_is_scikit_learns_scaler():
    standardiser, values, present = fitted(make(80)[0])
    expected = StandardScaler().fit_transform(values.astype(np.float64))
    assert np.abs(expected).max() < standardise.LIMIT
    np.testing.assert_allclose(standardiser.transform(values, present), expected, atol=1e-4)
    assert standardiser.transform(values, present).dtype == np.float32


def test_a_missing_modality_counts_in_no_statistic_and_is_zero():
    clips, _ = make(300, missing=0.4)
    standardiser, values, present = fitted(clips)
    there = present[:, -1]
    assert 0.3 < there.mean() < 0.8
    words = slice(80, 380)
    expected = StandardScaler().fit(values[there, words].astype(np.float64))
    np.testing.assert_allclose(standardiser.mean[words], expected.mean_, rtol=1e-6)
    np.testing.assert_allclose(standardiser.scale[words], expected.scale_, rtol=1e-6)
    result = standardiser.transform(values, present)
    assert (result[~there, words] == 0).all()
    assert (np.abs(result[there, words]).sum(axis=1) > 0).all()
    assert standardiser.counts[-1] == there.sum()


def test_a_constant_column_stays_finite_and_silent():
    clips, _ = make(70)
    for clip in clips:
        clip.vectors["ear"][3] = 12345.678
    standardiser, values, present = fitted(clips)
    column = 30 + 3
    assert np.abs(standardiser.transform(values, present)[:, column]).max() < 1e-3


def test_one_wild_value_is_held():
    clips, _ = make(70)
    standardiser, *_ = fitted(clips)
    wild = Features({"ear": np.full(40, 3e38, np.float32)})
    values, present = columns.stack([wild], SMALL)
    assert np.abs(standardiser.transform(values, present)).max() == standardise.LIMIT


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_few_clips_lean_on_the_prior(count):
    """Two clips standardised plainly are opposites, whatever they are (cosine -1): leaning on a prior, they are not."""
    clips, _ = make(count, groups=1)
    plain, values, present = fitted(clips, prior_clips=0)
    leaning, *_ = fitted(clips)
    if count == 2:
        rows = columns.unit(plain.transform(values, present))
        assert rows[0] @ rows[1] == pytest.approx(-1, abs=1e-3)
    rows = columns.unit(leaning.transform(values, present))
    assert np.isfinite(rows).all()
    assert (rows @ rows.T).min() > -0.9


def test_the_prior_is_gone_with_enough_clips():
    clips, _ = make(standardise.ENOUGH)
    one, two = fitted(clips)[0], fitted(clips, prior_clips=0)[0]
    assert np.array_equal(one.mean, two.mean) and np.array_equal(one.scale, two.scale)


def test_statistics_are_kept_through_storage():
    standardiser, *_ = fitted(make(9)[0])
    again = standardise.restore(standardiser.arrays(), SMALL)
    assert np.array_equal(again.mean, standardiser.mean) and np.array_equal(again.scale, standardiser.scale)
    with pytest.raises(LibraryMismatch, match="eye"):
        standardise.restore(standardiser.arrays(), PRESETS["standard"])


def test_what_cannot_be_stacked_is_refused():
    with pytest.raises(LibraryMismatch, match="shape"):
        columns.stack([Features({"ear": np.ones(41, np.float32)})], SMALL)
    with pytest.raises(LibraryMismatch, match="no features"):
        columns.stack([Features({"other": np.ones(41, np.float32)})], SMALL)
    with pytest.raises(LibraryCorrupt, match="finite"):
        columns.stack([Features({"ear": np.full(40, np.nan, np.float32)})], SMALL)


def test_the_presets_have_the_columns_of_the_deck():
    assert PRESETS["paper"].size == 1425
    assert [(part.encoder, where.start) for part, where in columns.spans(PRESETS["paper"])] == [
        ("r3d_18", 0),
        ("librosa", 400),
        ("bert", 657),
    ]
    assert columns.blocks(PRESETS["standard"]) == {
        "audio": slice(400, 1610),
        "video": slice(0, 400),
        "lyrics": slice(1610, 2378),
    }


def test_the_measured_prior_is_small_whole_and_of_the_presets_encoders():
    assert standardise.PRIOR.stat().st_size < 400_000
    sizes = {part.encoder: part.size for part in PRESETS["standard"].parts}
    for encoder in ("librosa", "musicnn", "mpnet"):
        prior = standardise.measured(encoder)
        assert prior is not None and prior.mean.shape == prior.scale.shape == (sizes[encoder],)
        assert np.isfinite(prior.mean).all() and (prior.scale > 0).all()
        assert (prior.channel is not None) == (encoder != "mpnet")  # words have no copies that sound different
        if prior.channel is not None:
            assert prior.channel.shape[1] == sizes[encoder] and np.isfinite(prior.channel).all()
    assert standardise.measured("i3d") is None


def test_the_prior_is_near_what_the_decks_authors_found(testdata):
    """Their 821 tracks, in columns that hang neither on length nor on bandwidth (ours are excerpts)."""
    theirs = {row["feature"]: row for row in csv.DictReader((testdata / "deck" / "columns.csv").open(encoding="utf-8"))}
    prior = standardise.measured("librosa")
    assert prior is not None
    mean, scale = prior.mean, prior.scale
    for name in ("tempo_bpm", "zero_crossing_rate_mean", "mfcc_1_mean", "chroma1_mean", "chroma12_mean"):
        column, mid, spread = NAMES.index(name), float(theirs[name]["mean"]), float(theirs[name]["scale"])
        assert mean[column] == pytest.approx(mid, abs=spread)
        assert 0.3 < scale[column] / spread < 3
