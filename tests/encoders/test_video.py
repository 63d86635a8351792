"""The video encoders: the true class of real clips, torchvision's own network as the oracle, hostile checkpoints."""

from __future__ import annotations

import copy
import io
import os
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks import naive
from clipsim import weights
from clipsim._torchvision import torchvision
from clipsim.encoders import Encoded, _graphs, _openvino, i3d, video
from clipsim.encoders._device import device, has_bfloat16, inference
from clipsim.errors import EncoderError, WeightsError
from clipsim.media import read_windows


def _frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def small_i3d() -> i3d.I3D:
    torch.manual_seed(5)
    return i3d.I3D().eval().requires_grad_(False)


ROUTES = {  # how a network may be run on a processor: OpenVINO or torch, in bfloat16 or not
    "openvino": (True, False),
    "openvino bfloat16": (True, True),
    "torch": (False, False),
    "torch bfloat16": (False, True),
}


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A loader then takes this route; what OpenVINO compiles is kept in a folder of the test's own."""
    by_openvino, half = ROUTES[request.param]
    if by_openvino:
        pytest.importorskip("openvino", reason="the route by OpenVINO is tested where it is installed")
    if half and not has_bfloat16():
        pytest.skip("this processor has no bfloat16 of its own")
    monkeypatch.setattr(_openvino, "installed", lambda: by_openvino)
    monkeypatch.setattr(_openvino, "has_bfloat16", lambda: half)
    monkeypatch.setattr(video, "has_bfloat16", lambda: half)
    monkeypatch.setattr(_openvino, "_folder", lambda: tmp_path / "compiled")
    return str(request.param)


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.weights
@pytest.mark.parametrize(("clip", "true"), [("v_GGSY1Qvo990", "clean and jerk"), ("v_ZNVhz7ctTq0", "walking the dog")])
def test_i3d_sees_the_true_class_in_every_window(testdata: Path, clip: str, true: str) -> None:
    encoder = video.load_i3d()
    windows = read_windows(testdata / f"clips/{clip}.mp4", replace(encoder.window, count=2))
    logits = encoder.logits(windows)
    assert logits.shape == (2, 400)
    assert [video.classes()[best] for best in logits.argmax(1)] == [true, true]

    found = encoder.encode(windows)
    assert found.vector.shape == (400,) and found.vector.dtype == np.float32
    np.testing.assert_allclose(found.vector, logits.mean(0), rtol=1e-5)
    assert found.labels[0].label == true and found.labels[0].score > 0.9
    assert [label.score for label in found.labels] == sorted((label.score for label in found.labels), reverse=True)
    assert len(found.labels) == 5 and sum(label.score for label in found.labels) <= 1


@pytest.fixture(scope="module")
def plain(testdata: Path) -> dict[str, np.ndarray]:
    """The logits of one window of each real clip, as the plain way finds them."""
    with (weights.path("i3d")).open("rb") as file:
        tensors = naive.i3d_tensors(i3d.read_checkpoint(file))
    spec = replace(video.I3D_WINDOW, count=1)
    return {path.name: naive.i3d_logits(tensors, path, spec) for path in sorted((testdata / "clips").glob("*.mp4"))}


@pytest.mark.weights
def test_from_file_to_logits_is_the_plain_way(route: str, testdata: Path, plain: dict[str, np.ndarray]) -> None:
    """Seeking, libswscale's pixels, folded layers and whatever computes them: within 0.999 of all done plainly."""
    encoder = video.load_i3d()
    assert len(plain) == 2
    for name, expected in plain.items():
        found = encoder.logits(read_windows(testdata / "clips" / name, replace(encoder.window, count=1)))
        assert _cosines(found, expected).min() > 0.999
        assert np.array_equal(found.argmax(1), expected.argmax(1))


def test_r3d_is_torchvisions_network_and_transforms(
    route: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = torchvision().models.video
    torch.manual_seed(1)
    network = models.r3d_18().eval()
    for module in network.modules():  # as if it had been trained: else folding them changes nothing
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
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
    found_logits = encoder.logits(windows)
    if ROUTES[route][1]:
        assert _cosines(found_logits, expected).min() > 0.999
    else:
        np.testing.assert_allclose(found_logits, expected, atol=1e-4 * np.abs(expected).max())
    found = encoder.encode(windows)
    np.testing.assert_allclose(found.vector, found_logits.mean(0), rtol=1e-5)
    assert found.segments is not None and found.segments.dtype == np.float32
    np.testing.assert_array_equal(found.segments, found_logits)  # of two windows each is a half
    assert encoder.encode(windows[:1]).segments is None
    order = np.argsort(-found_logits.mean(0))[:5]
    categories = models.R3D_18_Weights.KINETICS400_V1.meta["categories"]
    assert [label.label for label in found.labels] == [categories[i] for i in order]
    probabilities = torch.from_numpy(found_logits.mean(0)).softmax(0).numpy()[order]
    np.testing.assert_allclose([label.score for label in found.labels], probabilities, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 8, 9])
