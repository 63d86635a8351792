"""Under a surprise: another one, what is like it, and a link to watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import ui

from bot import asking, pages
from bot.asking import Interaction
from bot.text import Texts
from bot.views import _parts as parts
from bot.views import similar
from clipsim.model import Surprise

if TYPE_CHECKING:
    import re

    from clipsim.core import ClipSim


async def show(interaction: Interaction) -> None:
    """Put a surprise into the response: none that was shown here of late. Raises as `ClipSim.surprise`."""
    sim: ClipSim = interaction.client.sim
    community, place, texts = (
        asking.community_of(interaction),
        asking.place_of(interaction),
        asking.texts_of(interaction),
    )
    found = await sim.surprise(place=place, community=community)
    embed, parts_ = pages.surprise(texts, found), view(texts, found, interaction.user.id)
    await interaction.edit_original_response(embed=embed, view=parts_, attachments=[])
    await sim.shown(found, community=community, place=place)


def view(texts: Texts, found: Surprise, owner: int) -> ui.View:
    """The parts under it."""
    buttons = [
        parts.button(f"surprise:{parts.short(owner)}", texts.ANOTHER),
        parts.button(similar.Asked(owner, found.clip.id).named("o"), texts.LIKE_IT),
        *parts.link(texts.WATCH, found.clip.url),
    ]
    return parts.view([buttons, similar.walk_on(texts, found.like)], Press, similar.Press, similar.Walk)


class Press(ui.DynamicItem[ui.Item[Any]], template=r"surprise:(?P<owner>[0-9a-z]{1,13})"):
    """Another one."""

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: ui.Item[Any], match: re.Match[str]) -> Press:
        """It was pressed."""
        return cls(item)

    async def callback(self, interaction: Interaction) -> None:
        """Show it."""
        found = self.template.fullmatch(self.custom_id)
        assert found is not None
        async with parts.pressed(interaction, int(found["owner"], 36)):
            await show(interaction)
