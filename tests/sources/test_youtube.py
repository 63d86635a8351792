"""Real yt-dlp, in its own process, against a YouTube on the loopback: what comes back, and what is left behind."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clipsim import errors, media
from clipsim.model import Media
from clipsim.settings import Settings
from clipsim.sources import fetch, parse
from clipsim.sources._process import Standby, environment
from tests.doubles.media import make_clip
from tests.doubles.youtube import FakeYouTube, wait_until

ID = "dQw4w9WgXcQ"
CAPTIONS = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:01.000
♪ Hello my darling ♪

00:00:01.000 --> 00:00:02.000
[Music]

00:00:02.000 --> 00:00:03.000
come and dance with me until the night is over
"""
ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:01.000 align:start position:0%
 
hello<00:00:00.300><c> my</c><00:00:00.600><c> darling</c>

00:00:01.000 --> 00:00:01.010 align:start position:0%
hello my darling
 

00:00:01.010 --> 00:00:02.000 align:start position:0%
hello my darling
come<00:00:01.300><c> and</c><00:00:01.600><c> dance</c><c> until</c><c> the</c><c> night</c><c> is</c><c> over</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
come and dance until the night is over
 

00:00:02.010 --> 00:00:03.000 align:start position:0%
come and dance until the night is over
[Music]
"""  # noqa: W293


async def get(folder: Path, text: str = ID, **settings: Any) -> Media:
    return await fetch(parse(text, files=False), folder, Settings(cache=folder.parent / "cache", **settings))


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


async def test_a_clip_comes_as_two_small_files(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add(
        ID,
        title="Rick Astley - Never Gonna Give You Up (Official Video) [4K]",
        audio=made["audio"],
        video=made["video"],
        captions={"de": CAPTIONS.replace("Hello", "Hallo"), "en": CAPTIONS},
        automatic={"en-orig": ROLLING, "en": ROLLING},
        album="Whenever\x00 You \u202eNeed",
        genre="Pop",
        tags=["80s", "pop", "80S", "x" * 500],
        categories=["Music"],
        language="en",
        duration=3,
    )
    seen: list[tuple[int, int | None]] = []
    source = parse(f"https://youtu.be/{ID}?t=3")
    folder = tmp_path / "new" / "folder"
    found = await fetch(source, folder, Settings(cache=tmp_path), lambda *event: seen.append(event))
    clip = found.clip
    assert (clip.id, clip.artist, clip.title) == (ID, "Rick Astley", "Never Gonna Give You Up")
    assert (clip.album, clip.genre, clip.channel) == ("Whenever You Need", "Pop", "Some channel")
    assert clip.keywords == ("80s", "pop", "x" * 60) and clip.categories == ("Music",)
    assert clip.url == f"https://www.youtube.com/watch?v={ID}" and clip.path is None and clip.duration == 3
    assert clip.thumbnail == f"https://i.ytimg.com/vi/{ID}/hqdefault.jpg" and clip.notes == ()
    assert found.lyrics is not None
    assert found.lyrics.text == "Hello my darling\ncome and dance with me until the night is over"
    assert (found.lyrics.language, found.lyrics.origin) == ("en", "manual")

    assert found.audio is not None and found.video is not None
    assert found.audio.read_bytes() == made["audio"].read_bytes()
    assert found.video.read_bytes() == made["video"].read_bytes()
    assert left(folder) == ["audio.m4a", "video.mp4"]
    assert len(media.decode_audio(found.audio)) > 2 * 22050
    # the two streams, one caption file, nothing twice, none of the larger or poorer ones
    assert sorted(youtube.paths("/media/")) == [f"/media/{ID}/audio.m4a", f"/media/{ID}/video.mp4"]
    assert youtube.paths("/captions/") == [f"/captions/{ID}/subtitles.en.vtt"]
    assert seen[-1] == (sum(made[name].stat().st_size for name in ("audio", "video")),) * 2


async def test_streams_of_every_make(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add("both_______", both=made["both"])
    youtube.add("audio______", audio=made["opus"], decoys=False)
    youtube.add("video______", video=made["video"])
    both, audio, video = await asyncio.gather(
        get(tmp_path / "both", "both_______"),
        get(tmp_path / "audio", "audio______"),
        get(tmp_path / "video", "video______"),
    )
    assert both.audio == both.video == tmp_path / "both" / "clip.mp4"
    assert audio.audio == tmp_path / "audio" / "audio.webm" and audio.video is None
    assert video.audio is None and video.video == tmp_path / "video" / "video.mp4"


async def test_segments_where_there_is_nothing_else(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path
) -> None:
    """Some of YouTube's clients offer nothing but HLS: yt-dlp fetches it without ffmpeg, and it can be decoded."""
    segment = make_clip(tmp_path / "segment.ts", seconds=2)
    youtube.serve("/media/segment.ts", segment.read_bytes())
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n/media/segment.ts\n#EXT-X-ENDLIST\n"
    url = youtube.serve("/media/list.m3u8", playlist.encode())
    stream = {"format_id": "93", "url": url, "protocol": "m3u8_native", "ext": "mp4", "acodec": "mp4a.40.2"}
    youtube.add(ID, duration=2, formats=[{**stream, "vcodec": "avc1.4D401E", "width": 320, "height": 240}])
    found = await get(tmp_path / "new")
    assert found.audio == found.video == tmp_path / "new" / "clip.mp4"
    assert len(media.decode_audio(found.audio)) > 1.9 * 22050


