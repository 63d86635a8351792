"""What is put below a reply to links when all of them are done: the parts of the one answer, or a way into each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from discord import ui

from bot.text import Texts
from bot.views import similar
from clipsim.model import Clip


@dataclass(frozen=True, slots=True)
class Answered:
    """A link that was answered: its clip, and the parts under it where it is the only one."""

    clip: Clip
    view: Callable[[], ui.View]


def under(texts: Texts, parts: int) -> Callable[[Mapping[int, Answered]], ui.View | None]:
    """For a reply of so many parts: the view, from those that were answered."""

    def made(answered: Mapping[int, Answered]) -> ui.View | None:
        if not answered:
            return None
        if parts == 1:
            return answered[0].view()
        return similar.several(texts, [answered[place].clip for place in sorted(answered)])

    return made
