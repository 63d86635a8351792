"""`/library`: what the community's library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import render
from bot.commands import _shared as shared
from bot.text import ENGLISH

if TYPE_CHECKING:
    from bot.client import Bot

NEWEST = 5  # clips that are named


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""

    @tree.command(name="library", description=ENGLISH.LIBRARY)
    async def library(interaction: discord.Interaction[Any]) -> None:
        async with shared.answering(interaction):
            community, texts = shared.community_of(interaction), shared.texts_of(interaction)
            count = await bot.sim.count(community=community)
            newest = await bot.sim.clips(community=community, limit=NEWEST)
            status = await bot.sim.status()
            page = render.library(texts, texts.facts(count, status), newest)
            await interaction.edit_original_response(embed=page)