async def test_what_is_complete_is_told_while_the_rest_still_comes(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path
) -> None:
    """The picture never ends: sound and words are there all the same, and are taken away when the fetch fails."""
    youtube.add(ID, title="A - B", audio=made["audio"], video=made["video"], captions={"en": CAPTIONS})
    youtube.behaviour[f"/media/{ID}/video.mp4"] = "stall"
    told: dict[str, Media] = {}
    whole: dict[str, bytes] = {}

    def arrived(modality: str, found: Media) -> None:
        told[modality] = found
        if found.audio is not None:
            whole[modality] = found.audio.read_bytes()

    settings = Settings(cache=tmp_path / "cache", fetch_timeout=6.0)
    with pytest.raises(errors.FetchTimeout):
        await fetch(parse(ID, files=False), tmp_path / "new", settings, arrived=arrived)
    assert set(told) == {"audio", "lyrics"} and whole == {"audio": made["audio"].read_bytes()}
    assert told["audio"].clip.title == "B" and told["audio"].clip.artist == "A"
    assert told["lyrics"].lyrics is not None and told["lyrics"].lyrics.text.startswith("Hello my darling")
    assert not (tmp_path / "new").exists()


async def test_one_file_with_both_arrives_as_both(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add(ID, both=made["both"])
    told: list[tuple[str, Media]] = []
    found = await fetch(parse(ID), tmp_path, Settings(cache=tmp_path), arrived=lambda *each: told.append(each))
    assert {modality: (each.audio, each.video) for modality, each in told} == {
        "audio": (found.audio, None),
        "video": (None, found.video),
        "lyrics": (None, None),
    }
    assert next(each.clip.notes for modality, each in told if modality == "lyrics") == ("It has no captions.",)


async def test_a_process_on_standby(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add(ID, audio=made["audio"])
    standby = Standby()
    settings = Settings(cache=tmp_path / "cache")
    try:
        standby.keep()
        assert standby._ready is not None
        first = await standby._ready[0]
        found = await fetch(parse(ID), tmp_path / "one", settings, standby=standby)
        assert found.audio is not None and not first.alive  # it was the one, and it is used once
        second = await standby._ready[0]
        assert second.alive and second is not first
        second._process.kill()  # it died while nobody looked
        await second._process.wait()
        assert (await fetch(parse(ID), tmp_path / "two", settings, standby=standby)).audio is not None
        third = await standby._ready[0]
        await fetch(parse(f"https://www.youtube.com/watch?v={ID}"), tmp_path / "three", settings, standby=standby)
        assert not third.alive
        last = await standby._ready[0]
    finally:
        await standby.close()
    assert not last.alive and len(youtube.paths("/media/")) == 3


async def test_a_process_that_could_not_be_kept_ready_stops_nothing(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system was out of processes when it was to be started, and is not any more."""
    youtube.add(ID, audio=made["audio"])
    spawn = asyncio.create_subprocess_exec

    async def out_of_processes(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    standby = Standby()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", out_of_processes)
    standby.keep()
    await asyncio.sleep(0.05)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn)
    try:
        found = await fetch(parse(ID), tmp_path / "new", Settings(cache=tmp_path / "cache"), standby=standby)
        assert found.audio is not None
        monkeypatch.setattr(asyncio, "create_subprocess_exec", out_of_processes)
        await (await standby.take()).end()
        await asyncio.sleep(0.05)
    finally:
        await standby.close()


async def test_a_process_from_before_an_upgrade_is_not_used(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    youtube.add(ID, audio=made["audio"])
    standby = Standby()
    try:
        standby.keep()
        assert standby._ready is not None
        old = await standby._ready[0]
        newer = tmp_path / "site" / "yt_dlp"
        newer.mkdir(parents=True)
        (newer / "version.py").write_text("__version__ = '2099.01.01'")
        upgraded = SimpleNamespace(submodule_search_locations=[str(newer)])
        monkeypatch.setattr("clipsim.sources._process.find_spec", lambda name: upgraded)
        child = await standby.take()
        assert child is not old and not old.alive and child.alive
        await child.end()
    finally:
        await standby.close()


async def test_captions_by_a_machine(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add(ID, audio=made["audio"], automatic={"de": "WEBVTT", "en-orig": ROLLING, "en": "WEBVTT"})
    found = await get(tmp_path)
    assert found.lyrics is not None and found.lyrics.origin == "automatic" and found.lyrics.language == "en"
    assert found.lyrics.text == "hello my darling\ncome and dance until the night is over"
    assert found.clip.language == "en"


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({}, "It has no captions."),
        ({"captions": {"en": CAPTIONS}, "captions_error": 429}, "slow down"),
        ({"captions": {"en": CAPTIONS}, "captions_error": 500}, "could not be fetched"),
        ({"captions": {"en": "WEBVTT\n\n00:00.000 --> 00:01.000\n[Music]\n"}}, "seems to be an instrumental"),
        ({"captions": {"en": "WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n"}}, "hardly any words"),
        ({"captions": {"en": "WEBVTT\n" + "x" * 5 * 2**20}}, "could not be fetched"),
    ],
)
async def test_without_captions_the_clip_goes_on(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path, given: dict[str, Any], note: str
) -> None:
    youtube.add(ID, audio=made["audio"], **given)
    found = await get(tmp_path)
    assert found.audio is not None and found.lyrics is None
    assert len(found.clip.notes) == 1 and note in found.clip.notes[0]
    assert left(tmp_path) == ["audio.m4a"]


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("private", errors.Private),
        ("geo", errors.GeoBlocked),
        ("bot", errors.BotCheck),
        ("live", errors.Live),
        ("premiere", errors.Upcoming),
        ("no-formats", errors.NoStreams),
        ("429", errors.RateLimited),
        ("403", errors.FetchFailed),
        ("down", errors.NetworkDown),
        ("disk-full", errors.DiskFull),
        ("Something nobody has ever seen", errors.FetchFailed),
    ],
)
async def test_every_failure_is_typed_and_leaves_nothing(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path, mode: str, error: type[errors.ClipSimError]
) -> None:
    youtube.add(ID, audio=made["audio"], video=made["video"], captions={"en": CAPTIONS}, error=mode)
    with pytest.raises(errors.ClipSimError) as caught:
        await get(tmp_path / "new")
    assert type(caught.value) is error and "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


async def test_what_is_not_media(youtube: FakeYouTube, tmp_path: Path) -> None:
    page = tmp_path / "page.mp4"
    page.write_text("<html>An error page that came with status 200</html>" * 100)
    youtube.add(ID, both=page)
    with pytest.raises(errors.NotMedia):
        await get(tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_too_long_is_told_before_anything_is_fetched(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path
) -> None:
    youtube.add(ID, audio=made["audio"], duration=43_210)
    with pytest.raises(errors.TooLong, match=r"12:00:10 h; the limit is 20:00 min"):
        await get(tmp_path)
    assert youtube.paths("/media/") == [] and left(tmp_path) == []


async def test_longer_than_it_said(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add(ID, audio=made["audio"], duration=1)
    with pytest.raises(errors.TooLong):
        await get(tmp_path, max_duration=2.0)
    assert left(tmp_path) == []


async def test_too_large_is_told_before_anything_is_fetched(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path
) -> None:
    youtube.add(ID, audio=made["audio"], declare=300 * 2**20, decoys=False)
    with pytest.raises(errors.TooLarge, match="300 MiB or more; the limit is 200 MiB"):
        await get(tmp_path)
    assert youtube.paths("/media/") == [] and left(tmp_path) == []


async def test_larger_than_it_said(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add(ID, audio=made["audio"], declare=1000, error="endless")
    with pytest.raises(errors.TooLarge):
        await get(tmp_path, max_bytes=3 * 2**20)
    assert left(tmp_path) == []


async def test_two_files_share_one_limit(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    sizes = [made[name].stat().st_size for name in ("audio", "video")]
    youtube.add(ID, audio=made["audio"], video=made["video"], declare=1000)
    with pytest.raises(errors.TooLarge):
        await get(tmp_path, max_bytes=max(sizes) + 1000)
    assert left(tmp_path) == []


async def test_a_stalled_download_is_stopped(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    youtube.add(ID, audio=made["audio"], error="stall")
    with pytest.raises(errors.FetchTimeout, match="longer than 4 s"):
        await get(tmp_path, fetch_timeout=4.0)
    assert youtube.paths("/media/") and left(tmp_path) == []


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return "Z" not in Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False


async def spawned(youtube: FakeYouTube) -> list[str]:
    """[child, grandchild, names of the child's environment …] once the child has started a process of its own."""
    assert await asyncio.to_thread(wait_until, lambda: youtube.paths("/spawned/"), 30)
    return youtube.paths("/spawned/")[0].split("/")[2:]


async def test_cancelled_it_takes_all_its_processes_along(
    youtube: FakeYouTube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    youtube.add(ID, error="spawn")
    task = asyncio.create_task(get(tmp_path / "new"))
    child, grandchild, *names = await spawned(youtube)
    assert alive(int(child)) and alive(int(grandchild))
    assert "DISCORD_TOKEN" not in names and {"PYTHONPATH", "TMPDIR", "DENO_DIR"} <= set(names)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wait_until(lambda: not alive(int(child)) and not alive(int(grandchild)))
    assert not (tmp_path / "new").exists()


async def test_timed_out_it_takes_all_its_processes_along(youtube: FakeYouTube, tmp_path: Path) -> None:
    youtube.add(ID, error="spawn")
    with pytest.raises(errors.FetchTimeout):
        await get(tmp_path / "new", fetch_timeout=5.0)
    child, grandchild, *_ = await spawned(youtube)
    assert wait_until(lambda: not alive(int(child)) and not alive(int(grandchild)))
    assert not (tmp_path / "new").exists()


async def test_a_parent_that_is_killed_leaves_no_orphans(youtube: FakeYouTube, tmp_path: Path) -> None:
    youtube.add(ID, error="spawn")
    code = (
        "import asyncio, sys, pathlib; from clipsim.sources import fetch, parse; from clipsim.settings import Settings;"
        f"asyncio.run(fetch(parse('{ID}'), pathlib.Path({str(tmp_path)!r}), Settings()))"
    )
    import sys

    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    child, grandchild, *_ = await spawned(youtube)
    parent.kill()
    await parent.wait()
    assert await asyncio.to_thread(wait_until, lambda: not alive(int(child)) and not alive(int(grandchild)))


async def test_a_child_that_dies_is_a_failure(youtube: FakeYouTube, tmp_path: Path) -> None:
    youtube.add(ID, error="spawn")
    task = asyncio.create_task(get(tmp_path / "new"))
    child, grandchild, *_ = await spawned(youtube)
    os.kill(int(child), 9)
    with pytest.raises(errors.FetchFailed, match="died"):
        await task
    assert wait_until(lambda: not alive(int(grandchild))) and not (tmp_path / "new").exists()


async def test_the_cookies_file_is_only_read(youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n"
    cookies.write_text(text)
    cookies.chmod(0o400)
    youtube.add(ID, audio=made["audio"])
    await get(tmp_path / "new", cookies=cookies)
    assert cookies.read_text() == text and left(tmp_path / "new") == ["audio.m4a"]
    assert any("name=value" in request.headers.get("Cookie", "") for request in youtube.requests)
    with pytest.raises(errors.InvalidSetting, match="CLIPSIM_COOKIES"):
        await get(tmp_path / "other", cookies=tmp_path / "missing.txt")
    garbage = tmp_path / "garbage.txt"
    garbage.write_bytes(bytes(range(256)))
    with pytest.raises(errors.InvalidSetting, match="CLIPSIM_COOKIES"):
        await get(tmp_path / "other", cookies=garbage)
    assert not (tmp_path / "other").exists()


async def test_the_users_own_yt_dlp_settings_are_not_read(
    youtube: FakeYouTube, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config" / "yt-dlp"
    config.mkdir(parents=True)
    (config / "config").write_text(f"--exec 'touch {tmp_path}/executed'\n--write-info-json\n--write-thumbnail\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "yt-dlp.conf").write_text("--skip-download\n")
    youtube.add(ID, audio=made["audio"])
    await get(tmp_path / "new")
    assert left(tmp_path / "new") == ["audio.m4a"] and not (tmp_path / "executed").exists()


async def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.FolderNotWritable):
        await get(tmp_path / "file" / "new")

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(errors.DiskFull):
        await get(tmp_path / "new")


def test_the_child_sees_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/plugins")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    seen = environment()
    assert "secret" not in seen.values() and seen["https_proxy"] == "http://proxy:1"
    assert seen["PYTHONPATH"].split(os.pathsep)[0] == "/plugins"
