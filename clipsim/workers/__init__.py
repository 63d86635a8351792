"""Where clips are encoded: child processes of this machine (`local`), or a Ray cluster (`ray`).

A pool has `await encode(modality, media) -> Features`, `await warm()` and `await close()`. Encoders are loaded once
per worker and stay loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clipsim.encoders import Preset
    from clipsim.model import Features, Media, Modality
    from clipsim.settings import Settings


class Pool(Protocol):
    """Workers that encode."""

    async def encode(self, modality: Modality, media: Media) -> Features:
        """Encode one modality of one clip. Raises a `ClipSimError`; never blocks the event loop."""
        ...

    async def warm(self) -> BaseException | None:
        """Load the encoders now instead of with the first clip; returns what prevented it, which is logged."""
        ...

    async def close(self) -> None:
        """Stop the workers; what they were doing is lost."""
        ...


def open_pool(settings: Settings, preset: Preset) -> Pool:
    """The pool that the settings name. Starts no process yet."""
    if settings.backend == "ray":
        from clipsim.workers.ray import RayPool

        return RayPool(settings, preset)
    from clipsim.workers.local import LocalPool

    return LocalPool(settings, preset)
