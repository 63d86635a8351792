"""Playlists, paths, mixes, searches, surprises, groups, the map and the library as real discord.py interactions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import discord
import pytest

from bot.client import Bot
from bot.guilds import Guild
from bot.text import ENGLISH as text
from clipsim import settings
from clipsim.errors import IndexUnavailable
from clipsim.model import Post
from tests.doubles.sim import Job, SimDouble, clip

pytestmark = [pytest.mark.simcord(settle_timeout=15), pytest.mark.usefixtures("stretched")]

WATCH = "https://www.youtube.com/watch?v="
PLAYS = "https://www.youtube.com/watch_videos?video_ids="


class Room:
    def __init__(self, env: Any, sim: SimDouble) -> None:
        self.env, self.sim = env, sim
        self.guild = env.create_guild()
        self.community = str(self.guild.id)
        sim.shelves[self.community] = [clip(n) for n in range(1, 31)]
        self.channel = self.guild.create_text_channel("music")
        managing = self.guild.create_role("managers", permissions=discord.Permissions(manage_guild=True))
        self.boss = self.guild.add_member(env.create_user("boss"), roles=[managing])
        self.ann = self.guild.add_member(env.create_user("ann"))
        self.ben = self.guild.add_member(env.create_user("ben"))

    @property
    def place(self) -> str:
        return str(self.channel.id)

    async def slash(self, name: str, who: Any = None, **options: Any) -> Any:
        result = await (who or self.ann).slash(self.channel, name, **options)
        assert result.response is not None, [each.content for each in result.followups]
        return result.response


@pytest.fixture
async def room(simcord_env: Any, sim: SimDouble) -> Room:
    return Room(simcord_env, sim)


def parts(message: Any) -> list[dict[str, Any]]:
    return [part for row in message.components for part in row["components"]]


def labels(message: Any) -> list[str]:
    return [part["label"] for part in parts(message) if "label" in part and not part.get("disabled")]


def links(message: Any) -> list[str]:
    return [part["url"] for part in parts(message) if "url" in part]


def select(message: Any, start: str) -> dict[str, Any]:
    return next(part for part in parts(message) if part.get("custom_id", "").startswith(start))


def said(message: Any) -> str:
    (embed,) = message.embeds
    return "\n".join(filter(None, [embed.title, embed.description, embed.footer.text]))


# Playlists


async def test_a_playlist_plays_flows_and_says_why(room: Room) -> None:
    room.sim.notice = "There are only 4 clips for it here."
    message = await room.slash("playlist", clip="Song 3")
    shown = said(message)
    assert shown.startswith("Around Artist 3 – Song 3\nLike “X”.\n")
    assert f"**1** · [Artist 3 – Song 3]({WATCH}clip0000003)\n" in shown  # nothing before it to be similar to
    assert f"**10** · [Artist 10 – Song 10]({WATCH}clip0000010) · 0.90\n{room.sim.why}" in shown
    assert "**11**" not in shown
    assert shown.endswith(room.sim.notice)
    (link,) = links(message)
    assert link.startswith(f"{PLAYS}clip0000003,clip0000001,") and link.count(",") == 9
    assert room.sim.asked("playlist") == [(["clip0000003"], 10, room.place, room.community)]
    ((ids, community, place),) = room.sim.seen
    assert (len(ids), community, place) == (10, room.community, room.place)


async def test_a_long_playlist_has_pages_and_several_links(room: Room) -> None:
    room.sim.shelves[room.community] = [clip(n) for n in range(1, 61)]
    message = await room.slash("playlist", clip="Song 3", count=50)
    assert [link.count(",") + 1 for link in links(message)] == [38, 12]
    assert all(len(link) <= 512 for link in links(message))
    assert "▶ Play 1 to 38" in labels(message) and "▶ Play 39 to 50" in labels(message)
    await room.ann.click(message, label="▶")
    shown = said(message)
    assert "**11** ·" in shown and "**20** ·" in shown and "**21** ·" not in shown
    assert "Page 2." in shown
    for _ in range(3):
        await room.ann.click(message, label="▶")
    assert "**50** ·" in said(message)
    assert "▶" not in labels(message)
    await room.ann.click(message, label="◀")
    assert "**40** ·" in said(message)
    assert len(room.sim.asked("playlist")) == 1  # the pages are of the list that was made


async def test_another_playlist_is_another_one(room: Room) -> None:
    message = await room.slash("playlist", clip="Song 3", count=5)
    await room.ann.click(message, label=text.ANOTHER)
    assert room.sim.asked("playlist") == 2 * [(["clip0000003"], 5, room.place, room.community)]
    assert len(room.sim.listings) == 2


async def test_a_page_leaves_out_what_was_forgotten_meanwhile(room: Room) -> None:
    message = await room.slash("playlist", clip="Song 3", count=20)
    del room.sim.shelves[room.community][11]
    await room.ann.click(message, label="▶")
    assert "**11** ·" in said(message) and "**12** ·" not in said(message) and "**13** ·" in said(message)


async def test_a_list_that_is_gone_says_so(room: Room) -> None:
    message = await room.slash("playlist", clip="Song 3", count=20)
    room.sim.listings.clear()
    result = await room.ann.click(message, label="▶")
    assert text.LISTING_GONE in result.followups[0].content
    assert result.followups[0].ephemeral


# Paths, mixes


async def test_a_path_gets_shorter_longer_and_turns_round(room: Room) -> None:
    message = await room.slash("path", start="Song 2", end="clip0000009")
    assert said(message).startswith("From Artist 2 – Song 2 to Artist 9 – Song 9")
    await room.ann.click(message, label=text.LONGER)
    await room.ann.click(message, label=text.SHORTER)
    await room.ann.click(message, label=text.TURN_ROUND)
    assert said(message).startswith("From Artist 9 – Song 9 to Artist 2 – Song 2")
    one, two = "clip0000002", "clip0000009"
    assert [what[:3] for what in room.sim.asked("path")] == [
        (one, two, 8),
        (one, two, 11),
        (one, two, 8),
        (two, one, 8),
    ]
    await room.ann.click(message, label=text.SHORTER)
    assert text.SHORTER not in labels(message)


async def test_a_path_to_itself_is_refused_with_a_sentence(room: Room) -> None:
    result = await room.ann.slash(room.channel, "path", start="Song 2", end="Song 2")
    assert "(`setting`)" in result.followups[0].content


async def test_a_mix_of_several_named_by_titles_ids_and_links(room: Room) -> None:
    shelf = room.sim.shelves[room.community]
    shelf[4] = replace(shelf[4], title="Hello, Goodbye, Again")
    add = f"Song 2, hello, goodbye, again; clip0000007\n<{WATCH}clip0000008>"
    message = await room.slash("mix", add=add, less="Song 9,Song 10")
    added = ["clip0000002", "clip0000005", "clip0000007", "clip0000008"]
    assert room.sim.asked("mix") == [(added, ["clip0000009", "clip0000010"], 10, room.community)]
    assert said(message).startswith("“Song 2” + “Hello, Goodbye, Again” + “Song 7” + “…” − “Song 9” − ")
    await room.ann.click(message, label=text.LONGER)
    assert room.sim.asked("mix")[1][2] == 15


async def test_a_mix_without_a_title_that_there_is(room: Room) -> None:
    result = await room.ann.slash(room.channel, "mix", add="Song 2, no such song")
    assert "(`unknown-clip`)" in result.followups[0].content
    result = await room.ann.slash(room.channel, "mix", add=",".join(["Song 2"] * 30))
    assert text.too_many(25) in result.followups[0].content


async def test_the_last_of_several_is_completed_and_the_others_stay(room: Room) -> None:
    for before in ("Song 2, ", "Artist 2 – Song 2,"):
        offered = await room.ann.autocomplete(room.channel, "mix", "add", f"{before}song 1")
        assert offered[0] == {
            "name": f"{before.rstrip(', ')}, Artist 1 – Song 1",
            "value": f"{before.rstrip(', ')}, clip0000001",
        }
    assert (await room.ann.autocomplete(room.channel, "mix", "less", "song 3"))[0]["value"] == "clip0000003"
    long = ", ".join(f"Song {n}" for n in range(1, 12))
    offered = await room.ann.autocomplete(room.channel, "mix", "add", f"{long}, song")
    assert all(len(each["name"]) <= 100 and len(each["value"]) <= 100 for each in offered)
    value = (await room.ann.autocomplete(room.channel, "mix", "add", "Song 2, song 3"))[0]["value"]
    await room.slash("mix", add=value)
    assert room.sim.asked("mix")[-1][0] == ["clip0000002", "clip0000003"]


@pytest.mark.parametrize(("name", "option"), [("playlist", "clip"), ("path", "start"), ("path", "end")])
async def test_every_clip_is_completed(room: Room, name: str, option: str) -> None:
    offered = await room.ann.autocomplete(room.channel, name, option, "song 12")
    assert offered == [{"name": "Artist 12 – Song 12", "value": "clip0000012"}]


# Finding, surprises


async def test_finding_words_and_its_pages(room: Room) -> None:
    message = await room.slash("find", words="song")
    assert said(message).startswith("“song”\n**1** · ")
    assert "\ntitle" in said(message)
    assert room.sim.asked("search") == [("song", 50, room.community)]
    assert room.sim.seen == [([f"clip{n:07}" for n in range(1, 11)], room.community, room.place)]
    await room.ann.click(message, label="▶")
    assert "**11** ·" in said(message)
    message = await room.slash("find", words="nothing like it")
    assert text.NOTHING_FOUND in said(message)
    assert not parts(message)
    offered = await room.ann.autocomplete(room.channel, "find", "words", "song 12")
    assert offered == [{"name": "Artist 12 – Song 12", "value": "Artist 12 – Song 12"}]


async def test_a_surprise_another_one_and_what_is_like_it(room: Room) -> None:
    message = await room.slash("surprise")
    assert said(message).startswith("Artist 2 – Song 2\nNever recommended here so far.")
    assert f"**{text.NEAR_IT}**" in said(message)
    assert links(message) == [f"{WATCH}clip0000002"]
    await room.ann.click(message, label=text.ANOTHER)
    assert said(message).startswith("Artist 3 – Song 3")
    assert room.sim.asked("surprise") == 2 * [(room.place, room.community)]
    assert [ids for ids, _, _ in room.sim.seen] == [["clip0000002"], ["clip0000003"]]
    like = await room.ann.click(message, label=text.LIKE_IT)
    assert like.response.ephemeral  # the surprise stays
    assert said(like.response).startswith("Artist 3 – Song 3\n**bright dance**")
    assert said(message).startswith("Artist 3 – Song 3\nNever")


@pytest.mark.parametrize("name", ["surprise", "map", "cluster"])
async def test_where_there_is_nothing_yet(room: Room, name: str) -> None:
    room.sim.shelves.clear()
    result = await room.ann.slash(room.channel, name)
    assert "(`empty`)" in result.followups[0].content


# Under an answer


async def test_the_ways_to_compare_are_those_that_the_clip_has(room: Room) -> None:
    message = await room.slash("similar", clip="Song 3")
    ways = [part for part in parts(message) if part.get("label") in text.BY.values()]
    assert [part["label"] for part in ways] == ["everything", "sound", "look"]  # it has no words
    assert [part["disabled"] for part in ways] == [True, False, False]
    assert ways[0]["style"] == discord.ButtonStyle.primary.value
    await room.ann.click(message, label="sound")
    assert text.compared_by("audio") in said(message)
    assert "sound" not in labels(message)
    assert room.sim.asked("query")[-1][2] == "audio"
    (link,) = links(message)
    assert link == f"{PLAYS}clip0000003," + ",".join(f"clip{n:07}" for n in (1, 2, 4, 5, 6))


async def test_more_and_pages_of_an_answer(room: Room) -> None:
    message = await room.slash("similar", clip="Song 3", count=5)
    await room.ann.click(message, label="▶")
    assert "**6** ·" in said(message) and "**10** ·" in said(message) and "**11** ·" not in said(message)
    assert "Page 2." in said(message)
    await room.ann.click(message, label=text.MORE)
    assert "**1** ·" in said(message) and "**10** ·" in said(message)
    assert text.MORE not in labels(message)
    for _ in range(2):
        await room.ann.click(message, label="▶")
    assert "**29** ·" in said(message)
    assert "▶" not in labels(message)
    del room.sim.shelves[room.community][12:]  # most are forgotten
    await room.ann.click(message, label="◀")
    assert "**11** ·" in said(message)


async def test_a_thumb_is_put_changed_and_taken_back(room: Room) -> None:
    message = await room.slash("similar", clip="Song 3", count=2, by="audio")
    thumbs = select(message, "similar:v:")
    assert thumbs["placeholder"] == text.THUMBS
    assert [option["value"] for option in thumbs["options"]] == [
        f"{way}:clip{n:07}" for n in (1, 2) for way in ("up", "down")
    ]
    await room.ann.select(message, ["up:clip0000002"], custom_id=thumbs["custom_id"])
    thumbs = select(message, "similar:v:")
    assert thumbs["placeholder"] == "Your thumbs: 👍 2"
    assert [option.get("description") for option in thumbs["options"]] == [None, None, text.THUMB_BACK, None]
    (vote,) = room.sim.thumbs.values()
    assert (vote.up, vote.voter, vote.rank, vote.by, vote.method) == (True, str(room.ann.id), 2, "audio", "raw")
    await room.ann.select(message, ["down:clip0000002"], custom_id=thumbs["custom_id"])
    assert select(message, "similar:v:")["placeholder"] == "Your thumbs: 👎 2"
    await room.ann.select(message, ["down:clip0000002"], custom_id=thumbs["custom_id"])
    assert select(message, "similar:v:")["placeholder"] == text.THUMBS
    assert not room.sim.thumbs
    assert len(room.sim.seen) == 1  # shown once


async def test_others_get_a_private_copy_with_thumbs_of_their_own(room: Room) -> None:
    message = await room.slash("similar", clip="Song 3", count=2)
    before = said(message), message.components
    thumbs = select(message, "similar:v:")["custom_id"]
    copy = (await room.ben.select(message, ["up:clip0000001"], custom_id=thumbs)).response
    assert copy.ephemeral and copy.id != message.id
    assert (said(message), message.components) == before
    assert [vote.voter for vote in room.sim.thumbs.values()] == [str(room.ben.id)]
    assert select(copy, "similar:v:")["placeholder"] == "Your thumbs: 👍 1"
    await room.ben.click(copy, label="▶")  # and its buttons are his
    assert "Page 2." in said(copy)
    assert (said(message), message.components) == before


async def test_walking_on_leads_to_a_private_answer_and_on_from_there_in_place(room: Room) -> None:
    message = await room.slash("playlist", clip="Song 3")
    walked = (await room.ann.select(message, ["clip0000007"], custom_id="walk")).response
    assert walked.ephemeral
    assert said(walked).startswith("Artist 7 – Song 7")
    again = await room.ann.select(walked, ["clip0000001"], custom_id="walk")
    assert again.response.id == walked.id
    assert said(walked).startswith("Artist 1 – Song 1")


async def test_a_press_on_a_forgotten_clip_says_what_to_do(room: Room) -> None:
    message = await room.slash("similar", clip="Song 3")
    del room.sim.shelves[room.community][2]
    result = await room.ann.click(message, label="sound")
    assert "(`unknown-clip`)" in result.followups[0].content
    assert result.followups[0].ephemeral
    room.sim.trouble = IndexUnavailable()
    assert "(`index`)" in (await room.ann.click(message, label="sound")).followups[0].content
    room.sim.trouble = RuntimeError("secret")
    assert "unexpected-" in (await room.ann.click(message, label="sound")).followups[0].content


async def test_buttons_work_after_a_restart_and_unknown_ones_say_what_to_do(room: Room) -> None:
    message = await room.slash("similar", clip="Song 3")
    await room.env.restart_bot(Bot(room.sim, settings.load()))  # type: ignore[arg-type]
    await room.ann.click(message, label="look")
    assert text.compared_by("video") in said(message)
    stale = message.components
    stale[0]["components"][0] |= {"custom_id": "bygone:1", "disabled": False}
    room.env.backend.get_message(room.channel.id, message.id).components = stale
    result = await room.ann.click(message, custom_id="bygone:1")
    assert result.response.content == text.STALE_BUTTON
    assert result.ephemeral


async def test_a_pasted_link_has_the_buttons_of_who_posted_it(room: Room) -> None:
    await room.ann.send(room.channel, f"{WATCH}newclip0001")
    (reply,) = [message for message in room.channel.history() if message.author.bot]
    answer = room.env.backend.get_message(room.channel.id, reply.id)
    assert {"everything", "sound", "look"} <= {part.get("label") for part in parts(answer)}
    result = await room.ann.click(reply, label="sound")
    assert result.response.id == reply.id
    assert (await room.ben.click(reply, label="sound" if "sound" in labels(answer) else "look")).response.ephemeral
    await room.ann.send(room.channel, f"{WATCH}newclip0002 {WATCH}newclip0003")
    reply = [message for message in room.channel.history() if message.author.bot][-1]
    walk = select(room.env.backend.get_message(room.channel.id, reply.id), "walk")
    assert [option["value"] for option in walk["options"]] == ["newclip0002", "newclip0003"]
    seen = [ids for ids, _, place in room.sim.seen if place == room.place]
    assert len(seen) == 5


async def test_an_early_answer_is_shown_while_the_picture_is_watched(room: Room) -> None:
    room.sim.glimpses, room.sim.pause = True, 100
    await room.ann.send(room.channel, f"{WATCH}newclip0001")
    await room.env.advance_time(3.2 * room.sim.pause + 30)
    (reply,) = [message for message in room.channel.history() if message.author.bot]
    assert text.pending(("video",)) in reply.embeds[0].description
    assert not reply.components
    await room.env.advance_time(3 * room.sim.pause)
    (reply,) = [message for message in room.channel.history() if message.author.bot]
    assert text.pending(("video",)) not in reply.embeds[0].description
    assert reply.components


# Groups and the map


async def test_a_clips_group_with_its_neighbours_and_its_place_on_the_map(room: Room) -> None:
    message = await room.slash("cluster", clip="Song 3")
    (embed,) = message.embeds
    assert embed.image.url.startswith("attachment://") or "map.png" in embed.image.url
    assert [each.filename for each in message.attachments] == ["map.png"]
    assert room.sim.drawn == [(room.community, {1}, "clip0000003")]
    whole = await room.ann.click(message, label=text.WHOLE_CLUSTER)
    assert whole.response.id == message.id
    assert said(message).startswith("group 1\n**15 clips**")
    assert room.sim.drawn[-1] == (room.community, {1}, None)
    await room.ann.click(message, label=text.ALL_CLUSTERS)
    assert said(message).startswith(text.CLUSTERS_TITLE)
    assert not message.attachments
    await room.slash("cluster", clip="Song 3")
    assert len(room.sim.drawn) == 2  # each picture once for each state of the library
    room.sim.shelves[room.community].append(clip(99))
    await room.slash("cluster", clip="Song 3")
    assert len(room.sim.drawn) == 3


async def test_walking_into_a_group_and_back(room: Room) -> None:
    message = await room.slash("cluster")
    pick = select(message, "cluster:i:")
    assert [(option["label"], option["description"]) for option in pick["options"]] == [
        ("group 1", "15 clips"),
        ("group 2", "15 clips"),
    ]
    await room.ann.select(message, ["2"], custom_id=pick["custom_id"])
    assert said(message).startswith("group 2\n**15 clips**\n\n**1** · [Artist 16 – Song 16]")
    assert [each.filename for each in message.attachments] == ["map.png"]
    await room.ann.click(message, label="▶")
    assert "**11** · [Artist 26 – Song 26]" in said(message)
    await room.ann.click(message, label=text.ALL_CLUSTERS)
    del room.sim.shelves[room.community][1:]
    await room.ann.select(message, ["2"], custom_id=select(message, "cluster:i:")["custom_id"])
    assert text.CLUSTERS_CHANGED in said(message)


async def test_many_groups_come_in_pages(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipsim.model import Cluster, Clustering

    many = tuple(Cluster(n, f"group {n}", 1, (clip(n),)) for n in range(1, 31))

    async def clustering(**_: Any) -> Clustering:
        return Clustering("k-means (30)", many, {})

    monkeypatch.setattr(room.sim, "clustering", clustering)
    message = await room.slash("cluster")
    assert len(select(message, "cluster:i:")["options"]) == 25
    await room.ann.click(message, label="▶")
    assert len(select(message, "cluster:i:")["options"]) == 5


async def test_where_files_may_not_be_sent_there_is_no_picture(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.pictures.LARGEST", 3)
    message = await room.slash("cluster", clip="Song 3")
    assert not message.attachments
    assert message.embeds[0].image.url is None


async def test_a_map_that_cannot_be_drawn_is_left_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> int:
        raise IndexUnavailable

    monkeypatch.setattr(room.sim, "map", broken)
    message = await room.slash("map")
    assert said(message).startswith(text.MAP_TITLE)
    assert not message.attachments


async def test_the_map_and_no_link_where_the_page_has_no_address(room: Room) -> None:
    message = await room.slash("map")
    assert text.map_told(30, "") in said(message)
    assert room.sim.drawn == [(room.community, None, None)]
    assert not links(message)
    await room.ann.select(message, ["1"], custom_id=select(message, "cluster:i:")["custom_id"])
    assert said(message).startswith("group 1")


async def test_the_link_to_the_page(room: Room) -> None:
    given = settings.load(web_url="https://clips.example/here")
    await room.env.restart_bot(Bot(room.sim, given))  # type: ignore[arg-type]
    message = await room.slash("map")
    (link,) = links(message)
    assert link.startswith("https://clips.example/here/look/")
    assert "ends <t:" in said(message)


# The library


async def failed(room: Room, number: int, who: Any, code: str = "network") -> Job:
    job = Job(number, f"{WATCH}failed{number:05}", room.community, str(who.id), {}, "failed", code)
    room.sim.jobs[number] = job
    return job


async def test_the_library_tells_what_there_is(room: Room) -> None:
    message = await room.slash("library")
    shown = said(message)
    assert "Clips here: **30**" in shown
    assert f"**{text.MOST_ALIKE}**\n· [Artist 1 – Song 1]" in shown
    assert f"**{text.DUPLICATES}**\n· [Artist 2 – Song 2]" in shown
    assert text.MOST_ADDED not in shown  # nobody opted in
    assert text.JOBS not in shown
    assert [part["custom_id"] for part in parts(message)] == ["walk"]
    assert not room.sim.asked("contributors")


async def test_who_added_most_is_named_where_the_guild_wants_it(room: Room) -> None:
    now = datetime.now(UTC)
    for number, who in ((1, room.ann.id), (2, room.ann.id), (3, "web"), (4, room.ben.id)):
        room.sim.posts[room.community, f"clip{number:07}"] = Post(str(who), now)
    room.sim.chosen[room.community] = Guild(most=True).stored()
    await room.env.restart_bot(Bot(room.sim, settings.load()))  # type: ignore[arg-type]
    shown = said(await room.slash("library"))
    assert f"· <@{room.ann.id}>: 2 clips\n· <@{room.ben.id}>: 1 clip" in shown
    assert "web" not in shown


async def test_a_failed_link_is_tried_again_or_dropped_by_who_posted_it(room: Room) -> None:
    await failed(room, 1, room.ann)
    await failed(room, 2, room.ben, "too-long")
    message = await room.slash("library")
    assert "failed: **2**" in said(message)
    assert f"· [youtube.com/watch?v=failed00001]({WATCH}failed00001) (`network`)" in said(message)
    pick = select(message, "library:s:")["custom_id"]
    card = (await room.ann.select(message, ["1"], custom_id=pick)).response
    assert card.ephemeral
    done = await room.ann.click(card, label=text.RETRY)
    assert done.response.content == text.retried(1)
    assert room.sim.asked("retry_job") == [(1, room.community)]
    card = (await room.ann.select(message, ["2"], custom_id=pick)).response
    result = await room.ann.click(card, label=text.DROP)
    assert text.NOT_YOUR_JOB in result.followups[0].content
    assert 2 in room.sim.jobs
    card = (await room.ben.select(message, ["2"], custom_id=pick)).response
    assert (await room.ben.click(card, label=text.DROP)).response.content == text.dropped(1)
    assert 2 not in room.sim.jobs
    result = await room.boss.select(message, ["2"], custom_id=pick)
    assert text.JOB_GONE in result.followups[0].content


async def test_a_manager_deals_with_all_that_failed_and_others_with_their_own(room: Room) -> None:
    for number in range(1, 4):
        await failed(room, number, room.ben if number == 3 else room.ann)
    message = await room.slash("library")
    result = await room.ann.click(message, label=text.DROP_ALL)
    assert result.followups[0].content == text.dropped(2)
    assert set(room.sim.jobs) == {3}
    assert "failed: **1**" in said(message)  # the summary is brought up to date
    copy = (await room.boss.click(message, label=text.RETRY_ALL)).response
    assert copy.ephemeral
    assert copy.content == text.retried(1)
    assert room.sim.asked("retry_job") == [(3, room.community)]


async def test_what_failed_in_a_direct_message_is_ones_own(simcord_env: Any, sim: SimDouble) -> None:
    ann = simcord_env.create_user("ann")
    sim.shelves[f"dm-{ann.id}"] = [clip(n) for n in range(1, 5)]
    sim.jobs[1] = Job(1, f"{WATCH}failed00001", f"dm-{ann.id}", None, {}, "failed", "network")
    message = (await ann.slash("library")).response
    await ann.click(message, label=text.DROP_ALL)
    assert not sim.jobs
    assert said((await ann.slash("playlist", clip="Song 2")).response).startswith("Around Artist 2")
    assert (await ann.slash("map")).response.attachments
