"""Buttons and select menus under replies. What one does is in its `custom_id`, so that it works after a restart.

Whoever asked has their message edited; anybody else who presses gets a private copy with buttons of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.views import clusters, library, lists, similar, surprise

if TYPE_CHECKING:
    import discord

__all__ = ["add_all"]


def add_all(bot: discord.Client) -> None:
    """Let every part of these views be understood, whoever wrote the message that it is on."""
    bot.add_dynamic_items(similar.Press, similar.Walk, lists.Press, clusters.Press, surprise.Press, library.Press)
