"""Half precision and batches on a device, as far as a processor can show them: bfloat16 stands for CUDA's half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from clipsim._torchvision import torchvision
from clipsim.encoders import SAMPLE_RATE, Encoded, _device, _linear, clap, encode_many, tags, text, video
from clipsim.encoders._device import in_batches
from clipsim.encoders._together import together
from clipsim.errors import EncoderError, TooShort
from tests.doubles.media import beat
from tests.encoders.test_clap import _saved
from tests.encoders.test_text import _small, _song


def _musicnn(_: Path) -> tuple[object, list]:
    torch.manual_seed(0)
    return tags.MusicnnEncoder(tags.Network()), [beat(s, sample_rate=SAMPLE_RATE) for s in (4, 10, 7)]


def _clap(folder: Path) -> tuple[object, list]:
    return clap.ClapEncoder(_saved(folder)), [beat(s, sample_rate=SAMPLE_RATE) for s in (4, 26, 12)]


def _text(kind: str):
    def make(folder: Path) -> tuple[object, list]:
        return text.SentenceEncoder(_small(folder, kind), 32), [_song(n) for n in (12, 70, 31)]

    return make


def _r3d(_: Path) -> tuple[object, list]:
    torch.manual_seed(0)
    network = torchvision().models.video.r3d_18().eval()
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (n, 16, 128, 130, 3), dtype=np.uint8) for n in (1, 1)]
    return video.R3DEncoder(video.r3d_by_torch(network, bfloat16=False)), clips


MAKERS = {"musicnn": _musicnn, "clap": _clap, "bert": _text("bert"), "mpnet": _text("mpnet"), "r3d_18": _r3d}


@pytest.mark.parametrize("name", MAKERS)
def test_half_precision_finds_nearly_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_linear, "_has_onednn", lambda: False)  # what oneDNN computes is single precision always
    encoder, inputs = MAKERS[name](tmp_path)
    single = encode_many(encoder, inputs)
    asked: list[torch.dtype] = []

    def half(on: torch.device) -> torch.dtype:
        asked.append(torch.bfloat16)
        return torch.bfloat16

    monkeypatch.setattr(_device, "precision", half)
    found = encode_many(encoder, inputs)
    assert asked
    for one, other in zip(single, found, strict=True):
        assert isinstance(one, Encoded) and isinstance(other, Encoded)
        assert other.vector.dtype == np.float32 and np.isfinite(other.vector).all()
        assert not np.array_equal(one.vector, other.vector)  # it was indeed computed otherwise
        a, b = one.vector.astype(float), other.vector.astype(float)
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.995


@pytest.mark.parametrize("name", MAKERS)
def test_several_are_as_each_alone(name: str, tmp_path: Path) -> None:
    encoder, inputs = MAKERS[name](tmp_path)
    for given, found in zip(inputs, encode_many(encoder, inputs), strict=True):
        alone = encoder.encode(given)
        np.testing.assert_allclose(found.vector, alone.vector, rtol=1e-4, atol=1e-5 * np.abs(alone.vector).max())
        assert [label.label for label in found.labels] == [label.label for label in alone.labels]
        assert (found.segments is None) == (alone.segments is None)
        if found.segments is not None:
            np.testing.assert_allclose(found.segments, alone.segments, atol=1e-4 * np.abs(alone.segments).max())


def test_a_bad_sound_costs_the_others_nothing(tmp_path: Path) -> None:
    for name in ("musicnn", "clap"):
        encoder, inputs = MAKERS[name](tmp_path / name)
        nan = np.full(SAMPLE_RATE, np.nan, np.float32)
        found = encode_many(encoder, [nan, inputs[0], np.zeros(10, np.float32)])
        assert isinstance(found[0], EncoderError) and isinstance(found[2], TooShort)
        np.testing.assert_allclose(found[1].vector, encoder.encode(inputs[0]).vector, rtol=1e-4, atol=1e-5)


def test_an_encoder_of_ones_own_needs_no_encode_many() -> None:
    class Length:
        def encode(self, given: str) -> Encoded:
            if not given:
                raise EncoderError("nothing")
            return Encoded(np.full(2, len(given), np.float32))

    found = encode_many(Length(), ["a", "", "abc"])
    assert isinstance(found[1], EncoderError)
    assert [found[0].vector[0], found[2].vector[0]] == [1, 3]


def test_what_fails_in_the_end_costs_only_its_own() -> None:
    def join(_: None, answers) -> Encoded:
        if sum(answers) > 10:
            raise EncoderError("too much")
        return Encoded(np.array([sum(answers)], np.float32))

    found = together([[1, 2], [30], [], [3, 4]], lambda rows: (rows, None), lambda rows: rows, join)
    assert [None if isinstance(one, EncoderError) else float(one.vector[0]) for one in found] == [3, None, 0, 7]


def test_batches_shrink_to_what_memory_holds() -> None:
    sizes: list[int] = []

    def run(rows: list[int]) -> int:
        sizes.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("no room")
        return sum(rows)

    assert in_batches(range(10), 8, run) == [1, 5, 9, 13, 17]
    assert sizes == [8, 4, 2, 2, 2, 2, 2]
    with pytest.raises(torch.OutOfMemoryError):
        in_batches([1], 4, lambda rows: (_ for _ in ()).throw(torch.OutOfMemoryError("none at all")))


def test_threads_are_those_that_the_parent_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert _device.threads() == 3
    for nonsense in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert _device.threads() >= 1
