"""What every command does: acknowledge at once, name a clip, turn an error into a sentence for who asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import errands, gate, guilds, links, places, render
from bot.replies import InteractionReply
from bot.text import Texts, for_locale
from clipsim.errors import ClipSimError

if TYPE_CHECKING:
    from bot.client import Bot
    from bot.errands import Wish
    from bot.guilds import Guild
    from clipsim.model import Clip
    from clipsim.sources import Source

log = logging.getLogger(__name__)

CHOICES = 25  # of one autocomplete, at most
IN_TIME = 1.5  # seconds for choices: after three nobody is shown any, and there is the way to Discord
LONGEST = 1000  # characters of an option; Discord refuses more

Interaction = discord.Interaction[Any]
ClipName = app_commands.Range[str, 1, LONGEST]


def community_of(interaction: Interaction) -> str:
    """Whose library the command is about."""
    return guilds.community(interaction.guild_id, interaction.user.id)


def texts_of(interaction: Interaction) -> Texts:
    """What is said to whoever used the command: in their own language."""
    return for_locale(interaction.locale)


def chosen_by(interaction: Interaction) -> Guild:
    """What the guild has chosen that the command is used in."""
    chosen: Guild = interaction.client.chosen.of(interaction.guild_id)
    return chosen


def may_import(interaction: Interaction) -> bool:
    """Whether whoever asks may have a playlist's clips added: a manager, or anybody in their own direct messages."""
    may = interaction.guild_id is None or guilds.may_manage(interaction)
    return may and chosen_by(interaction).playlist > 0


@asynccontextmanager
async def answering(interaction: Interaction, *, private: bool = False) -> AsyncIterator[None]:
    """Acknowledge before anything else; an error then becomes a sentence that only the one who asked can see.

    The answer is for them alone where it is `private`, or the guild wants answers to be.
    """
    private = private or places.is_private(interaction, chosen_by(interaction))
    await interaction.response.defer(thinking=True, ephemeral=private)
    try:
        yield
    except discord.NotFound as error:
        log.info("interaction=%d its answer was deleted: %s", interaction.id, error)
    except Exception as error:
        await explain(interaction, error)


async def explain(interaction: Interaction, error: BaseException) -> None:
    """Log the error, and tell its sentence and code."""
    told, code = errands.explained(error, f"interaction={interaction.id}")
    await whisper(interaction, render.problem(texts_of(interaction), told, code))


async def whisper(interaction: Interaction, sentence: str) -> None:
    """Say something to the one who asked alone, whatever has been sent before."""
    try:
        if not interaction.response.is_done():
            await interaction.response.send_message(sentence, ephemeral=True)
            return
        if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
            # A first follow-up would only fill in the public "thinking…", so fill that in, then take it away.
            await interaction.edit_original_response(content=sentence)
            await interaction.followup.send(sentence, ephemeral=True)
            await interaction.delete_original_response()
            return
        await interaction.followup.send(sentence, ephemeral=True)
    except (discord.HTTPException, OSError) as error:
        log.warning("interaction=%d could not be answered: %s", interaction.id, error)


def link_in(bot: Bot, clip: str) -> list[Source]:
    """The link that an option's text is or has, the first of several; none where it is a title.

    Raises UnknownLink or HostNotAllowed for a link that is not one to a clip.
    """
    return links.find(clip, bot.hosts)[:1] or ([links.parse(clip, bot.hosts)] if "://" in clip else [])


async def named(bot: Bot, interaction: Interaction, clip: str) -> Clip:
    """The clip that an option's text names, among the community's own. Raises UnknownClip."""
    return await bot.sim.find(clip, community=community_of(interaction))


async def take(bot: Bot, interaction: Interaction, found: list[Source], wish: Wish) -> None:
    """Add links first, telling progress in the response, and answer there."""
    chosen, community = chosen_by(interaction), community_of(interaction)
    admission = await gate.admit(
        bot.sim,
        chosen,
        texts_of(interaction),
        found,
        community=community,
        user=interaction.user,
        permissions=interaction.permissions,
        now=discord.utils.utcnow(),
    )
    private = places.is_private(interaction, chosen)
    reply = places.PrivateResponse(interaction) if private else InteractionReply(interaction)
    await bot.errands.take(
        found,
        reply,
        community=community,
        requester=str(interaction.user.id),
        wish=replace(wish, guild=interaction.guild_id),
        admission=admission,
    )


async def choices(bot: Bot, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The community's clips that fit what has been typed; no two look the same. Never raises."""
    try:
        async with asyncio.timeout(IN_TIME):
            clips = await bot.sim.complete(typed[: CHOICES * 4], community=community_of(interaction), limit=CHOICES)
    except TimeoutError:
        log.warning("interaction=%d could not be completed in time", interaction.id)
        return []
    except ClipSimError as error:
        log.info("nothing to complete code=%s", error.code)
        return []
    named: dict[str, str] = {}
    for clip in clips[:CHOICES]:
        name = render.choice(texts_of(interaction), clip)
        if name in named:
            mark = f" ({clip.id})"
            name = render.cut(name, render.CHOICE - len(mark)) + mark
        named.setdefault(name, clip.id)
    return [app_commands.Choice(name=name, value=value) for name, value in named.items()]
