"""`/library`: what the community's library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import render, text
from bot.commands import _shared as shared

if TYPE_CHECKING:
    from bot.client import Bot

NEWEST = 5  # clips that are named


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""

    @tree.command(name="library", description=text.LIBRARY)
    async def library(interaction: discord.Interaction[Any]) -> None:
        async with shared.answering(interaction):
            community = shared.community_of(interaction)
            count = await bot.sim.count(community=community)
            newest = await bot.sim.clips(community=community, limit=NEWEST)
            status = await bot.sim.status()
            await interaction.edit_original_response(embed=render.library(text.facts(count, status), newest))
