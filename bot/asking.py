"""Who asks, where and in which language; and how an error is told to them alone. For commands and buttons alike."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import discord

from bot import guilds, render
from bot.text import Texts, for_locale
from bot.trouble import explained

if TYPE_CHECKING:
    from bot.guilds import Guild

log = logging.getLogger(__name__)

Interaction = discord.Interaction[Any]


def community_of(interaction: Interaction) -> str:
    """Whose library the command is about."""
    return guilds.community(interaction.guild_id, interaction.user.id)


def place_of(interaction: Interaction) -> str | None:
    """Where it is asked: what was shown there of late does not come again at once."""
    return None if interaction.channel_id is None else str(interaction.channel_id)


def texts_of(interaction: Interaction) -> Texts:
    """What is said to whoever used the command: in their own language."""
    return for_locale(interaction.locale)


def chosen_by(interaction: Interaction) -> Guild:
    """What the guild has chosen that the command is used in."""
    chosen: Guild = interaction.client.chosen.of(interaction.guild_id)
    return chosen


async def explain(interaction: Interaction, error: BaseException) -> None:
    """Log the error, and tell its sentence and code."""
    told, code = explained(error, f"interaction={interaction.id}")
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
    except (discord.HTTPException, OSError, RuntimeError) as error:  # the last: the client has been closed
        log.warning("interaction=%d could not be answered: %s", interaction.id, error)
