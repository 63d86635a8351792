"""The video encoders: the true class of real clips, torchvision's own network as the oracle, hostile checkpoints."""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from clipsim import weights
from clipsim._torchvision import torchvision
from clipsim.encoders import i3d, video
from clipsim.encoders._device import device, inference
from clipsim.errors import EncoderError, WeightsError
from clipsim.media import read_windows


def _frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def small_i3d() -> i3d.I3D:
    torch.manual_seed(5)
    return i3d.I3D().eval().requires_grad_(False)


@pytest.mark.weights
@pytest.mark.parametrize(("clip", "true"), [("v_GGSY1Qvo990", "clean and jerk"), ("v_ZNVhz7ctTq0", "walking the dog")])
def test_i3d_sees_the_true_class_in_every_window(testdata: Path, clip: str, true: str) -> None:
    encoder = video.load_i3d()
    windows = read_windows(testdata / f"clips/{clip}.mp4", replace(encoder.window, count=2))
    logits = encoder.logits(windows)
    assert logits.shape == (2, 400)
    assert [video.classes()[best] for best in logits.argmax(1)] == [true, true]

    found = video._encoded(logits)
    assert found.vector.shape == (400,) and found.vector.dtype == np.float32
    np.testing.assert_allclose(found.vector, logits.mean(0), rtol=1e-5)
    assert found.labels[0].label == true and found.labels[0].score > 0.9
    assert [label.score for label in found.labels] == sorted((label.score for label in found.labels), reverse=True)
    assert len(found.labels) == 5 and sum(label.score for label in found.labels) <= 1


def test_r3d_is_torchvisions_network_and_transforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = torchvision().models.video
    torch.manual_seed(1)
    network = models.r3d_18().eval()
    file = tmp_path / "r3d_18.pth"
    torch.save(network.state_dict(), file)
    monkeypatch.setattr(weights, "path", lambda name: {"r3d_18": file}[name])

    windows = _frames(2, 16, 128, 171)
    encoder = video.load_r3d()
    transform = models.R3D_18_Weights.KINETICS400_V1.transforms()
    with torch.inference_mode():
        expected = torch.cat(
            [network(transform(torch.from_numpy(window).permute(0, 3, 1, 2)).unsqueeze(0)) for window in windows]
        ).numpy()
    assert np.array_equal(encoder.logits(windows), expected)
    found = encoder.encode(windows)
    np.testing.assert_allclose(found.vector, expected.mean(0), rtol=1e-5)
    assert found.segments is not None and found.segments.dtype == np.float32
    np.testing.assert_array_equal(found.segments, expected)  # of two windows each is a half
    assert encoder.encode(windows[:1]).segments is None
    order = np.argsort(-expected.mean(0))[:5]
    categories = models.R3D_18_Weights.KINETICS400_V1.meta["categories"]
    assert [label.label for label in found.labels] == [categories[i] for i in order]
    probabilities = torch.from_numpy(expected.mean(0)).softmax(0).numpy()[order]
    np.testing.assert_allclose([label.score for label in found.labels], probabilities, rtol=1e-5)


def test_r3d_refuses_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "r3d_18.pth"
    monkeypatch.setattr(weights, "path", lambda name: file)
    state = torchvision().models.video.r3d_18().state_dict()
    state.pop("fc.bias")
    torch.save(state, file)
    with pytest.raises(WeightsError, match="not r3d_18's state dict"):
        video.load_r3d()
    with file.open("wb") as out:
        pickle.dump(_Evil(tmp_path / "ran"), out, protocol=2)
    with pytest.raises(WeightsError):
        video.load_r3d()
    assert not (tmp_path / "ran").exists()


def test_i3d_takes_any_length_and_size(small_i3d: i3d.I3D) -> None:
    with torch.inference_mode():
        for time, height, width in ((16, 64, 64), (9, 33, 47), (1, 32, 32)):
            frames = torch.rand(1, 3, time, height, width) * 2 - 1
            assert small_i3d.features(frames).shape == (1, 1024)
            assert small_i3d(frames).shape == (1, 400)


