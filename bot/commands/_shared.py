"""What every command does: acknowledge at once, name a clip, turn an error into a sentence for who asked."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot import gate, guilds, links, places, render
from bot.asking import Interaction, chosen_by, community_of, explain, place_of, texts_of, whisper
from bot.replies import InteractionReply
from bot.text import Told
from clipsim.errors import ClipSimError

if TYPE_CHECKING:
    from bot.client import Bot
    from bot.errands import Wish
    from clipsim.model import Clip
    from clipsim.sources import Source

__all__ = ["Interaction", "chosen_by", "community_of", "explain", "place_of", "texts_of", "whisper"]

log = logging.getLogger(__name__)

CHOICES = 25  # of one autocomplete, at most
IN_TIME = 1.5  # seconds for choices: after three nobody is shown any, and there is the way to Discord
LONGEST = 1000  # characters of an option; Discord refuses more
SEVERAL = 25  # clips that one option names
COMMAS = 4  # in one title

ClipName = app_commands.Range[str, 1, LONGEST]


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


def link_in(bot: Bot, clip: str) -> list[Source]:
    """The link that an option's text is or has, the first of several; none where it is a title.

    Raises UnknownLink or HostNotAllowed for a link that is not one to a clip.
    """
    return links.find(clip, bot.hosts)[:1] or ([links.parse(clip, bot.hosts)] if "://" in clip else [])


async def new_link(bot: Bot, interaction: Interaction, clip: str) -> list[Source]:
    """The link that an option's text is or has, where the community does not have its clip yet; else none.

    Raises as `link_in`, and ClipSimError.
    """
    found = link_in(bot, clip)
    there = await bot.sim.known([source.id for source in found], community=community_of(interaction))
    return [source for source in found if source.id not in there]


async def clip_named(bot: Bot, interaction: Interaction, clip: str) -> Clip:
    """The clip that a title, an id or a link names, among the community's own. Raises UnknownClip, or as `link_in`."""
    found = link_in(bot, clip)
    return await named(bot, interaction, str(found[0].id) if found else clip)


async def several(bot: Bot, interaction: Interaction, typed: str) -> list[Clip]:
    """The clips that titles or links with commas, semicolons or line breaks between name. A title may have commas.

    Raises UnknownClip for one that there is not, or as `link_in`; Told where there are too many.
    """
    found: list[Clip] = []
    for line in re.split(r"[;\n]", typed):
        pieces = [piece.strip() for piece in line.split(",") if piece.strip()]
        while pieces:
            clip, longest = await _titled(bot, interaction, pieces)
            found.append(clip or await clip_named(bot, interaction, pieces[0]))
            pieces = pieces[longest:]
            if len(found) > SEVERAL:
                raise Told("setting", texts_of(interaction).too_many(SEVERAL))
    return found


async def _titled(bot: Bot, interaction: Interaction, pieces: Sequence[str]) -> tuple[Clip | None, int]:
    """The clip whose title, with commas in it, the first of these pieces are, and how many; None and 1 if none is."""
    texts = texts_of(interaction)
    for count in range(min(len(pieces), COMMAS + 1), 1, -1):
        wanted = ", ".join(pieces[:count])
        clips = await bot.sim.complete(wanted[: CHOICES * 4], community=community_of(interaction), limit=3)
        for clip in clips:
            if wanted.casefold() in (clip.title.casefold(), render.choice(texts, clip).casefold()):
                return clip, count
    return None, 1


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
    return [
        app_commands.Choice(name=name, value=clip_id)
        for name, clip_id in (await _fitting(bot, interaction, typed)).items()
    ]


async def more_choices(bot: Bot, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The same for the last of several: what was typed before it stays."""
    before, _, last = re.fullmatch(r"(.*?)([,;\n]?\s*)([^,;\n]*)", typed, re.DOTALL).groups()  # type: ignore[union-attr]
    before = before.strip()
    found = await _fitting(bot, interaction, last)
    if not before:
        return [app_commands.Choice(name=name, value=clip_id) for name, clip_id in found.items()]
    offered: dict[str, str] = {}
    for name, clip_id in found.items():
        value = f"{before}, {clip_id}"
        room = render.CHOICE - render.units(before) - 2
        if render.units(value) <= render.CHOICE and room > 8:  # what is offered can be seen, and is taken whole
            offered.setdefault(f"{before}, {render.cut(name, room)}", value)
    return [app_commands.Choice(name=name, value=value) for name, value in offered.items()]


async def name_choices(bot: Bot, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The same for words that are looked for: a title stands for itself."""
    found = await _fitting(bot, interaction, typed) if typed.strip() else {}
    return [app_commands.Choice(name=name, value=name) for name in found]


async def _fitting(bot: Bot, interaction: Interaction, typed: str) -> dict[str, str]:
    """Ids of the clips that fit, by a name that no other has."""
    try:
        async with asyncio.timeout(IN_TIME):
            clips = await bot.sim.complete(typed[: CHOICES * 4], community=community_of(interaction), limit=CHOICES)
    except TimeoutError:
        log.warning("interaction=%d could not be completed in time", interaction.id)
        return {}
    except ClipSimError as error:
        log.info("nothing to complete code=%s", error.code)
        return {}
    named: dict[str, str] = {}
    for clip in clips[:CHOICES]:
        name = render.choice(texts_of(interaction), clip)
        if name in named:
            mark = f" ({clip.id})"
            name = render.cut(name, render.CHOICE - len(mark)) + mark
        named.setdefault(name, clip.id)
    return named
