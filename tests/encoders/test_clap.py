"""CLAP against transformers' own answer, on a small random network of its class saved as a hub would."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from clipsim import doctor, weights
from clipsim._torchvision import transformers
from clipsim.encoders import CLAP, PRESETS, SAMPLE_RATE, clap
from clipsim.errors import EncoderError, TooShort, WeightsError
from clipsim.settings import Settings

RATE = 48_000


def _saved(folder: Path, *, size: int = 32, fusion: bool = False) -> Path:
    hub = transformers()
    torch.manual_seed(7)
    config = hub.ClapConfig(
        text_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "vocab_size": 50,
        },
        audio_config={
            "patch_embeds_hidden_size": 8,
            "hidden_size": 64,
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 2],
            "num_hidden_layers": 4,
            "spec_size": 256,
            "enable_fusion": fusion,
        },
        projection_dim=size,
    )
    hub.ClapModel(config).eval().save_pretrained(folder)
    hub.ClapFeatureExtractor(truncation="fusion" if fusion else "rand_trunc").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> clap.ClapEncoder:
    return clap.ClapEncoder(folder)


def _sound(seconds: float, seed: int = 0) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rng = np.random.default_rng(seed)
    tones = np.sin(2 * np.pi * (220 + 40 * np.floor(time))[None] * time * np.array([[1], [2.5]])).sum(0)
    return (0.2 * tones + 0.05 * rng.standard_normal(len(time))).astype(np.float32)


def _theirs(folder: Path, sound: np.ndarray) -> np.ndarray:
    """transformers' whole model on one window, shape (size,)."""
    hub = transformers()
    model = hub.ClapModel.from_pretrained(folder).eval()
    extractor = hub.ClapFeatureExtractor.from_pretrained(folder)
    inputs = extractor(sound, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        found = model.get_audio_features(input_features=inputs["input_features"].float())
    found = getattr(found, "pooler_output", found)[0].numpy()
    return found / np.linalg.norm(found)


def _resampled(sound: np.ndarray) -> np.ndarray:
    return librosa.resample(sound, orig_sr=SAMPLE_RATE, target_sr=RATE)


@pytest.mark.parametrize("seconds", [10, 7.3, 2, 0.1])
def test_one_window_is_what_transformers_computes(folder: Path, encoder: clap.ClapEncoder, seconds: float) -> None:
    sound = _sound(seconds)
    found = encoder.encode(sound)
    np.testing.assert_allclose(found.vector, _theirs(folder, _resampled(sound)[: 10 * RATE]), atol=1e-5)
    assert found.segments is None and found.vector.dtype == np.float32


def test_a_track_is_the_mean_direction_of_its_windows(folder: Path, encoder: clap.ClapEncoder) -> None:
    sound = _sound(36)  # three windows, and 6 s
    y = _resampled(sound)
    each = np.stack([_theirs(folder, y[start : start + 10 * RATE]) for start in range(0, len(y), 10 * RATE)])
    assert len(each) == 4
    found = encoder.encode(sound)

    def direction(rows: np.ndarray) -> np.ndarray:
        return rows.sum(0) / np.linalg.norm(rows.sum(0))

    np.testing.assert_allclose(found.vector, direction(each), atol=1e-5)
    assert found.segments is not None and found.segments.dtype == np.float32
    np.testing.assert_allclose(found.segments, [direction(each[:2]), direction(each[2:])], atol=1e-5)


def test_a_rest_under_five_seconds_is_not_heard(encoder: clap.ClapEncoder) -> None:
    assert len(encoder.windows(_sound(24))) == 2
    assert len(encoder.windows(_sound(26))) == 3


def test_windows_beside_it_do_not_change_a_window(encoder: clap.ClapEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = _sound(60)
    together = encoder.windows(sound)
    monkeypatch.setattr(clap, "BATCH", 1)
    np.testing.assert_allclose(together, encoder.windows(sound), atol=1e-5)


def test_silence_has_a_finite_unit_vector(encoder: clap.ClapEncoder) -> None:
    found = encoder.encode(np.zeros(SAMPLE_RATE * 12, np.float32)).vector
    assert np.isfinite(found).all() and np.linalg.norm(found) == pytest.approx(1, abs=1e-5)


def test_what_is_no_sound(encoder: clap.ClapEncoder) -> None:
    with pytest.raises(TooShort):
        encoder.encode(np.zeros(clap.MIN_SAMPLES - 1, np.float32))
    for bad in (np.full(99999, np.nan, np.float32), np.zeros((2, 99999), np.float32), np.full(99999, 1e9, np.float32)):
        with pytest.raises(EncoderError, match="one channel of finite numbers"):
            encoder.encode(bad)


def test_only_safetensors_are_read(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    state = transformers().ClapModel.from_pretrained(folder).state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        clap.ClapEncoder(tmp_path)


def test_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be loaded"):
        clap.ClapEncoder(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="feature fusion"):
        clap.ClapEncoder(_saved(tmp_path / "fused", fusion=True))
    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (other / name).write_bytes((folder / name).read_bytes())
    state = load_file(folder / "model.safetensors")
    cut = {name: value for name, value in state.items() if "audio_projection" not in name}
    save_file(cut, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="not CLAP's: audio_projection"):
        clap.ClapEncoder(other)


def test_the_setting_names_the_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIPSIM_CLAP", raising=False)
    with pytest.raises(WeightsError, match="CLIPSIM_CLAP names no folder") as refused:
        CLAP.load()
    assert "hf download laion/larger_clap_music" in (refused.value.advice)
    monkeypatch.setenv("CLIPSIM_CLAP", str(tmp_path))
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        CLAP.load()
    monkeypatch.setenv("CLIPSIM_CLAP", str(folder))
    with pytest.raises(WeightsError, match="gives 32 numbers, not 512"):
        CLAP.load()
    monkeypatch.setenv("CLIPSIM_CLAP", str(_saved(tmp_path / "whole", size=512)))
    assert CLAP.load().encode(_sound(3)).vector.shape == (CLAP.size,)


def test_only_its_own_preset_asks_for_it(folder: Path, tmp_path: Path) -> None:
    assert [name for name, preset in PRESETS.items() if CLAP in preset.parts] == ["clap"]
    assert "clap" not in weights.TABLE

    def seen(**given: object) -> list[doctor.Health]:
        return [row for row in doctor._weights(Settings(data=tmp_path, **given)) if row.name == "weights clap"]

    assert seen(preset="standard") == []
    assert [row.ok for row in seen(preset="clap")] == [False]
    assert "hf download" in seen(preset="clap")[0].mend
    assert [row.ok for row in seen(preset="clap", clap=folder)] == [True]
