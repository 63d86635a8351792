"""Pictures of the bot's replies, drawn from real answers: `python -m tools.pictures FOLDER`.

A small made-up library (`clipsim.demo`) is added with the real encoders, the bot's own code makes each reply's embed
and parts, and a browser draws them as a chat shows them. It needs the weights (`clipsim models pull`) and Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import html
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from discord import ui

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script
    sys.path.insert(0, str(ROOT))

from bot import guilds, listing, pages, render  # noqa: E402 - after the path
from bot.commands import settings as settings_command  # noqa: E402
from bot.text import ENGLISH, GERMAN, Texts  # noqa: E402
from bot.views import clusters, library, lists, similar, surprise  # noqa: E402
from clipsim import ClipSim, demo, settings  # noqa: E402
from clipsim.errors import RateLimited  # noqa: E402
from clipsim.model import HOME, Answer, Clip, Features, Vote  # noqa: E402
from tools.chat import Reply, draw  # noqa: E402

GUILD, ANN = "made-up", 80351110224678912
# Real answers of a made-up library


async def library_of(folder: Path, progress: Callable[[str], None]) -> None:
    """Add the demonstration's clips to a library in the folder, and give each the address that it would have."""
    import csv

    clips = folder / "clips"
    for made in demo.make(clips):
        progress(f"made {made.name}")
    async with ClipSim.open(settings=settings.load(data=folder / "library")) as sim:
        with (clips / "manifest.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            given = {name: row[name] for name in ("title", "artist", "genre", "lyrics")}
            clip = await sim.add(row["source"], **given)
            progress(f"added {clip.title}")
        await sim.settle()


def told(clip: Clip) -> Clip:
    """A clip as if it had come from a link: with an id, an address and a thumbnail."""
    video = re.sub(r"[^A-Za-z0-9]", "", clip.id)[-11:]
    return replace(
        clip,
        id=video,
        url=f"https://www.youtube.com/watch?v={video}",
        thumbnail="https://i.ytimg.com/vi/x/hqdefault.jpg",
    )


async def replies(sim: ClipSim, texts: Texts, names: tuple[str, ...]) -> list[Reply]:
    """Every reply, from real answers."""
    from bot.pictures import Pictures

    seed = await sim.find(names[0])
    drawn = Pictures(sim)

    def used(command: str) -> str:
        return f"↱ <b>@ann</b> used <b>{html.escape(command)}</b>"

    found = await sim.query(seed, 5)
    found = replace(
        found,
        query=told(found.query),
        results=tuple(replace(match, clip=told(match.clip)) for match in found.results),
    )
    shown = _online(similar.of(found, ANN, 5))
    liked = shown.answer.results[0].clip
    votes = {liked.id: Vote(found.query.id, liked.id, True, str(ANN))}
    made = [
        Reply(
            f"similar-{texts.LANGUAGE}",
            used(f"/similar clip: {seed.title}"),
            similar.embed(texts, shown),
            similar.view(texts, shown, votes),
        )
    ]
    early = await asyncio.to_thread(_heard, sim, seed)
    early = replace(
        early,
        query=told(early.query),
        results=tuple(replace(match, clip=told(match.clip)) for match in early.results),
    )
    made.append(Reply("early", "↱ <b>@ann</b> https://youtu.be/…", render.answer(texts, early)))
    group = await sim.cluster_of(seed)
    if group is not None:
        group = await clusters._nearest_first(sim, seed, group, HOME)
        picture = await drawn.map(HOME, cluster=group.id, clip=seed.id)
        online_group = replace(group, members=tuple(map(told, group.members)))
        embed = render.cluster(texts, told(seed), online_group)
        made.append(
            Reply(
                "cluster",
                used(f"/cluster clip: {seed.title}"),
                embed,
                clusters.of_clip(texts, told(seed), online_group, ANN),
                picture,
            )
        )
    groups = await sim.clustering()
    online = replace(
        groups, clusters=tuple(replace(each, members=tuple(map(told, each.members))) for each in groups.clusters)
    )
    made.append(
        Reply("clusters", used("/cluster"), render.clusters(texts, online), clusters.choose(texts, groups, ANN))
    )
    where: Any = {"place": None, "community": HOME}
    first, other, third = [await sim.find(name) for name in names]
    for name, command, lst in (
        ("playlist", f"/playlist clip: {seed.title} count: 8", await lists.playlist(sim, texts, [seed], 8, **where)),
        (
            "path",
            f"/path start: {first.title} end: {other.title}",
            await lists.path(sim, texts, [first, other], 6, **where),
        ),
        (
            "mix",
            f"/mix add: {first.title}, {third.title} less: {other.title}",
            await lists.mix(sim, texts, [first, third], [other], 6, **where),
        ),
        ("find", "/find words: river and snow", await lists.find(sim, "river and snow", **where)),
    ):
        made.append(await _listed(sim, texts, name, used(command), replace(lst, entries=lst.entries[:8])))
    drawn_clip = await sim.surprise(seed=3)
    online_clip = replace(drawn_clip, clip=told(drawn_clip.clip), like=tuple(map(told, drawn_clip.like)))
    made.append(
        Reply("surprise", used("/surprise"), pages.surprise(texts, online_clip), surprise.view(texts, online_clip, ANN))
    )
    picture = await drawn.map(HOME)
    made.append(
        Reply(
            "map-reply",
            used("/map"),
            pages.map_page(texts, await sim.count(), "<t:1:R>", "map.png"),
            clusters.choose(
                texts, groups, ANN, links=[ui.Button(label=texts.MAP_LINK, url="https://clips.example/look/x")]
            ),
            picture,
        )
    )
    jobs = [
        _Job(1, "https://www.youtube.com/watch?v=u9Dg-g7t2l4", "encoding"),
        _Job(2, "https://www.youtube.com/watch?v=kXYiU_JCYtU", "failed", RateLimited.code),
        _Job(3, "https://www.youtube.com/watch?v=9bZkp7q19f0", "failed", "age"),
    ]
    alike = await sim.most_alike()
    assert alike is not None
    alike = replace(alike, first=told(alike.first), second=told(alike.second))
    embed = pages.library(
        texts,
        texts.facts(await sim.count(), await sim.status()),
        list(map(told, await sim.clips(limit=5))),
        alike=alike,
        added=[(f"<@{ANN}>", 17)],
        jobs=jobs,
    )
    made.append(Reply("library", used("/library"), embed, library.view(texts, jobs, await sim.clips(limit=5), ANN)))
    made.append(Reply("help", used("/help"), render.help_page(texts, reads_messages=True), None, None, True))
    chosen = guilds.Guild(channels=(1,), per_user=20)
    made.append(
        Reply(
            "settings",
            used("/settings"),
            settings_command.page(texts, chosen),
            settings_command.panel(texts, chosen),
            None,
            True,
        )
    )
    return made


@dataclass(frozen=True)
class _Job:
    id: int
    source: str
    state: str
    error_code: str | None = None
    retry_at: Any = None


def _heard(sim: ClipSim, clip: Clip) -> Answer:
    """What is answered while the clip is still being watched."""
    known = sim._library.features([clip.id])[clip.id]
    unseen = {part.encoder for part in sim.preset.of("video")}
    heard = Features(
        {name: vector for name, vector in known.vectors.items() if name not in unseen},
        tempo=known.tempo,
        tags=known.tags,
        fingerprint=known.fingerprint,
    )
    return replace(sim._engine.preview(clip, heard, 5, "all", HOME), pending=("video",))


def _online(shown: similar.Page) -> similar.Page:
    """As if there were more of it."""
    return replace(shown, further=True)


async def _listed(sim: ClipSim, texts: Texts, name: str, asked: str, shown: listing.Listing) -> Reply:
    known = {clip_id: told(clip) for clip_id, clip in (await sim.known(shown.ids)).items()}
    online = replace(shown, entries=tuple(replace(each, id=str(known[each.id].url)[-11:]) for each in shown.entries))
    view = lists._view(texts, online, list(known.values()), ANN, "key", 0)
    return Reply(name, asked, pages.listing(texts, shown, 0, known), view)


def thumbnail(folder: Path) -> str:
    """A frame of a made-up clip, as a data address."""
    import io

    import av

    with av.open(str(sorted((folder / "clips").glob("*.mp4"))[0])) as container:
        frame = next(container.decode(video=0))
    raw = io.BytesIO()
    frame.to_image().save(raw, "PNG")
    return f"data:image/png;base64,{base64.b64encode(raw.getvalue()).decode()}"


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--work", type=Path, help="keep the made-up library here, and use it again")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        asyncio.run(_main(given.folder, work))


async def _main(folder: Path, work: Path) -> None:
    if not (work / "library" / "library.sqlite").exists():
        await library_of(work, lambda said: print(said, file=sys.stderr))
    async with ClipSim.open(settings=settings.load(data=work / "library", min_train=8)) as sim:
        names = ("River Road", "Strobe", "Rain on Glass")
        shown = await replies(sim, ENGLISH, names)
        shown += (await replies(sim, GERMAN, names))[:1]
    for file in draw(shown, folder, thumbnail(work)):
        print(file)


if __name__ == "__main__":
    main()
