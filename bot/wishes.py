"""What is wanted of a link, and what is known of it on its way: values that `bot.errands` works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import discord

from bot.board import Board
from bot.text import Texts, for_locale
from clipsim.model import JSON, By

if TYPE_CHECKING:
    from clipsim.model import Post


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a link: the clips like it (so many, compared by), or its cluster; said in a language.

    `post` is the message that it was pasted in; `where` (a channel) and `guild` say where that is.
    """

    show: Literal["similar", "cluster"] = "similar"
    k: int = 5
    by: By = "all"
    language: str = "en"
    post: int | None = None
    where: int | None = None
    guild: int | None = None

    @classmethod
    def read(cls, row: JSON) -> Wish:
        """From a job's row; what is not there is the default."""
        known = {name: row[name] for name in ("show", "k", "by", "language", "post", "where", "guild") if name in row}
        return cls(**known)


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """One link of a reply: its job, its place among the reply's parts, and whether it yields to others.

    An import yields wherever it waits; a second attempt only until a place for it is free: somebody wants it.
    """

    job: Any
    board: Board
    place: int
    parts: int
    wish: Wish
    left: int = 0  # links of the message that were left out
    background: bool = False

    @property
    def imported(self) -> bool:
        """Whether it was taken in the background."""
        return bool((self.job.reply or {}).get("background"))

    @property
    def texts(self) -> Texts:
        """The language that it is answered in."""
        return for_locale(self.wish.language)


def first_post(texts: Texts, post: Post, wish: Wish) -> str:
    """When and where a clip was posted first, as Markdown; nothing where that is this very message."""
    where = post.place or {}
    channel, message = where.get("channel"), where.get("message")
    if message is not None and message == wish.post:
        return ""
    link = None
    if isinstance(channel, int) and isinstance(message, int):
        link = f"https://discord.com/channels/{wish.guild or '@me'}/{channel}/{message}"
    who = f"<@{post.by}>" if post.by and post.by.isascii() and post.by.isdecimal() else ""
    return texts.posted(who, post.at, discord.utils.utcnow(), link)


def place_of(row: JSON, wish: Wish) -> JSON | None:
    """Where a clip was posted: the message with the link, or the public answer to a command."""
    if wish.post is not None:
        return {"channel": wish.where, "message": wish.post}
    return None if row.get("private") or not row.get("message") else {k: row[k] for k in ("channel", "message")}
