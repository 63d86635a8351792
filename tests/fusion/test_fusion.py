import io
import pickle
import zipfile

import numpy as np
import pytest
from sklearn.decomposition import PCA

from clipsim import fusion
from clipsim.encoders import PRESETS, Part, Preset
from clipsim.errors import LibraryCorrupt, LibraryMismatch
from clipsim.fusion import columns, late
from clipsim.model import Features
from tests.fusion.clips import SMALL, make, precision

SIMPLE = ("raw", "pca", "standard", "joint")


@pytest.mark.parametrize("method", SIMPLE)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 20, 300])
def test_any_number_of_clips_gives_unit_rows_that_survive_storage(method, count):
    clips, _ = make(count, missing=0.3)
    new, _ = make(7, seed=5, missing=0.3)
    fitted = fusion.fit(method, clips, SMALL)
    assert (fitted.method, fitted.clips) == (method, count)
    rows = fitted.embed([*clips, *new])
    assert rows.dtype == np.float32 and rows.shape == (count + 7, fitted.size)
    assert fitted.size == (SMALL.size if method == "raw" else 256)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    again = fusion.load(fusion.dump(fitted), SMALL)
    assert (again.method, again.clips, again.size, again.blocks) == (method, count, fitted.size, fitted.blocks)
    assert np.array_equal(again.embed([*clips, *new]), rows)
    assert fusion.dump(fusion.fit(method, clips, SMALL)) == fusion.dump(fitted)


@pytest.mark.parametrize("method", SIMPLE)
def test_clips_of_a_group_are_found(method):
    clips, groups = make(120, missing=0.2)
    assert precision(fusion.fit(method, clips, SMALL).embed(clips), groups) > 0.9


@pytest.mark.parametrize("method", SIMPLE)
def test_a_clip_alone_is_embedded_as_among_others(method):
    clips, _ = make(80, missing=0.2)
    fitted = fusion.fit(method, clips, SMALL)
    together = fitted.embed(clips)
    for row in (0, 33, 79):
        np.testing.assert_allclose(fitted.embed([clips[row]])[0], together[row], atol=1e-5)


@pytest.mark.parametrize("method", SIMPLE)
def test_clips_that_are_all_the_same_are_alike(method):
    clip = make(1)[0][0]
    rows = fusion.fit(method, [clip] * 70, SMALL).embed([clip, clip])
    np.testing.assert_allclose(rows @ rows.T, 1, atol=1e-5)


def test_raw_is_the_cosine_of_the_standardised_columns():
    clips, _ = make(100)
    values = np.stack([np.concatenate([clip.vectors[p.encoder] for p in SMALL.parts]) for clip in clips]).astype(float)
    z = (values - values.mean(0)) / values.std(0)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    rows = fusion.fit("raw", clips, SMALL).embed(clips)
    np.testing.assert_allclose(rows @ rows.T, z @ z.T, atol=1e-4)


def test_pca_is_scikit_learns():
    clips, _ = make(300)
    fitted = fusion.fit("pca", clips, SMALL)
    standardised = fitted.standardiser.transform(*columns.stack(clips, SMALL))
    expected = PCA(256, svd_solver="full").fit_transform(standardised.astype(float))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    rows = fitted.embed(clips)
    np.testing.assert_allclose(rows @ rows.T, expected @ expected.T, atol=1e-4)


def test_late_fusion_is_the_weighted_mean_of_the_modalities_cosines():
    clips, _ = make(90)
    fitted = fusion.fit("standard", clips, SMALL)
    rows = fitted.embed(clips)
    total = sum(late.WEIGHTS.values())
    expected = np.zeros((90, 90))
    for modality, weight in late.WEIGHTS.items():
        vectors = np.stack([fitted.modal(clip)[modality] for clip in clips]).astype(float)
        if vectors.shape[1] <= late.SHARES[modality]:  # nothing is reduced: exact
            block = rows[:, fitted.blocks[modality]].astype(float)
            np.testing.assert_allclose(block @ block.T * total / weight, vectors @ vectors.T, atol=1e-4)
        expected += weight / total * (vectors @ vectors.T)
    assert np.corrcoef(expected.ravel(), (rows @ rows.T).ravel())[0, 1] > 0.98


