"""The commands about what to play: playlist, path, mix, find, surprise. Each prints a link that plays what it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from clipsim.cli.shared import DataOption, JsonOption, everywhere, library, run

if TYPE_CHECKING:
    from clipsim.model import JSON, Clip, Playlist, Search, Surprise

ROUND = 6  # decimals of a number in JSON
LONGEST = 200  # clips
PATIENCE = 300.0  # seconds to wait for the text encoder, which this process has to load

Count = Annotated[int, typer.Option("-k", min=1, max=LONGEST, help="How many.")]


def playlist(
    clips: Annotated[list[str], typer.Argument(metavar="CLIP…", help="Links, YouTube ids, paths or titles.")],
    k: Count = 10,
    place: Annotated[
        str | None, typer.Option(metavar="NAME", help="Leave out what the last playlists of this name had.")
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Clips that go with one or several, in an order in which each is like the one before."""

    async def work() -> int:
        async with library(data) as sim:
            found = await sim.playlist(clips, k, place=place)
            await sim.shown(found)
        _tell_playlist(found, json)
        return 0

    run(work())


def path(
    start: Annotated[str, typer.Argument(metavar="START", help="The clip to begin with.")],
    end: Annotated[str, typer.Argument(metavar="END", help="The clip to arrive at.")],
    k: Annotated[int, typer.Option("-k", min=2, max=LONGEST, help="How many, both ends included.")] = 8,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """From one clip to another in small steps."""

    async def work() -> int:
        async with library(data) as sim:
            found = await sim.path(start, end, k)
            await sim.shown(found)
        _tell_playlist(found, json)
        return 0

    run(work())


def mix(
    add: Annotated[list[str], typer.Option("--add", metavar="CLIP", help="A clip to be like; again for each.")],
    less: Annotated[
        list[str] | None, typer.Option("--less", metavar="CLIP", help="A clip to be unlike; again for each.")
    ] = None,
    k: Count = 10,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Clips that are like those added and unlike those subtracted."""

    async def work() -> int:
        async with library(data) as sim:
            found = await sim.mix(add, less or (), k)
            await sim.shown(found)
        _tell_playlist(found, json)
        return 0

    run(work())


def find(
    words: Annotated[list[str], typer.Argument(metavar="WORDS…", help="A title, an artist, a mood, a line of a song.")],
    k: Count = 10,
    no_meaning: Annotated[
        bool, typer.Option("--no-meaning", help="Do not ask the text encoder, which takes seconds to load.")
    ] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Search titles, artists, tags, actions and lyrics, and by what lyrics mean."""

    async def work() -> int:
        async with library(data) as sim:
            found = await sim.search(" ".join(words), k, meaning=not no_meaning, patience=PATIENCE)
            await sim.shown(found)
        _tell_search(found, json)
        return 0

    run(work())


def surprise(
    seed: Annotated[int | None, typer.Option(min=0, help="Draw the same clip again while nothing has changed.")] = None,
    place: Annotated[
        str | None, typer.Option(metavar="NAME", help="Leave out what was shown of late under this name.")
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """A good clip that is rarely recommended, and why."""

    async def work() -> int:
        async with library(data) as sim:
            found = await sim.surprise(place=place, seed=seed)
            await sim.shown(found)
        _tell_surprise(found, json)
        return 0

    run(work())


# JSON


def _named(clip: Clip) -> JSON:
    return {"id": clip.id, "title": clip.title, "artist": clip.artist, "url": clip.url or clip.path}


def playlist_document(found: Playlist) -> JSON:
    """`--json` of playlist, path and mix."""
    return {
        "kind": found.kind,
        "why": found.why,
        "notice": found.notice,
        "url": found.url,
        "urls": list(found.urls),
        "results": [
            {
                "rank": rank,
                **_named(step.clip),
                "similarity": None if step.similarity is None else round(step.similarity, ROUND),
                "why": step.why,
            }
            for rank, step in enumerate(found.steps, 1)
        ],
    }


def search_document(found: Search) -> JSON:
    """`clipsim find --json`."""
    return {
        "words": found.words,
        "notice": found.notice,
        "url": found.url,
        "urls": list(found.urls),
        "results": [
            {"rank": hit.rank, **_named(hit.clip), "score": round(hit.score, ROUND), "why": hit.why}
            for hit in found.hits
        ],
    }


def surprise_document(found: Surprise) -> JSON:
    """`clipsim surprise --json`."""
    from clipsim.model import watch_links

    return {
        **_named(found.clip),
        "why": found.why,
        "times": found.times,
        "like": [{"id": clip.id, "title": clip.title} for clip in found.like],
        "watch": next(iter(watch_links([found.clip])), None),
    }


# For people


def _tell_playlist(found: Playlist, json: bool) -> None:
    from clipsim import show

    if json or everywhere.json:
        show.document(playlist_document(found))
        return
    show.line("", found.why, style="bold")
    for rank, step in enumerate(found.steps, 1):
        similarity = "      " if step.similarity is None else f"{step.similarity:6.3f}"
        show.line(f"{rank:3}  {similarity}  ", show.named(step.clip.title, step.clip.artist))
        show.line("             ", step.why, style="dim")
    if not found.steps:
        show.out.print("Nothing goes with that yet: add more clips.")
    _tell_links(found.urls, bool(found.steps))
    _tell_notice(found.notice)


def _tell_search(found: Search, json: bool) -> None:
    from clipsim import show

    if json or everywhere.json:
        show.document(search_document(found))
        return
    for hit in found.hits:
        show.line(f"{hit.rank:3}  ", show.named(hit.clip.title, hit.clip.artist))
        show.line("     ", hit.why, style="dim")
    if not found.hits:
        show.out.print("Nothing was found.")
    _tell_links(found.urls, bool(found.hits))
    _tell_notice(found.notice)


def _tell_surprise(found: Surprise, json: bool) -> None:
    from clipsim import show
    from clipsim.model import watch_links

    if json or everywhere.json:
        show.document(surprise_document(found))
        return
    show.line("", show.named(found.clip.title, found.clip.artist), style="bold")
    show.line("", found.why)
    _tell_links(watch_links([found.clip]), True)


def _tell_links(urls: tuple[str, ...], any_clip: bool) -> None:
    from clipsim import show

    for url in urls:
        show.line("", url)
    if any_clip and not urls:
        show.err.print("None of these is on YouTube: there is no link that plays them.", soft_wrap=True)


def _tell_notice(notice: str | None) -> None:
    from clipsim import show

    if notice:
        show.err.print(show.plain(notice), soft_wrap=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "playlist": playlist,
    "path": path,
    "mix": mix,
    "find": find,
    "surprise": surprise,
}
