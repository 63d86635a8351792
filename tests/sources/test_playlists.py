"""Playlists: which links name one, and what real yt-dlp lists of it in its own process, from a local YouTube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipsim import errors
from clipsim.settings import Settings
from clipsim.sources import Listing, find_links, find_playlists, listing
from tests.doubles.youtube import FakeYouTube

ID = "PLclipsim0123456789"
ALBUM = "OLAK5uy_kxyzclipsim0123456789abcdefghijk"


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (f"https://www.youtube.com/playlist?list={ID}", [ID]),
        (
            f"look: <https://music.youtube.com/playlist?list={ALBUM}&si=x>, and youtube.com/playlist?list={ID}.",
            [ALBUM, ID],
        ),
        (f"https://m.youtube.com/playlist?feature=share&list={ID} https://youtube.com/playlist?list={ID}", [ID]),
        (f"https://www.youtube.com/watch?v=dQw4w9WgXcQ&list={ID}", []),  # a video in a playlist is the video
        ("https://www.youtube.com/playlist?list=RDdQw4w9WgXcQ", []),  # made up for each viewer
        ("https://www.youtube.com/playlist?list=WL https://www.youtube.com/playlist?list=LL", []),
        (f"https://evil.example/playlist?list={ID}", []),
        (f"https://www.youtube.com.evil.example/playlist?list={ID}", []),
        (f"https://user@www.youtube.com/playlist?list={ID}", []),
        (f"https://www.youtube.com:8443/playlist?list={ID}", []),
        (f"javascript://www.youtube.com/playlist?list={ID}", []),
        ("https://www.youtube.com/playlist?list=PL/../../x", []),
        ("https://www.youtube.com/playlist?list=", []),
        ("https://www.youtube.com/playlist", []),
        ("https://[::1/playlist?list=PL", []),
        ("", []),
    ],
)
def test_which_links_name_a_playlist(message: str, found: list[str]) -> None:
    assert find_playlists(message) == found
    if found:
        assert find_links(message) == []


async def get(folder: Path, playlist: str = ID, most: int = 50, **settings: Any) -> Listing:
    work = folder / "work"
    work.mkdir()
    return await listing(playlist, most, Settings(cache=folder / "cache", **settings), work)


def video(number: int) -> str:
    return f"video{number:06d}"


async def test_a_playlist_is_its_first_clips_in_order_and_nothing_is_fetched(
    youtube: FakeYouTube, tmp_path: Path
) -> None:
    youtube.add_playlist(ID, [video(n) for n in range(12)], title="Songs of rain")
    found = await get(tmp_path, most=5)
    assert [clip.id for clip in found.clips] == [video(n) for n in range(5)]
    assert found.clips[0].url == f"https://www.youtube.com/watch?v={video(0)}"
    assert (found.title, found.total) == ("Songs of rain", 12)
    assert youtube.paths() == [f"/page/{ID}"]


async def test_no_more_of_a_long_one_is_asked_for_than_is_wanted(youtube: FakeYouTube, tmp_path: Path) -> None:
    youtube.add_playlist(ID, [video(n) for n in range(1000)])
    found = await get(tmp_path, most=10_000)
    assert len(found.clips) == 200
    assert found.total == 1000
    assert "/more/300" not in youtube.paths()


async def test_what_cannot_be_seen_and_what_comes_twice_is_left_out(youtube: FakeYouTube, tmp_path: Path) -> None:
    more = {
        video(1): {"title": "[Private video]"},
        video(2): {"title": "[Deleted video]"},
        video(3): {"live_status": "is_live"},
        video(4): {"live_status": "is_upcoming"},
    }
    youtube.add_playlist(ID, [*(video(n) for n in range(6)), video(0), "no-video"], **more)
    assert [clip.id for clip in (await get(tmp_path)).clips] == [video(0), video(5)]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"videos": []}, errors.EmptyPlaylist),
        ({"videos": [video(0)], video(0): {"title": "[Private video]"}}, errors.EmptyPlaylist),
        ({"videos": [], "error": "private"}, errors.Private),
        ({"videos": [], "error": "bot"}, errors.BotCheck),
        ({"videos": [], "error": "unavailable"}, errors.Removed),
    ],
)
async def test_what_goes_wrong_has_a_name(
    youtube: FakeYouTube, tmp_path: Path, given: dict[str, Any], kind: Any
) -> None:
    youtube.add_playlist(ID, **given)
    with pytest.raises(kind):
        await get(tmp_path)


async def test_only_an_id_is_handed_on(youtube: FakeYouTube, tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownLink):
        await get(tmp_path, "PL&v=dQw4w9WgXcQ; rm")
    assert youtube.paths() == []