def test_each_modality_has_its_slice_and_a_missing_one_is_zero_there():
    clips, _ = make(100)
    fitted = fusion.fit("standard", clips, SMALL)
    assert fitted.blocks == {"audio": slice(0, 96), "video": slice(96, 160), "lyrics": slice(160, 256)}
    deaf = Features({"word": clips[0].vectors["word"]})
    row = fitted.embed([deaf])[0]
    assert (row[:160] == 0).all()
    whole = fitted.embed([clips[0]])[0][160:]
    np.testing.assert_allclose(row[160:], whole / np.linalg.norm(whole), atol=1e-5)
    assert set(fitted.modal(deaf)) == {"lyrics"}


def test_a_preset_without_a_modality_leaves_its_slice_empty():
    preset = Preset("heard", (Part("ear", "audio", 40, "none:none"),))
    clips, _ = make(70, preset)
    fitted = fusion.fit("standard", clips, preset)
    assert fitted.blocks == {"audio": slice(0, 96)}
    assert (fitted.embed(clips)[:, 40:] == 0).all()


def test_clips_to_come_keep_their_differences_where_few_had_the_modality():
    """Five clips with words span five directions; the next ones must still be told apart by words of their own."""
    clips, _ = make(70, groups=20)
    for clip in clips[5:]:
        del clip.vectors["word"]
    fitted = fusion.fit("standard", clips, SMALL)
    new, groups = make(80, groups=20, seed=7)
    only = [Features({"word": clip.vectors["word"]}) for clip in new]
    assert precision(fitted.embed(only), groups, k=3) > 0.6


@pytest.mark.parametrize("method", SIMPLE)
def test_modal_vectors_are_whole_and_of_unit_length(method):
    clips, _ = make(70)
    modal = fusion.fit(method, clips, SMALL).modal(clips[0])
    assert {modality: vector.shape for modality, vector in modal.items()} == {
        "audio": (50,),
        "video": (30,),
        "lyrics": (300,),
    }
    for vector in modal.values():
        assert vector.dtype == np.float32 and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_an_encoder_counts_for_its_weight_and_not_for_its_columns():
    clips, _ = make(70)
    audio = fusion.fit("raw", clips, SMALL).modal(clips[0])["audio"]
    assert np.linalg.norm(audio[:40]) == pytest.approx(np.linalg.norm(audio[40:]), abs=1e-5)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a stranger's bytes were run",))


def npz(**arrays):
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def bad_files():
    good = fusion.dump(fusion.fit("pca", make(10)[0], SMALL))
    with np.load(io.BytesIO(good)) as stored:
        arrays = dict(stored)
    members = io.BytesIO()
    with zipfile.ZipFile(members, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
        archive.writestr("archive/version", "3")
    return {
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps(Evil()),
        "cut": good[: len(good) // 2],
        "no arrays": npz(x=np.ones(3)),
        "objects": npz(**{**arrays, "clips": np.array([Evil()], object)}),
        "other format": npz(**{**arrays, "format": np.array(2)}),
        "unknown method": npz(**{**arrays, "method": np.array("magic")}),
        "other shape": npz(**{**arrays, "pca_components": np.ones((3, 7), np.float32)}),
        "no numbers": npz(**{**arrays, "mean": np.full(SMALL.size, np.nan)}),
        "zero scale": npz(**{**arrays, "scale": np.zeros(SMALL.size)}),
        "torch with code": members.getvalue(),
    }


@pytest.mark.parametrize("name", sorted(bad_files()))
def test_bytes_that_are_no_fusion_are_refused_and_never_run(name):
    with pytest.raises(LibraryCorrupt):
        fusion.load(bad_files()[name], SMALL)


@pytest.mark.parametrize("method", SIMPLE)
def test_a_fusion_of_other_encoders_is_refused(method):
    data = fusion.dump(fusion.fit(method, make(10)[0], SMALL))
    with pytest.raises(LibraryMismatch, match="other encoders"):
        fusion.load(data, PRESETS["standard"])
