"""Under groups: into one of them, its pages, and back to all; under a clip's group, the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
from discord import ui

from bot import asking, pages, pictures, render
from bot.asking import Interaction
from bot.text import Texts
from bot.views import _parts as parts
from bot.views import similar
from clipsim.model import Clip, Cluster, Clustering

if TYPE_CHECKING:
    import re

    from clipsim.core import ClipSim

NEAREST = 25  # clips most like one, among which its neighbours in its group are looked for


def _named(action: str, owner: int, cluster: int = 0, page: int = 0) -> str:
    return f"cluster:{action}:{parts.short(owner)}:{cluster}:{page}"


async def show_all(interaction: Interaction, *, page: int = 0, changed: bool = False) -> None:
    """Put all groups into the response."""
    sim: ClipSim = interaction.client.sim
    community, texts = asking.community_of(interaction), asking.texts_of(interaction)
    found = await sim.clustering(community=community)
    embed = render.clusters(texts, found, texts.CLUSTERS_CHANGED if changed else "")
    view = choose(texts, found, interaction.user.id, page)
    await interaction.edit_original_response(embed=embed, view=view, attachments=[])


def choose(texts: Texts, found: Clustering, owner: int, page: int = 0, links: Sequence[ui.Button[Any]] = ()) -> ui.View:
    """A select to walk into one of the groups; `links` are put below it."""
    ordered = sorted(found.clusters, key=lambda each: (-each.size, each.id))
    page = min(page, max(0, (len(ordered) - 1) // parts.OPTIONS))
    here = ordered[page * parts.OPTIONS : (page + 1) * parts.OPTIONS]
    options = [parts.option(str(each.id), each.label, texts.group(each.size)) for each in here]
    turns = []
    if len(ordered) > parts.OPTIONS:
        last = (len(ordered) - 1) // parts.OPTIONS
        turns = [
            parts.button(_named("p", owner, 0, max(0, page - 1)), "◀", off=page == 0),
            parts.button(_named("n", owner, 0, page + 1), "▶", off=page == last),
        ]
    pick = parts.select(_named("i", owner), texts.PICK_CLUSTER, options)
    return parts.view([pick, [*turns, *links]], Press)


async def show_one(interaction: Interaction, number: int, *, page: int = 0) -> None:
    """Put one group into the response, with its place on the map; all groups where it is gone."""
    sim: ClipSim = interaction.client.sim
    community, texts = asking.community_of(interaction), asking.texts_of(interaction)
    found = await sim.clustering(community=community)
    cluster = next((each for each in found.clusters if each.id == number), None)
    if cluster is None:
        await show_all(interaction, changed=True)
        return
    last = max(0, (len(cluster.members) - 1) // pages.SIZE)
    page, owner = min(page, last), interaction.user.id
    files = pictures.attached(interaction, await interaction.client.pictures.map(community, cluster=number))
    here = cluster.members[page * pages.SIZE : (page + 1) * pages.SIZE]
    turns = [parts.button(_named("b", owner), texts.ALL_CLUSTERS)]
    if last:
        turns.append(parts.button(_named("p", owner, number, max(0, page - 1)), "◀", off=page == 0))
        turns.append(parts.button(_named("n", owner, number, page + 1), "▶", off=page == last))
    walk = similar.walk_on(texts, here)
    rows = parts.together(turns, parts.plays(texts, cluster.members))
    view = parts.view([*rows, walk], Press, similar.Walk)
    await _write(interaction, pages.group(texts, cluster, page), view, files)


async def show_clip(interaction: Interaction, clip: Clip) -> None:
    """Put the group of a clip into the response: its neighbours there, and its place on the map."""
    sim: ClipSim = interaction.client.sim
    community, texts = asking.community_of(interaction), asking.texts_of(interaction)
    found = await sim.cluster_of(clip, community=community)
    files: list[discord.File] = []
    if found is not None:
        found = await _nearest_first(sim, clip, found, community)
        picture = await interaction.client.pictures.map(community, cluster=found.id, clip=clip.id)
        files = pictures.attached(interaction, picture)
    view = of_clip(texts, clip, found, interaction.user.id)
    await _write(interaction, render.cluster(texts, clip, found), view, files)


def of_clip(texts: Texts, clip: Clip, found: Cluster | None, owner: int) -> ui.View:
    """The parts under a clip's group."""
    like = parts.button(similar.Asked(owner, clip.id).named("o"), texts.LIKE_IT)
    if found is None:
        return parts.view([[like]], similar.Press)
    others = [member for member in found.members if member.id != clip.id]
    turns = [
        parts.button(_named("w", owner, found.id), texts.WHOLE_CLUSTER),
        parts.button(_named("b", owner), texts.ALL_CLUSTERS),
        like,
    ]
    walk = similar.walk_on(texts, others[: pages.SIZE])
    rows = parts.together(turns, parts.plays(texts, [clip, *others]))
    return parts.view([*rows, walk], Press, similar.Press, similar.Walk)


async def _nearest_first(sim: ClipSim, clip: Clip, found: Cluster, community: str) -> Cluster:
    """The group with those of its members first that are most like the clip."""
    answer = await sim.query(clip, NEAREST, community=community)
    near = [match.clip for match in answer.results if match.cluster is not None and match.cluster.id == found.id]
    first = {each.id for each in near} | {clip.id}
    return replace(found, members=(clip, *near, *(each for each in found.members if each.id not in first)))


async def _write(interaction: Interaction, embed: discord.Embed, view: ui.View, files: list[discord.File]) -> None:
    pages.pictured(embed, pictures.NAME if files else None)
    await interaction.edit_original_response(embed=embed, view=view, attachments=files)


class Press(
    ui.DynamicItem[ui.Item[Any]],
    template=r"cluster:(?P<action>[ipnbw]):(?P<owner>[0-9a-z]{1,13}):(?P<cluster>\d{1,6}):(?P<page>\d{1,4})",
):
    """A part under groups: into one, a page of it (or of all), the whole of one, back to all."""

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: ui.Item[Any], match: re.Match[str]) -> Press:
        """Whatever was pressed or picked."""
        return cls(item)

    async def callback(self, interaction: Interaction) -> None:
        """Show it."""
        found = self.template.fullmatch(self.custom_id)
        assert found is not None
        async with parts.pressed(interaction, int(found["owner"], 36)):
            number, page = int(found["cluster"]), int(found["page"])
            if found["action"] == "i":
                number = int(parts.picked(interaction))
            if number:
                await show_one(interaction, number, page=page)
            else:
                await show_all(interaction, page=page)
