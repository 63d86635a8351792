"""`/library`: what the community's library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot.commands import _shared as shared
from bot.text import ENGLISH
from bot.views import library

if TYPE_CHECKING:
    from bot.client import Bot


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""

    @tree.command(name="library", description=ENGLISH.LIBRARY)
    async def library_(interaction: discord.Interaction[Any]) -> None:
        async with shared.answering(interaction):
            await library.show(interaction)
