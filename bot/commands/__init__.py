"""The slash commands and the message menu, one module per area; what they share is in `_shared`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot import views
from bot.commands import clusters, discover, forget, help, library, playlist, settings, similar
from bot.commands._shared import explain, whisper

if TYPE_CHECKING:
    from discord import app_commands

    from bot.client import Bot

__all__ = ["add_all", "explain", "whisper"]


def add_all(tree: app_commands.CommandTree[Any], bot: Bot) -> None:
    """Put every command into the tree, and have the buttons under their answers understood."""
    views.add_all(bot)
    for area in (similar, clusters, discover, library, playlist, forget, settings, help):
        area.add(tree, bot)
