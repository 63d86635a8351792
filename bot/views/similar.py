"""Under an answer: by what to compare, more, pages, play all, and thumbs. And from any list to what is like a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, get_args

import discord
from discord import ui

from bot import asking, render
from bot.asking import Interaction
from bot.text import Texts
from bot.views import _parts as parts
from clipsim.model import Answer, By, Clip, Match, Method, Vote

if TYPE_CHECKING:
    import re

    from clipsim.core import ClipSim

MOST = 10  # clips on a page
DEPTH = 50  # clips that can be reached by turning pages
WAYS: tuple[By, ...] = get_args(By)
WALK = "walk"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is shown to whom: the clips like one, compared by, so many on a page, from 0."""

    owner: int
    clip: str
    by: By = "all"
    k: int = 5
    page: int = 0

    def named(self, action: str) -> str:
        """The `custom_id` of a part that leads here; `action` tells parts apart that lead to the same."""
        return f"similar:{action}:{parts.short(self.owner)}:{self.clip}:{self.by}:{self.k}:{self.page}"

    @classmethod
    def read(cls, found: re.Match[str]) -> Asked:
        """From a `custom_id`."""
        way: By = next(way for way in WAYS if way == found["by"])
        k, page = max(1, min(int(found["k"]), MOST)), min(int(found["page"]), DEPTH - 1)
        return cls(int(found["owner"], 36), found["clip"], way, k, page)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer, and whether there is another after it."""

    asked: Asked
    answer: Answer
    further: bool


async def turn(sim: ClipSim, asked: Asked, community: str, clip: Clip | None = None) -> Page:
    """The page that is asked for, or the last one before it that there is. Raises ClipSimError."""
    clip = clip or await sim.find(asked.clip, community=community)
    wanted = min(asked.k * (asked.page + 1), DEPTH)
    answer = await sim.query(clip, wanted + 1, asked.by, community=community)
    last = max(0, (len(answer.results) - 1) // asked.k)
    asked = replace(asked, page=min(asked.page, last))
    wanted = min(asked.k * (asked.page + 1), DEPTH)
    shown = answer.results[asked.k * asked.page : wanted]
    return Page(asked, replace(answer, results=shown), wanted < min(DEPTH, len(answer.results)))


def of(answer: Answer, owner: int, k: int, by: By = "all") -> Page:
    """The page that an answer to a command or a pasted link is."""
    asked = Asked(owner, answer.query.id, by, max(1, min(k, MOST)))
    return Page(asked, answer, len(answer.results) >= asked.k)


def embed(texts: Texts, page: Page, first: str = "") -> discord.Embed:
    """What a page says."""
    return render.answer(texts, page.answer, by=page.asked.by, first=first, page=page.asked.page)


def view(texts: Texts, page: Page, votes: Mapping[str, Vote] | None = None) -> ui.View:
    """The parts under an answer; `votes` are the owner's own, by the result's id. None where nothing was found."""
    asked, clip, results = page.asked, page.answer.query, page.answer.results
    ways = [way for way in WAYS if way == "all" or way in clip.modalities]
    by = [_way(texts, asked, way) for way in ways] if len(ways) > 1 else []
    turns = []
    if asked.page or page.further:
        turns.append(parts.button(replace(asked, page=max(0, asked.page - 1)).named("p"), "◀", off=not asked.page))
        turns.append(parts.button(replace(asked, page=asked.page + 1).named("n"), "▶", off=not page.further))
    if page.further and asked.k < MOST:
        turns.append(parts.button(replace(asked, k=MOST, page=0).named("m"), texts.MORE))
    played = parts.plays(texts, [clip, *(match.clip for match in results)]) if results else []
    thumbs = parts.select(asked.named("v"), *_thumbs(texts, results, votes or {}))
    walk = walk_on(texts, [match.clip for match in results])
    return parts.view([by if results else [], *parts.together(turns, played), thumbs, walk], Press, Walk)


def several(texts: Texts, clips: Sequence[Clip]) -> ui.View:
    """The part under a reply to several links: from one of them to what is like it."""
    return parts.view([walk_on(texts, clips)], Walk)


def walk_on(texts: Texts, clips: Sequence[Clip]) -> list[parts.Item]:
    """A select that leads from one of these clips to what is like it, in a private message."""
    return parts.select(WALK, texts.WALK, [parts.option(clip.id, render.name(texts, clip)) for clip in clips])


def _way(texts: Texts, asked: Asked, way: By) -> ui.Button[Any]:
    here = way == asked.by
    style = discord.ButtonStyle.primary if here else discord.ButtonStyle.secondary
    return parts.button(replace(asked, by=way, page=0).named("b"), texts.BY[way], style, off=here)


def _thumbs(
    texts: Texts, results: Sequence[Match], votes: Mapping[str, Vote]
) -> tuple[str, Sequence[discord.SelectOption]]:
    """What was said so far, and what can be: a thumb up and one down for each result."""
    options = []
    said: dict[bool, list[int]] = {True: [], False: []}
    for match in results:
        vote = votes.get(match.clip.id)
        if vote is not None:
            said[vote.up].append(match.rank)
        for up, sign, name in ((True, "👍", "up"), (False, "👎", "down")):
            mine = texts.THUMB_BACK if vote is not None and vote.up == up else ""
            label = f"{match.rank} · {render.name(texts, match.clip)}"
            options.append(parts.option(f"{name}:{match.clip.id}", label, mine, emoji=sign))
    return texts.thumbs(said[True], said[False]), options


async def show(interaction: Interaction, asked: Asked, *, clip: Clip | None = None, vote: str = "") -> None:
    """Put a page into the response, after casting a vote (`up:ID` or `down:ID`) or taking it back.

    `clip` is the one that is asked about, where it has been looked up already.
    """
    sim: ClipSim = interaction.client.sim
    community, texts, voter = asking.community_of(interaction), asking.texts_of(interaction), str(asked.owner)
    page = await turn(sim, asked, community, clip)
    query = page.answer.query
    votes = await sim.votes(query, voter=voter, community=community)
    if vote:
        await _vote(sim, page, vote, votes, voter, community)
        votes = await sim.votes(query, voter=voter, community=community)
    await interaction.edit_original_response(
        embed=embed(texts, page), view=view(texts, page, votes), attachments=[], content=None
    )
    if not vote:
        await sim.shown(page.answer, community=community, place=asking.place_of(interaction))


async def _vote(sim: ClipSim, page: Page, vote: str, votes: Mapping[str, Vote], voter: str, community: str) -> None:
    word, _, result = vote.partition(":")
    match = next((match for match in page.answer.results if match.clip.id == result), None)
    said = votes.get(result)
    up: bool | None = word == "up"
    if said is not None and said.up == up:
        up = None
    await sim.vote(
        page.answer.query,
        result,
        up,
        voter=voter,
        community=community,
        rank=match.rank if match else None,
        method=cast(Method, page.answer.method),
        by=page.asked.by,
    )


class Press(
    ui.DynamicItem[ui.Item[Any]],
    template=r"similar:(?P<action>[a-z]):(?P<owner>[0-9a-z]{1,13}):(?P<clip>[\w-]{1,40}):"
    rf"(?P<by>{'|'.join(WAYS)}):(?P<k>\d{{1,2}}):(?P<page>\d{{1,2}})",
):
    """A part of an answer: it leads to what its name says; the select of thumbs to the same page."""

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: ui.Item[Any], match: re.Match[str]) -> Press:
        """Whatever was pressed or picked."""
        return cls(item)

    async def callback(self, interaction: Interaction) -> None:
        """Show it."""
        found = self.template.fullmatch(self.custom_id)
        assert found is not None
        asked = Asked.read(found)
        owner = None if found["action"] == "o" else asked.owner
        async with parts.pressed(interaction, owner):
            vote = parts.picked(interaction) if found["action"] == "v" else ""
            await show(interaction, replace(asked, owner=interaction.user.id), vote=vote)


class Walk(ui.DynamicItem[ui.Item[Any]], template=WALK):
    """The select that leads from a clip to what is like it."""

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: ui.Item[Any], match: re.Match[str]) -> Walk:
        """Whatever was picked."""
        return cls(item)

    async def callback(self, interaction: Interaction) -> None:
        """Show it, in private."""
        async with parts.pressed(interaction):
            k = asking.chosen_by(interaction).count
            await show(interaction, Asked(interaction.user.id, parts.picked(interaction), k=k))
