"""A crowd on the Discord double: users who all use commands and paste links at once, and what each of them got.

Bounded in number and in time: whoever is not served within `patience` gives up, and is counted as lost.
"""

# ruff: noqa: ASYNC110 - what somebody in a crowd waits for has no event of its own
from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clipsim import tables
from clipsim.encoders import Preset
from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import Clip, Features
from clipsim.settings import load
from tests.doubles.discord import FakeDiscord, Interaction
from tests.doubles.discord.objects import LOADING
from tests.doubles.light import LIGHT
from tests.doubles.media import make_clip
from tests.doubles.youtube import FakeYouTube
from tests.libraries import train

CLIPS = 200  # in each server's library before anybody comes
LOOK = 0.02  # seconds between two looks of somebody who waits for an answer


@dataclass(frozen=True)
class Plan:
    """How many, and how long: they have patience for so many seconds."""

    users: int = 200
    interactions: int = 1000
    links: int = 50
    servers: int = 10
    seconds: float = 2.0  # of each clip's sound
    patience: float = 300.0


@dataclass
class Outcome:
    """Seconds: of each acknowledgement, of each answer to a command, of each link. And what went wrong."""

    acknowledged: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    links: list[float] = field(default_factory=list)
    lost: int = 0  # interactions that were never acknowledged, or after Discord's three seconds
    unanswered: int = 0  # commands that were acknowledged, and never answered
    lost_links: int = 0
    replies: int = 0  # to links: one each
    took: float = 0.0

    def json(self) -> dict[str, object]:
        """The figures: milliseconds and counts."""
        times = {name: percentiles(getattr(self, name)) for name in ("acknowledged", "answered", "links")}
        counts = {name: getattr(self, name) for name in ("lost", "unanswered", "lost_links", "replies")}
        return {**times, **counts, "seconds": round(self.took, 1)}


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """How many, and in milliseconds the median, 95th and 99th percentile and the maximum."""
    if not seconds:
        return {"count": 0}
    found = {f"p{p}": round(1000 * float(np.percentile(seconds, p)), 1) for p in (50, 95, 99)}
    return {"count": len(seconds), **found, "max": round(1000 * max(seconds), 1)}


class Crowd:
    """Servers with a channel each, clips on YouTube, and a library that knows others. Make it before the bot starts."""

    def __init__(
        self, discord: FakeDiscord, youtube: FakeYouTube, folder: Path, plan: Plan, preset: Preset = LIGHT
    ) -> None:
        self.discord, self.youtube, self.plan, self.preset = discord, youtube, plan, preset
        self.servers = [discord.add_guild(f"server {n}") for n in range(plan.servers)]
        self.channels = [discord.channel(f"room{n}", server).name for n, server in enumerate(self.servers)]
        for n in range(plan.links):
            sound = make_clip(folder / f"{n}.m4a", seconds=plan.seconds, tone=110.0 + 10 * n, rhythm=60.0 + 2 * n)
            said = {"title": f"New song {n}", "artist": f"Band {n}", "duration": plan.seconds}
            youtube.add(f"crowd{n:06d}", audio=sound, decoys=False, **said)  # type: ignore[arg-type]

    def fill(self, data: Path) -> None:
        """Put clips into the library that the bot will open, and train it, as it is after its first days."""
        settings = load(data=data)
        library = Library.open(settings, self.preset)
        (part,) = self.preset.parts
        generator = np.random.default_rng(0)
        for n in range(CLIPS):
            features = Features({part.encoder: generator.standard_normal(part.size).astype(np.float32)})
            library.add(Clip(f"known{n:06d}", f"Old song {n}", artist=f"Artist {n % 40}"), features)
        with library.write() as connection:  # every server knows all of them
            now = library.get("known000000").added
            rows = [
                {"community": str(server.id), "clip_id": f"known{n:06d}", "added_at": now}
                for server in self.servers
                for n in range(CLIPS)
            ]
            connection.execute(tables.memberships.insert(), rows)
        index = Index(settings, library.id)
        for method in ("standard", "pca"):
            train(library, index, method)
        index.close()
        library.close()

    async def come(self) -> Outcome:
        """All at once; returns when everybody was served or gave up."""
        outcome, began = Outcome(), time.monotonic()
        each = [self.plan.interactions // self.plan.users + (n < self.plan.interactions % self.plan.users)
                for n in range(self.plan.users)]  # fmt: skip
        users = (self._user(n, uses, outcome) for n, uses in enumerate(each))
        await asyncio.gather(*users, *(self._paste(n, outcome) for n in range(self.plan.links)))
        outcome.took = time.monotonic() - began
        return outcome

    async def _user(self, number: int, uses: int, outcome: Outcome) -> None:
        chance = random.Random(number)
        where = {"channel": self.channels[number % len(self.channels)], "author": f"user{number}"}
        for _ in range(uses):
            kind = chance.choice(("similar", "similar", "complete", "library", "help"))
            song = f"Old song {chance.randrange(CLIPS)}"
            if kind == "complete":
                use = await self.discord.typing("similar", "clip", song[:6], **where)
            else:
                options = {"clip": song} if kind == "similar" else {}
                use = await self.discord.slash(kind, wait=False, **where, **options)
            await self._served(use, outcome)

    async def _served(self, use: Interaction, outcome: Outcome) -> None:
        try:
            async with asyncio.timeout(self.plan.patience):
                while use.acknowledged is None and not use.late:
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            pass
        if use.acknowledged is None:
            outcome.lost += 1
            return
        outcome.acknowledged.append(use.acknowledged)
        if use.kind == 4:
            return
        try:
            async with asyncio.timeout(self.plan.patience):
                while not any(not message.flags & LOADING for message in use.messages):
                    await asyncio.sleep(LOOK)
            outcome.answered.append(time.monotonic() - use.at)
        except TimeoutError:
            outcome.unanswered += 1

    async def _paste(self, number: int, outcome: Outcome) -> None:
        where, began = self.channels[number % len(self.channels)], time.monotonic()
        link = f"https://youtu.be/crowd{number:06d}"
        asked = await self.discord.say(where, f"user{number}", link)
        wanted = f"New song {number}"
        mine = lambda: [reply for reply in self.discord.messages(where) if reply.reference == asked.id]  # noqa: E731
        try:
            async with asyncio.timeout(self.plan.patience):
                while not any(wanted in reply.text for reply in mine()):
                    await asyncio.sleep(10 * LOOK)
            outcome.links.append(time.monotonic() - began)
        except TimeoutError:
            outcome.lost_links += 1
        outcome.replies += len(mine())
