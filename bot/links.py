"""The links of a chat message: who they are is `clipsim.sources`' business, which messages may be read is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsim import sources
from clipsim.sources import Source

if TYPE_CHECKING:
    import discord

MOST = 5  # links of one message that are taken; the rest is left out, and said so
LONGEST = 8000  # characters of text that are searched


def find(message: str, hosts: tuple[str, ...] = ()) -> list[Source]:
    """All links to clips in a text, in order, without repeats."""
    return sources.find_links(message[:LONGEST], hosts)


def playlists(message: str) -> list[str]:
    """The ids of the playlists that a text links to."""
    return sources.find_playlists(message[:LONGEST])


def parse(link: str, hosts: tuple[str, ...] = ()) -> Source:
    """The clip of one link; never a file. Raises UnknownLink or HostNotAllowed."""
    return sources.parse(link, hosts, files=False)


def of(message: discord.Message, hosts: tuple[str, ...] = ()) -> list[Source]:
    """All links of a message that somebody pointed at: its text, what it forwards, and its embeds' addresses."""
    return find(_whole(message), hosts)


def playlists_of(message: discord.Message) -> list[str]:
    """All playlists of a message that somebody pointed at."""
    return playlists(_whole(message))


def _whole(message: discord.Message) -> str:
    texts = [message.content, *(snapshot.content for snapshot in message.message_snapshots)]
    return "\n".join([*texts, *(embed.url for embed in message.embeds if embed.url)])
