"""`joint`: one space for all modalities, learnt from what belongs together for certain: the two halves of a clip.

It begins as late fusion (`clipsim.fusion.late`: the same bases, side by side) and may move away from it as far as the
library's own clips bear it out. Each modality has a linear tower into the 256 dimensions, and a clip's embedding is the
sum of its towers' unit vectors. Trained are

- contrast: of a batch's clips, the first half's embedding has to find its own second half (InfoNCE; van den Oord, Li &
  Vinyals 2018, section 2.3; both ways, as Radford et al. 2021), each view seeing some modalities only (modality
  dropout; Neverova et al. 2016, "ModDrop"), so that a clip without lyrics lands near its like with them;
- reconstruction: linear decoders bring each modality back out of the embedding, the dropped ones too;
- shrinkage: towers are pulled towards where they began (L2-SP; Li, Grandvalet & Davoine 2018).

A share of the clips is held out; what is kept is the epoch at which they found their other halves best, and that may be
the beginning. With few clips it is. `docs/evaluation.md` has what it reaches beside the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsim.encoders import Preset
from clipsim.fusion import TrainProgress, channel, columns, late, standardise
from clipsim.fusion.base import Fitted, has, modal
from clipsim.fusion.channel import Channel
from clipsim.fusion.standardise import Standardiser
from clipsim.model import EMBEDDING_SIZE, Features, Matrix, Method, Modality

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS = 60
PATIENCE = 12  # epochs without a better one, then it ends
BATCH = 128  # clips
RATE = 1e-3  # Adam's step
TEMPERATURE = 0.1  # of the contrast
DROP = 0.3  # chance that a view does not see a modality
RECONSTRUCTION = 1.0  # what it counts for beside the contrast
PULL = 3.0  # what the distance from the beginning counts for
HELD_OUT = 0.2  # share of the clips that only judge
LEAST = 40  # clips: with fewer nothing is learnt
SEED = 256


class Joint(Fitted):
    """Linear towers into one space."""

    method: Method = "joint"
    size = EMBEDDING_SIZE

    def __init__(
        self,
        standardiser: Standardiser,
        clips: int,
        compensation: Channel,
        towers: Mapping[Modality, Matrix],
        epoch: int,
    ) -> None:
        """`towers[modality]` has shape (256, its columns); `epoch` is the one kept (0: late fusion itself)."""
        super().__init__(standardiser, clips, compensation)
        self.towers = dict(towers)
        self.epoch = epoch

    def _embed(self, standardised: Matrix, present: NDArray[np.bool_]) -> Matrix:
        rows = np.zeros((len(standardised), self.size), np.float32)
        for modality, tower in self.towers.items():
            there = has(present, self.preset, modality)
            seen = modal(standardised, present, self.preset, modality) @ tower.T
            rows += late.WEIGHTS[modality] ** 0.5 * columns.unit(seen, there)
        return rows

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was fitted, as plain arrays."""
        towers = {f"tower_{modality}": tower for modality, tower in self.towers.items()}
        return {**super().arrays(), "epoch": np.array(self.epoch), **towers}


def fit(features: Sequence[Features], preset: Preset, *, progress: TrainProgress | None = None) -> Joint:
    """Learn from the clips' halves (`Features.segments`); a clip without them is its own other half.

    `progress` is told after each epoch. The same input gives the same fusion on one machine.
    """
    values, present = columns.stack(features, preset)
    standardiser = standardise.fit(values, present, preset)
    compensation = channel.fit(standardiser)
    start = late.bases(compensation.apply(standardiser.transform(values, present)), present, preset)
    towers = {}
    for modality, where in late.layout(preset).items():
        towers[modality] = np.zeros((EMBEDDING_SIZE, start[modality].shape[1]), np.float32)
        towers[modality][where.start : where.start + len(start[modality])] = start[modality]
    epoch = 0
    if len(features) >= LEAST:
        views = [_view(standardiser, compensation, features, side) for side in (0, 1)]
        towers, epoch = _train(towers, views, progress)
    return Joint(standardiser, len(features), compensation, towers, epoch)


def _view(
    standardiser: Standardiser, compensation: Channel, features: Sequence[Features], side: int
) -> dict[Modality, tuple[Matrix, NDArray[np.bool_]]]:
    """Each modality of one half of each clip (the whole, where it has no halves), and which clips have it."""
    preset = standardiser.preset
    halves = [
        Features({n: f.segments[n][side] if n in f.segments else v for n, v in f.vectors.items()}) for f in features
    ]
    values, present = columns.stack(halves, preset)
    standardised = compensation.apply(standardiser.transform(values, present))
    return {
        modality: (modal(standardised, present, preset, modality), has(present, preset, modality))
        for modality in late.layout(preset)
    }


