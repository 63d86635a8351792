"""Train the deck's autoencoder: Adam 1e-4, mean squared error, batches of 32, 600 epochs.

The deck's authors reached a loss of 0.351, 0.241, 0.205, 0.192, 0.187, 0.184 at epochs 100, 200, … 600 on 821 clips.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsim.model import Matrix

EPOCHS = 600
BATCH = 32  # clips
RATE = 1e-4  # Adam's step
SEED = 821  # of the weights' start and of the shuffling

# (epochs done, epochs in all, mean loss of the epoch). What it raises ends the training: the way to cancel one.
TrainProgress = Callable[[int, int, float], None]


def train(
    network: nn.Module,
    values: Matrix,
    present: NDArray[np.bool_],
    *,
    epochs: int = EPOCHS,
    seed: int = SEED,
    progress: TrainProgress | None = None,
) -> list[float]:
    """Train in place, on the processor, the same each time for the same input and machine.

    Args:
        network: columns in, the same columns out; its weights are drawn anew.
        values: standardised, shape (clips, columns); zero where a clip lacks the encoder.
        present: shape (clips, columns): what is missing is fed as zero and never counted in the loss.
        epochs: passes over the clips.
        seed: of weights and shuffling.
        progress: told after each epoch.

    Returns:
        The mean loss of each epoch, per column that is there.
    """
    chance = torch.Generator().manual_seed(seed)
    start(network, chance)
    inputs, mask = torch.from_numpy(values), torch.from_numpy(present.astype(np.float32))
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    network.train().requires_grad_(True)
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(inputs), generator=chance).split(BATCH):
            optimiser.zero_grad()
            loss = masked_error(network(inputs[batch]), inputs[batch], mask[batch])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        losses.append(total / max(1, len(inputs)))
        if progress is not None:
            progress(epoch + 1, epochs, losses[-1])
    network.eval().requires_grad_(False)
    return losses


def masked_error(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over what `mask` (1 or 0, same shape) says is there; with all there, torch's `MSELoss`."""
    return ((output - target).square() * mask).sum() / mask.sum().clamp(min=1)


def start(network: nn.Module, chance: torch.Generator) -> None:
    """Draw each linear layer's weights as torch does by default, from a generator of our own.

    Uniform within ±1/sqrt(inputs) (`nn.Linear.reset_parameters`). Torch draws them from the generator that the whole
    process shares, which another thread may use at the same time.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            for parameter in (layer.weight, layer.bias):
                nn.init.uniform_(parameter, -bound, bound, generator=chance)
