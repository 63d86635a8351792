"""clipsim: find music videos that go together.

async with ClipSim.open(data="library") as sim:
    clip = await sim.add("https://youtu.be/…")
    for match in await sim.similar(clip):
        print(match.rank, match.clip.title, match.why)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipsim.core import ClipSim

__all__ = ["ClipSim", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # PEP 562: `clipsim --help` need not import torch
    if name == "ClipSim":
        from clipsim.core import ClipSim

        return ClipSim
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
