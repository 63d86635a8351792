import io
import pickle
import re

import numpy as np
import pytest
import torch
from torch import nn

from clipsim import fusion
from clipsim.encoders import PRESETS
from clipsim.errors import LibraryCorrupt, LibraryMismatch
from clipsim.fusion import autoencoder, training
from clipsim.fusion.autoencoder import Autoencoder
from tests.fusion.clips import SMALL, make, precision


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def paper():
    losses = []
    clips, groups = make(40)
    fitted = autoencoder.fit(clips, SMALL, epochs=6, progress=lambda *told: losses.append(told))
    return fitted, clips, groups, losses


def saved(content) -> bytes:
    target = io.BytesIO()
    torch.save(content, target)
    return target.getvalue()


def test_the_layers_are_those_that_the_deck_prints(testdata):
    deck = testdata.parent / "deck.txt"
    if not deck.exists():
        pytest.skip("the deck's text is not beside the test data")
    printed = re.findall(
        r"\((\w+)\): Linear\(in_features=(\d+), out_features=(\d+), bias=True\)", deck.read_text(encoding="utf-8")
    )
    assert len(printed) == 10
    ours = [
        (name, str(layer.in_features), str(layer.out_features))
        for name, layer in Autoencoder().named_children()
        if isinstance(layer, nn.Linear) and layer.bias is not None
    ]
    assert ours == printed
    assert "(activation): Tanh()" in repr(Autoencoder())
    assert sum(parameter.numel() for parameter in Autoencoder().parameters()) == sum(
        int(inputs) * int(outputs) + int(outputs) for _, inputs, outputs in printed
    )


def test_forward_is_tanh_between_and_none_after_the_last():
    network = Autoencoder(30)
    x = torch.randn(5, 30) * 3
    h = x
    for name in ("encoder0", "encoder1", "encoder2", "encoder22", "encoder3"):
        h = torch.tanh(nn.functional.linear(h, getattr(network, name).weight, getattr(network, name).bias))
    assert torch.equal(network.encode(x), h)
    for name in ("decoder0", "decoder11", "decoder1", "decoder2"):
        h = torch.tanh(nn.functional.linear(h, getattr(network, name).weight, getattr(network, name).bias))
    assert torch.equal(network(x), network.decoder3(h))


def test_the_authors_embeddings_come_out_of_a_tanh(testdata):
    values = np.load(testdata / "deck" / "embeddings.npz")["embeddings"]
    assert np.abs(values).max() < 1
    assert (np.abs(values) > 0.9).mean() > 0.3


def test_training_lowers_the_loss_and_tells(paper):
    _, _, _, losses = paper
    assert [(done, of) for done, of, _ in losses] == [(epoch, 6) for epoch in range(1, 7)]
    values = [loss for *_, loss in losses]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_the_loss_falls_fast_and_then_slowly_as_the_authors_did():
    """Theirs: 0.351, 0.241, 0.205, 0.192, 0.187, 0.184: each step smaller than the one before."""
    chance = np.random.default_rng(0)
    values = (chance.standard_normal((64, 6)) @ chance.standard_normal((6, 60)) / 6**0.5).astype(np.float32)
    losses = training.train(Autoencoder(60), values, np.ones(values.shape, bool), epochs=48)
    steps = [losses[at] for at in (0, 7, 15, 23, 31, 39, 47)]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] < 0.5 * steps[0]
    assert steps[-2] - steps[-1] < steps[1] - steps[2]


def test_training_is_the_same_each_time_and_leaves_the_shared_generator_alone():
    clips, _ = make(10)
    before = torch.random.get_rng_state()
    one, two = (autoencoder.fit(clips, SMALL, epochs=1) for _ in range(2))
    assert np.array_equal(one.embed(clips), two.embed(clips))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_start_is_torchs_own_distribution():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, theirs = Autoencoder(300), Autoencoder(300)
    training.start(network, torch.Generator().manual_seed(1))
    for name, layer in network.named_children():
        if isinstance(layer, nn.Linear):
            other = getattr(theirs, name)
            assert layer.weight.abs().max() <= layer.in_features**-0.5
            assert layer.weight.std().item() == pytest.approx(other.weight.std().item(), rel=0.03)
            assert layer.bias.std().item() == pytest.approx(other.bias.std().item(), rel=0.15)