def test_i3ds_graph_is_its_network(small_i3d: i3d.I3D, frames: int) -> None:
    pytest.importorskip("openvino", reason="the route by OpenVINO is tested where it is installed")
    rows = list(_frames(3, frames, 64, 64))
    network = _openvino.network("small", lambda: _graphs.i3d_graph(small_i3d, frames, 64), bfloat16=False)
    expected = np.stack(video.i3d_by_torch(copy.deepcopy(small_i3d), bfloat16=False)(rows))
    np.testing.assert_allclose(np.stack(network(rows)), expected, atol=1e-4 * np.abs(expected).max())


def test_a_compiled_network_is_kept_until_its_weights_change(
    small_i3d: i3d.I3D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="the route by OpenVINO is tested where it is installed")
    monkeypatch.setenv("CLIPSIM_CACHE", str(tmp_path))
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    row = list(_frames(1, 4, 32, 32))
    built = []

    def logits() -> np.ndarray:
        def build() -> object:
            built.append(True)
            return _graphs.i3d_graph(small_i3d, 4, 32)

        return _openvino.network("small", build, of=file, bfloat16=False)(row)[0]

    first = logits()
    np.testing.assert_array_equal(logits(), first)
    assert len(built) == 1  # the second came from the folder
    (blob,) = (tmp_path / "openvino").iterdir()
    blob.write_bytes(b"damaged")
    np.testing.assert_array_equal(logits(), first)
    assert len(built) == 2
    file.write_bytes(b"other")
    logits()
    assert len(built) == 3
    (other,) = (tmp_path / "openvino").iterdir()  # in place of the first
    assert other != blob


def test_a_folder_that_cannot_be_written_costs_only_time(
    small_i3d: i3d.I3D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="the route by OpenVINO is tested where it is installed")
    (tmp_path / "openvino").write_text("a file where the folder should be")
    monkeypatch.setenv("CLIPSIM_CACHE", str(tmp_path))
    graph = partial(_graphs.i3d_graph, small_i3d, 4, 32)
    network = _openvino.network("small", graph, of=tmp_path / "openvino", bfloat16=False)
    assert network(list(_frames(1, 4, 32, 32)))[0].shape == (400,)


def test_torch_takes_over_where_openvino_fails(
    small_i3d: i3d.I3D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("this processor is not supported")

    monkeypatch.setattr(_openvino, "installed", lambda: True)
    monkeypatch.setattr(_openvino, "network", fails)
    network = video._chosen(
        "small", tmp_path, lambda: copy.deepcopy(small_i3d), lambda network: network, video.i3d_by_torch
    )
    assert network(list(_frames(1, 4, 32, 32)))[0].shape == (400,)


def test_clips_together_are_clips_alone_and_a_bad_one_costs_only_itself() -> None:
    encoder = video.I3DEncoder(lambda rows: [row.mean((0, 1, 2)).repeat(200)[:400].astype(np.float32) for row in rows])
    clips = [_frames(n, 64, 224, 224) for n in (1, 3, 2)]
    alone = [encoder.encode(clip) for clip in clips]
    together = encoder.encode_many([clips[0], clips[0].astype(np.float32), *clips[1:]])
    assert isinstance(together.pop(1), EncoderError)
    for one, other in zip(alone, together, strict=True):
        assert isinstance(other, Encoded)
        np.testing.assert_array_equal(one.vector, other.vector)
        assert one.labels == other.labels and (one.segments is None) == (other.segments is None)


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
    [
        np.zeros((1, 64, 256, 256, 3), np.float32),
        np.zeros((64, 256, 256, 3), np.uint8),
        np.zeros((1, 64, 100, 300, 3), np.uint8),
        np.zeros((1, 16, 256, 256, 3), np.uint8),
    ],
)
def test_frames_that_are_no_windows(small_i3d: i3d.I3D, windows: np.ndarray) -> None:
    with pytest.raises(EncoderError):
        video.I3DEncoder(video.i3d_by_torch(copy.deepcopy(small_i3d))).encode(windows)


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
