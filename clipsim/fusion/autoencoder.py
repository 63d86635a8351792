"""`paper`: the deck's autoencoder. The embedding is the output of its encoder.

Layer names and sizes are the deck's. Tanh stands between all layers and not after the last, whose targets are
standardised and go beyond ±1. "Between" includes encoder3: the deck prints one there, and all 821 × 256 values of the
authors' own embeddings lie within ±1, many within 0.001 of it, as only a tanh puts them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsim.encoders import Preset
from clipsim.errors import LibraryCorrupt, LibraryMismatch
from clipsim.fusion import columns, standardise, training
from clipsim.fusion.base import Fitted
from clipsim.fusion.standardise import Standardiser
from clipsim.fusion.training import TrainProgress
from clipsim.model import EMBEDDING_SIZE, Features, Matrix, Method

N_INPUTS = 1425  # columns of the deck's vector: video 400, audio 257, text 768
BATCH = 4096  # clips encoded at a time: bounds memory, changes nothing


class Autoencoder(nn.Module):
    """1425-1024-1024-768-512-256-512-768-1024-1024-1425 (deck, "AutoEncoder")."""

    def __init__(self, n_inputs: int = N_INPUTS) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.encoder0 = nn.Linear(n_inputs, 1024)
        self.encoder1 = nn.Linear(1024, 1024)
        self.encoder2 = nn.Linear(1024, 768)
        self.encoder22 = nn.Linear(768, 512)
        self.encoder3 = nn.Linear(512, EMBEDDING_SIZE)
        self.decoder0 = nn.Linear(EMBEDDING_SIZE, 512)
        self.decoder11 = nn.Linear(512, 768)
        self.decoder1 = nn.Linear(768, 1024)
        self.decoder2 = nn.Linear(1024, 1024)
        self.decoder3 = nn.Linear(1024, n_inputs)
        self.activation = nn.Tanh()

    def encode(self, x: Tensor) -> Tensor:
        """Standardised columns, shape (clips, n_inputs), to embeddings in (-1, 1), shape (clips, 256)."""
        for layer in (self.encoder0, self.encoder1, self.encoder2, self.encoder22, self.encoder3):
            x = self.activation(layer(x))
        return x

    def decode(self, z: Tensor) -> Tensor:
        """Embeddings, shape (clips, 256), to standardised columns, shape (clips, n_inputs)."""
        for layer in (self.decoder0, self.decoder11, self.decoder1, self.decoder2):
            z = self.activation(layer(z))
        return self.decoder3(z)

    def forward(self, x: Tensor) -> Tensor:
        """There and back: shape (clips, n_inputs) to the same."""
        return self.decode(self.encode(x))


class Paper(Fitted):
    """The deck's fusion: standardise, encode, unit length."""

    method: Method = "paper"
    size = EMBEDDING_SIZE

    def __init__(self, standardiser: Standardiser, clips: int, network: Autoencoder) -> None:
        super().__init__(standardiser, clips)
        self.network = network.eval()

    def _embed(self, standardised: Matrix, present: NDArray[np.bool_]) -> Matrix:
        with torch.inference_mode():
            pieces = [self.network.encode(piece).numpy() for piece in torch.from_numpy(standardised).split(BATCH)]
        return np.vstack(pieces)

    def dump(self) -> bytes:
        """A torch file of tensors, numbers and strings, readable with `weights_only=True`."""
        fields = {name: _plain(value) for name, value in self.arrays().items()}
        target = io.BytesIO()
        torch.save({**fields, "state": self.network.state_dict()}, target)
        return target.getvalue()


def fit(
    features: Sequence[Features],
    preset: Preset,
    *,
    progress: TrainProgress | None = None,
    epochs: int = training.EPOCHS,
) -> Paper:
    """Train on the library by the deck's recipe (`clipsim.fusion.training`); `progress` is told after each epoch."""
    values, present = columns.stack(features, preset)
    standardiser = standardise.fit(values, present, preset)
    with torch.device("meta"):  # `train` draws the weights
        network = Autoencoder(preset.size)
    network.to_empty(device="cpu")
    training.train(
        network,
        standardiser.transform(values, present),
        columns.widen(present, preset),
        epochs=epochs,
        progress=progress,
    )
    return Paper(standardiser, len(features), network)


def adopt(data: bytes, features: Sequence[Features], preset: Preset) -> Paper:
    """A network trained elsewhere (a plain state dict with the deck's layer names) on this library's statistics.

    Raises:
        LibraryCorrupt, LibraryMismatch: as `read`.
    """
    network = read(data)
    if network.n_inputs != preset.size:
        raise LibraryMismatch(
            f"That network takes {network.n_inputs} columns, and the preset {preset.name} has {preset.size}."
        )
    values, present = columns.stack(features, preset)
    return Paper(standardise.fit(values, present, preset), len(features), network)


def read(data: bytes) -> Autoencoder:
    """The network in a torch file: a plain state dict, or what `Paper.dump` wrote. Never unpickles objects.

    Raises:
        LibraryCorrupt: not a torch file, or one with anything but tensors and plain values, or other layers.
    """
    return _network(_load(data))


def restore(data: bytes, preset: Preset) -> Paper:
    """The fusion that `Paper.dump` wrote.

    Raises:
        LibraryCorrupt: as `read`, or the statistics are missing or unusable.
        LibraryMismatch: it was trained on other encoders.
    """
    content = _load(data)
    network = _network(content)
    try:
        standardiser = standardise.restore(content, preset)
        clips = int(content["clips"])
    except (KeyError, ValueError, TypeError, OverflowError):
        raise LibraryCorrupt(
            "That file has a network but no statistics of a library's columns.", hint="Run: clipsim train"
        ) from None
    return Paper(standardiser, clips, network)


def _load(data: bytes) -> Mapping[str, Any]:
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its readers raise: pickle, zip, runtime, key and type errors
        raise LibraryCorrupt(
            "That is not a torch file of plain weights.", hint="Save it with torch.save(model.state_dict(), FILE)."
        ) from error
    if not isinstance(content, Mapping):
        raise LibraryCorrupt("That torch file has no weights by name.")
    return content


def _network(content: Mapping[str, Any]) -> Autoencoder:
    state = content.get("state", content)
    first = state.get("encoder0.weight") if isinstance(state, Mapping) else None
    if not isinstance(first, Tensor) or first.ndim != 2:
        raise LibraryCorrupt("That torch file does not have the layers of the deck's autoencoder.")
    with torch.device("meta"):  # no memory is taken before the shapes are known to fit
        network = Autoencoder(first.shape[1])
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    given = {name: tensor.shape for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if given != expected or len(given) != len(state):
        raise LibraryCorrupt("That torch file does not have the layers of the deck's autoencoder.")
    if not all(tensor.is_floating_point() and bool(tensor.isfinite().all()) for tensor in state.values()):
        raise LibraryCorrupt("That network has weights that are not finite numbers.")
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return network.requires_grad_(False)


def _plain(value: NDArray[Any]) -> Any:
    """Strings as strings, numbers as tensors: all that `weights_only` admits."""
    if value.dtype.kind in "US":
        return value.tolist()
    return torch.from_numpy(np.atleast_1d(value)) if value.ndim else value.item()
