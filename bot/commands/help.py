"""`/help`: what the bot can do, and what it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import render
from bot.commands import _shared as shared
from bot.text import ENGLISH

if TYPE_CHECKING:
    from bot.client import Bot


def add(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put the command into the tree."""

    @tree.command(name="help", description=ENGLISH.HELP)
    async def help_(interaction: discord.Interaction[Any]) -> None:
        page = render.help_page(shared.texts_of(interaction), reads_messages=bot.message_content)
        await interaction.response.send_message(embed=page, ephemeral=True)