def test_the_loss_counts_only_what_is_there():
    output, target = torch.randn(4, 9), torch.randn(4, 9)
    everything = torch.ones(4, 9)
    torch.testing.assert_close(training.masked_error(output, target, everything), nn.MSELoss()(output, target))
    mask = torch.ones(4, 9)
    mask[2:, 3:] = 0
    there = mask.bool()
    expected = nn.MSELoss()(output[there], target[there])
    output[~there] = 1e6
    torch.testing.assert_close(training.masked_error(output, target, mask), expected)


def test_progress_that_raises_ends_the_training():
    class Enough(Exception):
        pass

    def stop(*_):
        raise Enough

    with pytest.raises(Enough):
        autoencoder.fit(make(5)[0], SMALL, epochs=100, progress=stop)


def test_embeddings_are_unit_rows_that_survive_storage(paper):
    fitted, clips, groups, _ = paper
    rows = fitted.embed(clips)
    assert rows.shape == (40, 256) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert precision(rows, groups) > 0.8
    data = fusion.dump(fitted)
    again = fusion.load(data, SMALL)
    assert (again.method, again.clips, again.blocks) == ("paper", 40, None)
    assert np.array_equal(again.embed(clips), rows)
    assert np.array_equal(again.modal(clips[0])["lyrics"], fitted.modal(clips[0])["lyrics"])
    content = torch.load(io.BytesIO(data), weights_only=True)
    assert isinstance(content["mean"], torch.Tensor) and set(content["state"]) == set(Autoencoder(2).state_dict())


def test_a_plain_state_dict_as_the_authors_would_save_it_is_adopted():
    clips, _ = make(30)
    network = Autoencoder(SMALL.size)
    fitted = autoencoder.adopt(saved(network.state_dict()), clips, SMALL)
    standardised = fitted.standardiser.transform(*fusion.columns.stack(clips, SMALL))
    with torch.inference_mode():
        expected = nn.functional.normalize(network.encode(torch.from_numpy(standardised)), dim=1).numpy()
    np.testing.assert_allclose(fitted.embed(clips), expected, atol=1e-5)
    with pytest.raises(LibraryMismatch, match="380"):
        autoencoder.adopt(saved(network.state_dict()), [], PRESETS["paper"])


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a stranger's bytes were run",))


def bad_files():
    state = Autoencoder(5).state_dict()
    wrong = {**state, "encoder1.weight": torch.zeros(3, 3)}
    spoilt = {**state, "encoder1.bias": torch.full((1024,), torch.nan)}
    return {
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps(Evil()),
        "torch with code": saved({**state, "extra": Evil()}),
        "whole network": saved(Autoencoder(5)),
        "list": saved([torch.zeros(3)]),
        "other layers": saved(nn.Linear(3, 3).state_dict()),
        "other shape": saved(wrong),
        "one layer less": saved(dict(list(state.items())[1:])),
        "one layer more": saved({**state, "encoder9.weight": torch.zeros(3, 3)}),
        "not finite": saved(spoilt),
        "cut": saved(state)[:5000],
    }


@pytest.fixture(scope="module")
def bad():
    return bad_files()


@pytest.mark.parametrize(
    "name",
    [
        *("empty", "text", "pickle", "torch with code", "whole network", "list", "other layers", "other shape"),
        *("one layer less", "one layer more", "not finite", "cut"),
    ],
)
def test_files_that_are_no_network_are_refused_and_never_run(bad, name):
    with pytest.raises(LibraryCorrupt):
        autoencoder.read(bad[name])


def test_a_network_without_statistics_is_no_fusion():
    with pytest.raises(LibraryCorrupt, match="statistics"):
        fusion.load(saved(Autoencoder(SMALL.size).state_dict()), SMALL)


def test_a_fusion_of_other_encoders_is_refused(paper):
    with pytest.raises(LibraryMismatch, match="other encoders"):
        fusion.load(fusion.dump(paper[0]), PRESETS["paper"])
