"""Clips an hour on a CUDA device, by modality: several at once against one by one.

    python -m benchmarks gpu        (writes benchmarks/results/gpu.json where there is such a device)

The preset `standard` on the made video, a real track and real lyrics of the folder of test data (CLIPSIM_TESTDATA).
librosa's features are computed on the processor all the same, and count.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from benchmarks import clips
from benchmarks.paired import HEAD, compare, save
from benchmarks.songs import DATA
from clipsim.encoders import PRESETS
from clipsim.encoders._device import device
from clipsim.errors import ClipSimError
from clipsim.model import MODALITIES, Clip, Lyrics, Media, Modality
from clipsim.workers import stages

LONGEST = 3600.0  # seconds
PRESET = PRESETS["standard"]


def medias(modality: Modality) -> list[Media]:
    """As many clips as are encoded at once."""
    track, songs = max((DATA / "music").glob("*.ogg"), key=lambda file: file.stat().st_size), clips.lyrics()
    return [
        Media(Clip(f"clip-{i}", "A clip"), audio=track, video=clips.video(), lyrics=Lyrics(songs[i % len(songs)]))
        for i in range(stages.batch_size(modality))
    ]


def together(modality: Modality) -> Callable[[], object]:
    given = medias(modality)
    _checked(stages.encode_many(modality, given, PRESET, LONGEST))  # kernels chosen, memory taken
    return lambda: stages.encode_many(modality, given, PRESET, LONGEST)


def alone(modality: Modality) -> Callable[[], object]:
    given = medias(modality)
    _checked(stages.encode_many(modality, given[:1], PRESET, LONGEST))
    return lambda: [stages.encode(modality, media, PRESET, LONGEST) for media in given]


def _checked(found: list[object]) -> None:
    for one in found:
        if isinstance(one, ClipSimError):
            raise one


def main() -> None:
    clips.needed()
    if device().type != "cuda":
        print("There is no CUDA device here: nothing was measured.")
        return
    import torch

    clips.video()
    print(f"On {torch.cuda.get_device_name()}:\n\n{HEAD.replace('naive', 'one by one')}")
    found = []
    for modality in MODALITIES:
        count = stages.batch_size(modality)
        title = f"{modality} on {torch.cuda.get_device_name()}"
        found.append(compare(title, f"{count} clips", partial(together, modality), partial(alone, modality)))
        seconds = statistics.median(run.seconds for run in found[-1].ours)
        print(f"{modality}: {3600 * count / seconds:.0f} clips an hour")
    save("gpu", found)


if __name__ == "__main__":
    main()
