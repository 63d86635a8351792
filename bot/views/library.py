"""The library's summary, and under it: links that failed, to be tried again or dropped by whoever posted them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import discord
from discord import ui

from bot import asking, guilds, pages
from bot.asking import Interaction
from bot.text import Texts, Told
from bot.views import _parts as parts
from bot.views import similar
from clipsim.errors import ClipSimError, EmptyLibrary

if TYPE_CHECKING:
    import re

    from clipsim.core import ClipSim

log = logging.getLogger(__name__)

NEWEST = 5  # clips that are named
ADDED = 5  # people that are


def _named(action: str, owner: int, job: int = 0) -> str:
    return f"library:{action}:{parts.short(owner)}:{job}"


async def show(interaction: Interaction) -> None:
    """Put the summary into the response. Raises ClipSimError."""
    sim: ClipSim = interaction.client.sim
    community, texts = asking.community_of(interaction), asking.texts_of(interaction)
    count, newest, status, jobs, alike, twice = await asyncio.gather(
        sim.count(community=community),
        sim.clips(community=community, limit=NEWEST),
        sim.status(),
        sim.jobs(community),
        _where_there_are_clips(sim.most_alike(community=community), None),
        _where_there_are_clips(sim.duplicates(community=community), []),
    )
    added: list[tuple[str, int]] = []
    if asking.chosen_by(interaction).most:
        added = [(f"<@{each.id}>", each.clips) for each in await _people(sim, community)]
    embed = pages.library(texts, texts.facts(count, status), newest, alike=alike, twice=twice, added=added, jobs=jobs)
    await interaction.edit_original_response(embed=embed, view=view(texts, jobs, newest, interaction.user.id))


async def _where_there_are_clips(asked: Awaitable[Any], otherwise: Any) -> Any:
    try:
        return await asked
    except EmptyLibrary:
        return otherwise


async def _people(sim: ClipSim, community: str) -> list[Any]:
    """Those who added most, as far as they are Discord's."""
    found = await sim.contributors(community=community, limit=2 * ADDED)
    return [each for each in found if each.id.isascii() and each.id.isdecimal()][:ADDED]


def view(texts: Texts, jobs: Sequence[Any], newest: Sequence[Any], owner: int) -> ui.View:
    """The parts under it."""
    failed = [job for job in jobs if job.state == "failed"]
    all_of_them = [
        parts.button(_named("R", owner), texts.RETRY_ALL),
        parts.button(_named("D", owner), texts.DROP_ALL, discord.ButtonStyle.danger),
    ]
    options = [parts.option(str(job.id), str(job.source), str(job.error_code or "")) for job in failed]
    pick = parts.select(_named("s", owner), texts.PICK_JOB, options)
    return parts.view([all_of_them if failed else [], pick, similar.walk_on(texts, newest)], Press, similar.Walk)


def _mine(interaction: Interaction, job: Any) -> bool:
    """Whether a link is theirs to deal with who presses."""
    return interaction.guild_id is None or guilds.may_manage(interaction) or job.requester == str(interaction.user.id)


class Press(
    ui.DynamicItem[ui.Item[Any]],
    template=r"library:(?P<action>[RDsrd]):(?P<owner>[0-9a-z]{1,13}):(?P<job>\d{1,18})",
):
    """A part under the summary, or under one link that failed."""

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: ui.Item[Any], match: re.Match[str]) -> Press:
        """Whatever was pressed or picked."""
        return cls(item)

    async def callback(self, interaction: Interaction) -> None:
        """Show a link, or have links tried again or dropped."""
        found = self.template.fullmatch(self.custom_id)
        assert found is not None
        action, owner, number = found["action"], int(found["owner"], 36), int(found["job"])
        async with parts.pressed(interaction, None if action == "s" else owner):
            if action == "s":
                await _one(interaction, int(parts.picked(interaction)))
                return
            said = await _deal(interaction, action, number)
            if action in "RD" and interaction.user.id == owner:
                await show(interaction)
                await interaction.followup.send(said, ephemeral=True)
            else:
                await interaction.edit_original_response(content=said, embed=None, view=None)


async def _failed(interaction: Interaction) -> list[Any]:
    sim: ClipSim = interaction.client.sim
    jobs = await sim.jobs(asking.community_of(interaction))
    return [job for job in jobs if job.state == "failed"]


async def _one(interaction: Interaction, number: int) -> None:
    """Put one link that failed into the response."""
    texts, owner = asking.texts_of(interaction), interaction.user.id
    job = next((job for job in await _failed(interaction) if job.id == number), None)
    if job is None:
        raise Told("unknown-link", texts.JOB_GONE)
    buttons = [
        parts.button(_named("r", owner, number), texts.RETRY, discord.ButtonStyle.primary),
        parts.button(_named("d", owner, number), texts.DROP, discord.ButtonStyle.danger),
    ]
    embed = pages.job(texts, job)
    await interaction.edit_original_response(embed=embed, view=parts.view([buttons], Press))


async def _deal(interaction: Interaction, action: str, number: int) -> str:
    """Have links tried again or dropped; returns what is said of it. Raises Told where they are not theirs."""
    sim: ClipSim = interaction.client.sim
    community, texts = asking.community_of(interaction), asking.texts_of(interaction)
    failed = [job for job in await _failed(interaction) if action in "RD" or job.id == number]
    if not failed:
        raise Told("unknown-link", texts.JOB_GONE)
    mine = [job for job in failed if _mine(interaction, job)]
    if not mine:
        raise Told("not-permitted", texts.NOT_YOUR_JOB)
    again = action in "Rr"
    deal: Callable[..., Awaitable[Any]] = sim.retry_job if again else sim.drop_job
    done = 0
    for job in mine:
        try:
            await deal(job.id, community)
            done += 1
        except ClipSimError as error:  # somebody else was quicker
            log.info("job=%s is gone: %s", job.id, error)
    if again:
        await interaction.client.errands.look()
    return texts.retried(done) if again else texts.dropped(done)