def _train(
    towers: dict[Modality, Matrix],
    views: Sequence[Mapping[Modality, tuple[Matrix, NDArray[np.bool_]]]],
    progress: TrainProgress | None,
) -> tuple[dict[Modality, Matrix], int]:
    """The towers of the best epoch, and which it was."""
    import torch
    from torch.nn import functional

    chance = torch.Generator().manual_seed(SEED)
    names = list(towers)
    seen = [{m: torch.from_numpy(view[m][0]) for m in names} for view in views]
    there = [{m: torch.from_numpy(view[m][1]) for m in names} for view in views]
    begun = {m: torch.from_numpy(towers[m]) for m in names}
    learnt = {m: begun[m].clone().requires_grad_(True) for m in names}
    decoders = {m: begun[m].T.clone().requires_grad_(True) for m in names}  # of orthonormal towers, their inverse
    optimiser = torch.optim.Adam([*learnt.values(), *decoders.values()], RATE)

    def embed(view: int, rows: Tensor, kept: Mapping[Modality, Tensor]) -> Tensor:
        pieces = [
            late.WEIGHTS[m] ** 0.5 * functional.normalize(seen[view][m][rows] @ learnt[m].T, dim=1) * kept[m][:, None]
            for m in names
        ]
        return functional.normalize(torch.stack(pieces).sum(0), dim=1)

    def dropped(view: int, rows: Tensor) -> dict[Modality, Tensor]:
        """Some of the modalities of each clip, at least one of them."""
        held = torch.stack([there[view][m][rows] for m in names])
        kept = held & (torch.rand(held.shape, generator=chance) >= DROP)
        kept = torch.where(kept.any(0), kept, held)
        return {m: kept[index].float() for index, m in enumerate(names)}

    def contrast(a: Tensor, b: Tensor) -> Tensor:
        logits = a @ b.T / TEMPERATURE
        own = torch.arange(len(a))
        return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2

    order = torch.randperm(len(seen[0][names[0]]), generator=chance)
    held_out = order[: max(2, round(HELD_OUT * len(order)))]
    train = order[len(held_out) :]
    judged = [[dropped(view, held_out) for view in (0, 1)] for _ in range(8)]  # the same each time

    def judge() -> float:
        with torch.no_grad():
            return float(np.mean([float(contrast(embed(0, held_out, a), embed(1, held_out, b))) for a, b in judged]))

    best, kept_epoch, kept = judge(), 0, {m: tower.detach().clone() for m, tower in learnt.items()}
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for rows in train[torch.randperm(len(train), generator=chance)].split(BATCH):
            if len(rows) < 2:
                continue
            a, b = (embed(view, rows, dropped(view, rows)) for view in (0, 1))
            loss = contrast(a, b)
            for view, z in ((0, a), (1, b)):
                for m in names:
                    error = (z @ decoders[m].T - seen[view][m][rows]).square().sum(1)
                    loss = loss + RECONSTRUCTION * (error * there[view][m][rows]).mean() / 2
            for m in names:
                loss = loss + PULL * (learnt[m] - begun[m]).square().sum() / begun[m].square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        judgement = judge()
        if judgement < best:
            best, kept_epoch, kept = judgement, epoch, {m: tower.detach().clone() for m, tower in learnt.items()}
        if progress is not None:
            progress(epoch, EPOCHS, total / max(1, len(train)))
        if epoch - kept_epoch >= PATIENCE:
            break
    return {m: tower.numpy() for m, tower in kept.items()}, kept_epoch


def restore(arrays: Mapping[str, Any], preset: Preset) -> Joint:
    """The fusion whose `arrays` these are; raises as `standardise.restore` does."""
    standardiser = standardise.restore(arrays, preset)
    towers = {}
    for modality in late.layout(preset):
        tower = np.array(arrays[f"tower_{modality}"], np.float32)
        if tower.shape != (EMBEDDING_SIZE, sum(part.size for part in preset.of(modality))):
            raise ValueError(f"a tower of {modality} of another shape")
        if not np.isfinite(tower).all():
            raise ValueError(f"a tower of {modality} that is not finite")
        towers[modality] = tower
    clips, epoch = (int(np.asarray(arrays[name])) for name in ("clips", "epoch"))
    return Joint(standardiser, clips, channel.restore(arrays, preset), towers, epoch)