def test_same_padding_puts_the_odd_pixel_last() -> None:
    # A kernel of ones over ones counts the pixels it covers: TensorFlow pads 2 before and 3 after at 7 wide, stride 2.
    unit = i3d.Unit(1, 1, (1, 1, 7), (1, 1, 2))
    torch.nn.init.ones_(unit.weight), torch.nn.init.zeros_(unit.bias)
    with torch.inference_mode():
        assert unit(torch.ones(1, 1, 1, 1, 8)).flatten().tolist() == [5, 7, 6, 4]
        assert unit(torch.ones(1, 1, 1, 1, 9)).flatten().tolist() == [4, 6, 7, 6, 4]
    pooled = i3d.max_pool(torch.arange(1.0, 9).reshape(1, 1, 1, 1, 8), (1, 1, 3), (1, 1, 2))
    assert pooled.flatten().tolist() == [3, 5, 7, 8]


@pytest.mark.parametrize(("inputs", "size"), [(3, 8), (32, 24)])  # one on either side of where torch changes over
def test_unit_is_torchs_convolution(inputs: int, size: int) -> None:
    torch.manual_seed(2)
    unit = i3d.Unit(inputs, 5, (3, 3, 3))
    x = torch.randn(1, inputs, 6, size, size).to(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        torch.testing.assert_close(unit(x), F.conv3d(x, unit.weight, unit.bias, padding=1).relu(), atol=1e-5, rtol=1e-4)


def test_batch_norm_is_folded_into_the_kernel() -> None:
    random = np.random.default_rng(0)
    kernel, shift = random.normal(size=(1, 1, 1, 3, 4)), random.normal(size=4)
    mean, variance = random.normal(size=(1, 1, 1, 1, 4)), random.uniform(0.1, 2, size=(1, 1, 1, 1, 4))
    weight, bias = i3d._folded(
        {"x": {"Conv_0": {"kernel": kernel}, "BatchNorm_0": {"bias": shift}}},
        {"x": {"BatchNorm_0": {"mean": mean, "var": variance}}},
        "x",
    )
    x = torch.from_numpy(random.normal(size=(2, 3, 4, 5, 6)))
    plain = F.conv3d(x, torch.from_numpy(kernel.transpose(4, 3, 0, 1, 2).copy()))
    expected = F.batch_norm(
        plain, *(torch.from_numpy(a.ravel()) for a in (mean, variance)), bias=torch.from_numpy(shift), eps=1e-3
    )
    found = F.conv3d(x, torch.from_numpy(weight.copy()), torch.from_numpy(bias))
    torch.testing.assert_close(found, expected)


class _Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


@pytest.mark.parametrize("wrap", [lambda evil: evil, lambda evil: {"params": np.array([evil], dtype=object)}])
def test_malicious_pickle_is_refused(tmp_path: Path, wrap) -> None:
    file = tmp_path / "i3d.ckpt"
    file.write_bytes(pickle.dumps(wrap(_Evil(tmp_path / "ran"))))
    with pytest.raises(WeightsError, match="not an array, and was refused"):
        i3d.load(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a pickle", pickle.dumps([1]), pickle.dumps({"params": {}}), pickle.dumps({"a": 1})[:-4]]
)
def test_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "i3d.ckpt"
    file.write_bytes(content)
    with pytest.raises(WeightsError):
        i3d.load(file)


def test_arrays_survive_the_restricted_reader() -> None:
    arrays = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}}
    found = i3d.read_checkpoint(io.BytesIO(pickle.dumps(arrays)))
    assert np.array_equal(found["a"]["b"], arrays["a"]["b"])


@pytest.mark.parametrize(
    "windows",
    [np.zeros((1, 4, 256, 256, 3), np.float32), np.zeros((4, 256, 256, 3), np.uint8), _frames(1, 4, 100, 300)],
)
def test_frames_that_are_no_windows(small_i3d: i3d.I3D, windows: np.ndarray) -> None:
    with pytest.raises(EncoderError):
        video.I3DEncoder(small_i3d).encode(windows)


def test_no_gradients_and_single_precision_on_the_processor() -> None:
    with inference(torch.device("cpu")):
        product = torch.nn.Linear(2, 2)(torch.ones(1, 2))
    assert not product.requires_grad and product.dtype == torch.float32
    assert device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_url_of_r3d_is_torchvisions() -> None:
    entry = weights.TABLE["r3d_18"]
    url = torchvision().models.video.R3D_18_Weights.KINETICS400_V1.url
    assert entry.sources[0].address(entry.files[0]) == url
    assert entry.files[0].sha256.startswith(url.rsplit("-", 1)[1].removesuffix(".pth"))
