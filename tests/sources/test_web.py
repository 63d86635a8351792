"""Links to hosts that the operator named: fetched from there, and from nowhere else."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from clipsim import errors
from clipsim.settings import Settings
from clipsim.sources import fetch, parse
from tests.doubles.youtube import FakeYouTube


@pytest.fixture
def server(youtube: FakeYouTube) -> FakeYouTube:
    return youtube


async def get(url: str, folder: Path, allowed: str, **settings: object):  # type: ignore[no-untyped-def]
    given = Settings(allowed_hosts=allowed, cache=folder.parent, **settings)  # type: ignore[arg-type]
    return await fetch(parse(url, given.hosts), folder, given)


async def test_a_file_on_a_named_host(server: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    url = server.serve("/videos/Some_Artist - Song.mp4", made["both"].read_bytes())
    found = await get(url.replace(" ", "%20"), tmp_path / "new", "127.0.0.1")
    assert found.audio == found.video == tmp_path / "new" / "clip.mp4"
    assert found.clip.id.startswith("web-") and found.clip.url == url.replace(" ", "%20")
    assert found.clip.title == "Song" and found.clip.duration == pytest.approx(3, abs=0.1)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["clip.mp4"]


async def test_it_goes_past_any_proxy(
    server: FakeYouTube, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    found = await get(server.serve("/song.m4a", made["audio"].read_bytes()), tmp_path / "new", "127.0.0.1")
    assert found.audio is not None


async def test_sound_alone(server: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    url = server.serve("/song.m4a", made["audio"].read_bytes())
    found = await get(url, tmp_path / "new", f"127.0.0.1:{url.split(':')[2].split('/')[0]}")
    assert found.audio == tmp_path / "new" / "audio.m4a" and found.video is None


async def test_a_page_with_a_player(server: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    server.serve("/song.mp4", made["both"].read_bytes())
    page = b"<html><head><title>A page</title></head><body><video src='/song.mp4'></video></body></html>"
    found = await get(server.serve("/page.html", page), tmp_path / "new", "127.0.0.1")
    assert found.audio == tmp_path / "new" / "clip.mp4"


async def test_a_redirect_within_the_host(server: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    server.serve("/song.mp4", made["both"].read_bytes())
    found = await get(server.serve("/moved.mp4", redirect="/song.mp4"), tmp_path / "new", "127.0.0.1")
    assert found.audio is not None


@pytest.mark.parametrize("how", ["redirect", "page", "playlist", "manifest"])
async def test_on_to_another_host_is_refused(
    server: FakeYouTube, made: dict[str, Path], tmp_path: Path, how: str
) -> None:
    """The other host is the same machine by another name: it would answer."""
    other = server.serve("/secret.mp4", made["both"].read_bytes()).replace("127.0.0.1", "localhost")
    url = {
        "redirect": lambda: server.serve("/moved.mp4", redirect=other),
        "page": lambda: server.serve("/page.html", f"<html><video src='{other}'></video></html>".encode()),
        "playlist": lambda: server.serve("/list.m3u8", f"#EXTM3U\n#EXTINF:3,\n{other}\n#EXT-X-ENDLIST\n".encode()),
        "manifest": lambda: server.serve("/list.m3u8", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{other}\n".encode()),
    }[how]()
    with pytest.raises(errors.HostNotAllowed, match="leads on"):
        await get(url, tmp_path / "new", "127.0.0.1")
    assert server.paths("/secret") == [] and not (tmp_path / "new").exists()


async def test_on_to_another_port_is_refused(server: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    with FakeYouTube() as other:
        there = other.serve("/secret.mp4", made["both"].read_bytes())
        port = server.address.rpartition(":")[2]
        with pytest.raises(errors.HostNotAllowed):
            await get(server.serve("/moved.mp4", redirect=there), tmp_path / "new", f"127.0.0.1:{port}")
        assert other.requests == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://169.254.169.254/latest/meta-data/", "https://youtu.be/x"]
)
async def test_on_to_what_nobody_named(server: FakeYouTube, tmp_path: Path, target: str) -> None:
    with pytest.raises(errors.SourceError):
        await get(server.serve("/moved.mp4", redirect=target), tmp_path / "new", "127.0.0.1")
    assert not (tmp_path / "new").exists()


async def test_limits_hold_there_too(server: FakeYouTube, made: dict[str, Path], tmp_path: Path) -> None:
    url = server.serve("/song.mp4", made["both"].read_bytes())
    with pytest.raises(errors.TooLong):
        await get(url, tmp_path / "new", "127.0.0.1", max_duration=2.0)
    with pytest.raises(errors.TooLarge):
        await get(url, tmp_path / "new", "127.0.0.1", max_bytes=10_000)
    with pytest.raises(errors.Removed):
        await get(f"{server.address}/missing.mp4", tmp_path / "new", "127.0.0.1")
    assert not (tmp_path / "new").exists()


FENCED = """
import socket, subprocess, sys, urllib.request
from clipsim.sources import _guard
_guard.confine(["127.0.0.1:{port}"])
def refused(call):
    try:
        call()
    except OSError:
        return True
    return False
socket.create_connection(("127.0.0.1", {port})).close()
assert refused(lambda: socket.create_connection(("localhost", {port})))
assert refused(lambda: socket.create_connection(("127.0.0.1", {port} + 1)))
assert refused(lambda: socket.socket().connect(("127.0.0.2", {port})))
assert refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53)))
assert refused(lambda: urllib.request.urlopen("http://[::1]:{port}/"))
assert refused(lambda: subprocess.run(["true"]))
assert len(_guard.refused) == 5, _guard.refused
print("fenced")
"""


def test_the_fence_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = FENCED.format(port=listening.getsockname()[1])
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "fenced\n", ran.stderr
