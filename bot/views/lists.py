"""Under a playlist, path, mix or search: pages, a link that plays it, another one, a longer or shorter one.

The list itself is kept in the library under a short key: a playlist made anew would be another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from discord import ui

from bot import asking, pages, render
from bot.asking import Interaction
from bot.listing import Listing, part, played, searched
from bot.text import Texts, Told
from bot.views import _parts as parts
from bot.views import similar
from clipsim.model import Clip, Playlist, Search

if TYPE_CHECKING:
    import re

    from clipsim.core import ClipSim

FOUND = 50  # hits of a search that can be reached by turning pages
SHORTEST, LONGEST = 3, 25  # clips of a path, and of a mix, that buttons lead to
PATH, MIX = 8, 10  # clips to begin with
STEP = {"path": 3, "mix": 5}  # clips more or fewer by one press

Action = Literal["p", "n", "a", "s", "l", "t"]  # previous, next, another, shorter, longer, turned round


async def playlist(
    sim: ClipSim, texts: Texts, seeds: Sequence[Clip], k: int, *, place: str | None, community: str
) -> Listing:
    """A playlist around clips that has not been played here of late. Raises as `ClipSim.playlist`."""
    found = await sim.playlist(list(seeds), k, place=place, community=community)
    return await _kept(sim, found, played(found, k, seeds, _names(texts, seeds)), place, community)


async def path(
    sim: ClipSim, texts: Texts, ends: Sequence[Clip], k: int, *, place: str | None, community: str
) -> Listing:
    """From one clip to another. Raises as `ClipSim.path`."""
    found = await sim.path(ends[0], ends[1], k, community=community)
    return await _kept(sim, found, played(found, k, ends, _names(texts, ends)), place, community)


async def mix(
    sim: ClipSim,
    texts: Texts,
    add: Sequence[Clip],
    less: Sequence[Clip],
    k: int,
    *,
    place: str | None,
    community: str,
) -> Listing:
    """What is like some and unlike others. Raises as `ClipSim.mix`."""
    found = await sim.mix(list(add), list(less), k, community=community)
    return await _kept(sim, found, played(found, k, add, _titles(texts, [*add, *less]), less), place, community)


async def find(sim: ClipSim, words: str, *, place: str | None, community: str) -> Listing:
    """What some words find. Raises as `ClipSim.search`."""
    found = await sim.search(words, FOUND, community=community)
    return await _kept(sim, found, searched(found), place, community)


async def _kept(sim: ClipSim, found: Playlist | Search, listing: Listing, place: str | None, community: str) -> Listing:
    """Remember that a list is shown: of a search the first page, which is what is looked at."""
    ids = listing.ids[: pages.SIZE] if isinstance(found, Search) else None
    await sim.shown(found if ids is None else ids, community=community, place=place)
    return listing


def _titles(texts: Texts, clips: Sequence[Clip]) -> list[str]:
    """Of clips between plus and minus signs: artists have dashes after them."""
    return [render.clean(clip.title) or render.name(texts, clip) for clip in clips]


def _names(texts: Texts, clips: Sequence[Clip]) -> list[str]:
    return [render.name(texts, clip) for clip in clips]


async def show(interaction: Interaction, listing: Listing, *, key: str = "", page: int = 0) -> None:
    """Put a page of a list into the response; a list without a `key` is kept, and gets one."""
    sim: ClipSim = interaction.client.sim
    community, texts = asking.community_of(interaction), asking.texts_of(interaction)
    key = key or await sim.keep_list(listing.stored(), community=community)
    page = min(page, max(0, (len(listing.entries) - 1) // pages.SIZE))
    here = [entry.id for _, entry in part(listing, page, pages.SIZE)]
    clips = await sim.known(here, community=community)
    view = _view(texts, listing, [clips[each] for each in here if each in clips], interaction.user.id, key, page)
    embed = pages.listing(texts, listing, page, clips)
    await interaction.edit_original_response(embed=embed, view=view, attachments=[])


def _view(texts: Texts, listing: Listing, clips: Sequence[Clip], owner: int, key: str, page: int) -> ui.View:
    def press(action: Action, label: str, to: int = 0, *, off: bool = False) -> ui.Button[Any]:
        return parts.button(f"list:{action}:{parts.short(owner)}:{key}:{to}", label, off=off)

    last = max(0, (len(listing.entries) - 1) // pages.SIZE)
    turns = (
        [press("p", "◀", max(0, page - 1), off=page == 0), press("n", "▶", page + 1, off=page == last)] if last else []
    )
    others = []
    if listing.kind == "playlist":
        others.append(press("a", texts.ANOTHER))
    if step := STEP.get(listing.kind):
        others.append(press("s", texts.SHORTER, off=listing.k - step < SHORTEST))
        more = len(listing.entries) >= listing.k and listing.k < LONGEST
        others.append(press("l", texts.LONGER, off=not more))
    if listing.kind == "path":
        others.append(press("t", texts.TURN_ROUND))
    plays = parts.plays(texts, listing.ids)
    return parts.view([*parts.together(turns, others, plays), similar.walk_on(texts, clips)], Press, similar.Walk)


class Press(
    ui.DynamicItem[ui.Item[Any]],
    template=r"list:(?P<action>[pnaslt]):(?P<owner>[0-9a-z]{1,13}):(?P<key>[\w-]{1,32}):(?P<page>\d{1,2})",
):
    """A button under a list."""

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: ui.Item[Any], match: re.Match[str]) -> Press:
        """Whatever was pressed."""
        return cls(item)

    async def callback(self, interaction: Interaction) -> None:
        """Turn the page, or make another list."""
        found = self.template.fullmatch(self.custom_id)
        assert found is not None
        async with parts.pressed(interaction, int(found["owner"], 36)):
            sim: ClipSim = interaction.client.sim
            community, texts = asking.community_of(interaction), asking.texts_of(interaction)
            stored = await sim.kept_list(found["key"], community=community)
            if stored is None:
                raise Told("unknown-clip", texts.LISTING_GONE)
            listing = Listing.read(stored)
            if found["action"] in "pn":
                await show(interaction, listing, key=found["key"], page=int(found["page"]))
                return
            await show(interaction, await _again(interaction, texts, listing, found["action"]))


async def _again(interaction: Interaction, texts: Texts, listing: Listing, action: str) -> Listing:
    """Another list like this one. Raises ClipSimError."""
    sim: ClipSim = interaction.client.sim
    where: Any = {"place": asking.place_of(interaction), "community": asking.community_of(interaction)}
    seeds, less = [
        [await sim.find(each, community=where["community"]) for each in ids] for ids in (listing.seeds, listing.less)
    ]
    step = STEP.get(listing.kind, 0)
    k = max(SHORTEST, min(LONGEST, listing.k + {"s": -step, "l": step}.get(action, 0))) if step else listing.k
    if listing.kind == "path":
        return await path(sim, texts, seeds[::-1] if action == "t" else seeds, k, **where)
    if listing.kind == "mix":
        return await mix(sim, texts, seeds, less, k, **where)
    return await playlist(sim, texts, seeds, k, **where)
