"""musicnn: its checkpoint, its layers against the paper's order of operations, and what it says of real tracks."""

from __future__ import annotations

import struct
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from benchmarks.naive import musicnn
from clipsim import media, weights
from clipsim.encoders import MUSICNN, SAMPLE_RATE, _tfcheckpoint, tags
from clipsim.errors import EncoderError, TooShort, WeightsError
from tests.doubles.media import beat

GENRES = {  # of the tags: what kind of music it is
    "rock": {"rock", "classic rock", "alternative rock", "hard rock", "indie rock", "indie", "alternative", "punk"},
    "jazz": {"jazz", "blues", "soul", "funk"},
    "song": {"female vocalists", "folk", "acoustic", "country", "pop", "female vocalist"},
    "electronic": {"electronic", "ambient", "electronica", "chillout", "instrumental"},
}


@pytest.fixture(scope="module")
def small() -> tags.MusicnnEncoder:
    """The same network with weights drawn by chance."""
    torch.manual_seed(0)
    network = tags.Network()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)  # of both signs, as in the real one
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return tags.MusicnnEncoder(network)


@pytest.fixture(scope="module")
def real() -> tags.MusicnnEncoder:
    return tags.load()


def test_the_fast_network_is_the_published_one(small: tags.MusicnnEncoder) -> None:
    patches = torch.rand(2, tags.PATCH, tags.N_MELS) * 4
    with torch.inference_mode():
        got, want = small.network(patches), musicnn(small.network, patches)
    assert got[1].shape == (2, sum(MUSICNN.layers))
    for mine, theirs in zip(got, want, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_patches_are_librosas_mel_at_16_khz() -> None:
    waveform = beat(7, sample_rate=SAMPLE_RATE)
    got = tags.log_mel_patches(waveform)
    assert got.shape == (2, 187, 96) and got.dtype == np.float32
    y = librosa.resample(waveform, orig_sr=SAMPLE_RATE, target_sr=16_000)
    mel = librosa.feature.melspectrogram(y=y, sr=16_000, n_fft=512, hop_length=256, n_mels=96).T
    np.testing.assert_allclose(got.reshape(-1, 96), np.log10(10_000 * mel + 1)[: 2 * 187], rtol=1e-5, atol=1e-6)


def test_loud_music_stays_finite() -> None:
    assert np.isfinite(tags.log_mel_patches(beat(4, sample_rate=SAMPLE_RATE) * 4)).all()


def test_a_track_under_three_seconds_is_repeated(small: tags.MusicnnEncoder) -> None:
    short = tags.log_mel_patches(beat(1.2, sample_rate=SAMPLE_RATE))
    assert short.shape == (1, 187, 96)
    frames = 1 + int(1.2 * 16_000) // 256
    np.testing.assert_array_equal(short[0, frames : 2 * frames], short[0, :frames])
    assert small.encode(beat(1.2, sample_rate=SAMPLE_RATE)).vector.shape == (953,)


def test_patches_together_are_patches_alone(small: tags.MusicnnEncoder) -> None:
    waveform = beat(28, sample_rate=SAMPLE_RATE)  # more than one batch
    together, _ = small.patches(waveform)
    patches = torch.from_numpy(tags.log_mel_patches(waveform))
    assert len(patches) > tags.BATCH
    with torch.inference_mode():
        alone = torch.cat([small.network(patch[None])[0].sigmoid() for patch in patches])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_track_is_the_mean_of_its_patches_and_names_its_best_tags(small: tags.MusicnnEncoder) -> None:
    waveform = beat(10, sample_rate=SAMPLE_RATE)
    probabilities, layers = small.patches(waveform)
    encoded = small.encode(waveform)
    assert encoded.vector.dtype == np.float32 and encoded.vector.shape == (MUSICNN.size,)
    np.testing.assert_allclose(encoded.vector, layers.mean(axis=0), rtol=1e-5)
    assert len(layers) == 3 and encoded.segments is not None  # the halves: the first patch, and the other two
    np.testing.assert_allclose(encoded.segments, [layers[0], layers[1:].mean(axis=0)], rtol=1e-5)
    assert small.encode(beat(4, sample_rate=SAMPLE_RATE)).segments is None
    best = np.argsort(-probabilities.mean(axis=0))[:5]
    assert [label.label for label in encoded.labels] == [tags.TAGS[i] for i in best]
    scores = [label.score for label in encoded.labels]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)


def test_what_cannot_be_heard_is_refused(small: tags.MusicnnEncoder) -> None:
    with pytest.raises(TooShort):
        small.encode(np.zeros(100, np.float32))
    for bad in (np.full(SAMPLE_RATE, np.nan, np.float32), np.zeros((2, SAMPLE_RATE), np.float32)):
        with pytest.raises(EncoderError):
            small.encode(bad)


