"""The gate: which links of a message are known, and which of the others may be added, by whom and how many a day.

A clip that a community has is for everyone, however often it is posted: it costs nothing. What fails does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import discord

from bot import guilds
from bot.text import Told
from clipsim.errors import ClipSimError

if TYPE_CHECKING:
    from bot.guilds import Guild
    from bot.text import Texts
    from clipsim.core import ClipSim
    from clipsim.model import Post
    from clipsim.sources import Source

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of each link, by the id of its clip: when it was posted first, or why it is not taken."""

    known: Mapping[str, Post] = field(default_factory=dict)
    refused: Mapping[str, ClipSimError] = field(default_factory=dict)


async def admit(
    sim: ClipSim,
    chosen: Guild,
    texts: Texts,
    found: Sequence[Source],
    *,
    community: str,
    user: discord.abc.User,
    permissions: discord.Permissions,
    now: datetime,
) -> Admission:
    """What becomes of the links that somebody posted. Raises ClipSimError: the library cannot be read."""
    known = {source.id: post for source in found if (post := await sim.post(source.id, community=community))}
    new = [source.id for source in found if source.id not in known]
    if new and not guilds.may_add(chosen, user, permissions):
        role = f"<@&{chosen.role}>" if chosen.may_add == "role" and chosen.role else None
        return Admission(known, dict.fromkeys(new, Told("not-permitted", texts.may_not_add(role))))
    return Admission(known, await _over(sim, chosen, texts, new, community=community, user=str(user.id), now=now))


async def _over(
    sim: ClipSim, chosen: Guild, texts: Texts, new: Sequence[str], *, community: str, user: str, now: datetime
) -> dict[str, ClipSimError]:
    """The new links that are over a limit, in their order, each with when there is room again."""
    limits = [(limit, everybody) for limit, everybody in ((chosen.per_user, False), (chosen.per_guild, True)) if limit]
    if not (new and limits):
        return {}
    taken = [job for job in await sim.recent_jobs(community, now - DAY) if _counts(job)]
    refused: dict[str, ClipSimError] = {}
    for limit, everybody in limits:
        times = [job.created for job in taken if everybody or job.requester == user]
        for clip_id in new[max(0, limit - len(times)) :]:
            # Room is when the oldest of the last `limit` is a day old.
            free = times[-limit] + DAY if len(times) >= limit else now + DAY
            sentence = texts.daily_limit(limit, discord.utils.format_dt(free, "R"), everybody)
            refused.setdefault(clip_id, Told("daily-limit", sentence))
    return refused


def _counts(job: Any) -> bool:
    """Whether a job was or is the adding of a clip."""
    return job.state != "failed" and not (job.reply or {}).get("known")
