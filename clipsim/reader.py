"""Reads a question as the text encoder reads lyrics, in a worker, so that lyrics can be searched by meaning.

A search must not wait long for the encoder, nor fetch half a gigabyte of weights: where it cannot be asked, a sentence
says so, and the words are searched as they are written.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from clipsim.encoders import Preset
from clipsim.errors import ClipSimError
from clipsim.model import Clip, Lyrics, Media, Vector
from clipsim.settings import Settings
from clipsim.sources.lyrics import MIN_WORDS, word_count
from clipsim.workers import Pool

KEPT = 256  # questions whose vectors are remembered

Read = tuple[Vector | None, str | None]  # the vector, or why there is none in a sentence


class Reader:
    """Reads questions for one library."""

    def __init__(self, settings: Settings, preset: Preset, pool: Callable[[], Pool]) -> None:
        self._settings = settings
        self._part = next(iter(preset.of("lyrics")), None)
        self._pool = pool
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._reading: dict[str, asyncio.Task[Read]] = {}

    async def read(self, question: str, patience: float) -> Read:
        """The question's vector by the encoder of lyrics, as `Features.vectors` holds it. Raises nothing.

        `patience`: seconds to wait for it. The first question of a process waits while the encoder is loaded.
        """
        if self._part is None:
            return None, None
        if (known := self._known.get(question)) is not None:
            self._known.move_to_end(question)
            return known, None
        task = self._reading.get(question)
        if task is None:
            task = self._reading[question] = asyncio.create_task(self._encode(question))
            task.add_done_callback(lambda _: self._reading.pop(question, None))
        done, _ = await asyncio.wait([task], timeout=patience)  # goes on where it takes longer: it is wanted again
        return task.result() if done else (None, _without("the text encoder is still being loaded"))

    async def close(self) -> None:
        """Give up what is being read."""
        for task in list(self._reading.values()):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _encode(self, question: str) -> Read:
        assert self._part is not None
        if self._settings.backend == "local" and (missing := await asyncio.to_thread(self._missing)):
            return None, missing
        lines = [question] * max(1, -(-MIN_WORDS // max(1, word_count(question))))  # fewer words count as no lyrics
        media = Media(Clip("question", "question"), lyrics=Lyrics("\n".join(lines)))
        try:
            found = await self._pool().encode("lyrics", media)
        except ClipSimError as error:
            return None, _without(error.message)
        vector = found.vectors.get(self._part.encoder)
        if vector is None:
            return None, _without(" ".join(found.notes) or "the text encoder found no words in it")
        self._known[question] = vector
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return vector, None

    def _missing(self) -> str | None:
        from clipsim import weights

        assert self._part is not None
        for name in self._part.weights:
            try:
                (state,) = weights.status([name])
            except (ClipSimError, OSError):
                return _without("the weights of the text encoder are not known")
            there = state.ok or all((state.path / file.name).is_file() for file in weights.TABLE[name].files)
            if not there:
                return _without("the weights of the text encoder are not here (run: clipsim models pull)")
        return None


def _without(why: str) -> str:
    why = why.rstrip(".")
    return f"Lyrics were not searched by what they mean: {why[:1].lower()}{why[1:]}."