# The checkpoint


def test_tags_are_fifty() -> None:
    assert len(tags.TAGS) == len(set(tags.TAGS)) == 50


@pytest.mark.weights
def test_every_variable_of_the_checkpoint_is_used_once() -> None:
    folder = weights.path("musicnn")
    variables = _tfcheckpoint.read(folder)
    model = {name: v for name, v in variables.items() if "Adam" not in name and not name.startswith("beta")}
    network = tags.network(folder)
    mine = {name: v for name, v in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert len(mine) == len(model)
    assert sum(v.numel() for v in mine.values()) == sum(v.size for v in model.values())
    # every value, wherever it went: sums of the sorted values of each size agree
    assert sorted(float(v.double().sum()) for v in mine.values()) == pytest.approx(
        sorted(float(v.astype(np.float64).sum()) for v in model.values())
    )
    assert model["conv2d/kernel"].shape == (7, 38, 1, 204) and model["dense/kernel"].shape == (1506, 200)
    assert (model["batch_normalization/moving_variance"] > 0).all()


@pytest.mark.weights
def test_a_variable_missing_too_many_or_of_another_shape_is_refused() -> None:
    variables = _tfcheckpoint.read(weights.path("musicnn"))
    tags._state(variables)
    with pytest.raises(WeightsError, match="dense/bias"):
        tags._state({name: v for name, v in variables.items() if name != "dense/bias"})
    with pytest.raises(WeightsError, match="stranger"):
        tags._state({**variables, "stranger": np.zeros(3, np.float32)})
    with pytest.raises(WeightsError, match=r"dense\.bias"):
        tags._state({**variables, "dense/bias": np.zeros(199, np.float32)})


@pytest.mark.weights
def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = weights.path("musicnn")
    index, data = (folder / ".index").read_bytes(), (folder / ".data-00000-of-00001").read_bytes()
    cases = {
        "no index": (b"", data),
        "cut index": (index[:-10], data),
        "cut data": (index, data[: len(data) // 2]),
        "other magic": (index[:-8] + struct.pack("<Q", 1), data),
        "no footer": (index[:-48], data),
        "scrambled": (bytes(b ^ 0x55 for b in index[:-48]) + index[-48:], data),
    }
    for first, second in cases.values():
        (tmp_path / ".index").write_bytes(first)
        (tmp_path / ".data-00000-of-00001").write_bytes(second)
        with pytest.raises(WeightsError):
            _tfcheckpoint.read(tmp_path)
    with pytest.raises(WeightsError):
        _tfcheckpoint.read(tmp_path / "nowhere")


# What it says of real tracks


@pytest.mark.weights
@pytest.mark.parametrize(
    ("track", "kinds"),
    [
        ("442789__lena-orsa__happy-music-pistachio-ice-cream-ragtime.ogg", "jazz"),  # a ragtime for piano
        ("Kevin_MacLeod_-_Vibe_Ace.ogg", "jazz"),  # from its author's Jazz Sampler
        ("Karissa_Hobbs_-_Lets_Go_Fishin.ogg", "song"),  # a woman sings to a guitar
    ],
)
def test_real_tracks_get_tags_that_a_listener_would_give(
    real: tags.MusicnnEncoder, testdata: Path, track: str, kinds: str
) -> None:
    encoded = real.encode(media.decode_audio(testdata / "music" / track)[: 45 * SAMPLE_RATE])
    assert encoded.labels[0].label in GENRES[kinds]
    assert encoded.labels[0].score > 0.2
    assert np.isfinite(encoded.vector).all() and encoded.vector.any()


@pytest.mark.weights
def test_the_singer_is_heard(real: tags.MusicnnEncoder, testdata: Path) -> None:
    encoded = real.encode(
        media.decode_audio(testdata / "music" / "Karissa_Hobbs_-_Lets_Go_Fishin.ogg")[: 45 * SAMPLE_RATE]
    )
    assert "female vocalists" in [label.label for label in encoded.labels]
    hungarian = next((testdata / "music").glob("Hungarian*.ogg"))
    assert "instrumental" in [
        label.label for label in real.encode(media.decode_audio(hungarian)[: 30 * SAMPLE_RATE]).labels
    ]


@pytest.mark.weights
def test_the_fast_network_is_the_published_one_with_real_weights(real: tags.MusicnnEncoder, testdata: Path) -> None:
    waveform = media.decode_audio(testdata / "songs" / "01 - Help.mp3")
    patches = torch.from_numpy(tags.log_mel_patches(waveform))[:3]
    with torch.inference_mode():
        (got, mine), (want, theirs) = real.network(patches), musicnn(real.network, patches)
    np.testing.assert_allclose(got.sigmoid(), want.sigmoid(), atol=1e-4)
    np.testing.assert_allclose(mine, theirs, atol=1e-3)
