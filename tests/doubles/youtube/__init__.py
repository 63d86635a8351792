"""YouTube behind real yt-dlp: a local server with the clips, and a yt-dlp plugin that reads their metadata from it.

Only `YoutubeIE._real_extract` is replaced. Which formats are chosen, how they, the captions and the errors travel, is
yt-dlp's own.

    with FakeYouTube() as youtube:
        youtube.add("dQw4w9WgXcQ", title="A - B", audio=make_clip(...), video=make_clip(...), captions={"en": VTT})
        subprocess.run([...], env={**os.environ, **youtube.environment()})
        assert youtube.bytes_of("dQw4w9WgXcQ") < 100_000
"""

from __future__ import annotations

import json
import mimetypes
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent

# What YouTube says, as yt-dlp raises it: name -> (exception class in yt_dlp.utils, message).
ERRORS: dict[str, tuple[str, str]] = {
    "private": ("ExtractorError", "Private video. Sign in if you've been granted access to this video"),
    "removed": ("ExtractorError", "Video unavailable. This video has been removed by the uploader"),
    "terminated": (
        "ExtractorError",
        "Video unavailable. This video is no longer available because the YouTube account associated with this video "
        "has been terminated.",
    ),
    "unavailable": ("ExtractorError", "Video unavailable"),
    "geo": ("GeoRestrictedError", "The uploader has not made this video available in your country"),
    "geo-copyright": (
        "ExtractorError",
        "Video unavailable. This video contains content from SME, who has blocked it in your country on copyright "
        "grounds",
    ),
    "age": (
        "ExtractorError",
        "Sign in to confirm your age. This video may be inappropriate for some users. Use --cookies-from-browser or "
        "--cookies for the authentication. See  https://github.com/yt-dlp/yt-dlp/wiki/FAQ  for how to pass cookies",
    ),
    "bot": (
        "ExtractorError",
        "Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies for the authentication. See  "
        "https://github.com/yt-dlp/yt-dlp/wiki/FAQ  for how to manually pass cookies",
    ),
    "members": (
        "ExtractorError",
        "Join this channel to get access to members-only content like this video, and other exclusive perks.",
    ),
    "rate-limit": (
        "ExtractorError",
        "Video unavailable. This content isn't available, try again later. The current session has been rate-limited "
        "by YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay between video requests",
    ),
    "upcoming": ("ExtractorError", "Premieres in 5 hours"),
    "upcoming-live": ("ExtractorError", "This live event will begin in 3 days."),
    "drm": ("ExtractorError", "This video is DRM protected"),
}
MODES = (  # and how the streams misbehave: an HTTP status, half a body, one without an end, nobody there, …
    *ERRORS,
    *("live", "premiere", "no-formats", "429", "403", "stall", "stall-page", "spawn", "endless", "down", "disk-full"),
)


@dataclass
class Request:
    """One request to the server: its path, the status it got, and the bytes of the body that were sent."""

    path: str
    status: int
    sent: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeYouTube:
    """A context manager: a server on a free port of the loopback, and a folder for PYTHONPATH with the plugin."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.pages: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.behaviour: dict[str, str] = {}  # path -> mode
        self.closing = threading.Event()
        self.released = threading.Event()  # until it is set, a path whose behaviour is "hold" is not answered
        self._lock = threading.Lock()

    def __enter__(self) -> FakeYouTube:
        self._folder = Path(tempfile.mkdtemp(prefix="fake-youtube-"))
        plugin = self._folder / "yt_dlp_plugins" / "extractor"
        plugin.mkdir(parents=True)
        shutil.copy(HERE / "plugin.py", plugin / "fake_youtube.py")
        fake = self

        class Handler(_Handler):
            youtube = fake

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        (plugin / "server.txt").write_text(self.address)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(
        self,
        id: str,
        *,
        title: str = "A title",
        artist: str | None = None,
        audio: Path | None = None,
        video: Path | None = None,
        both: Path | None = None,
        captions: Mapping[str, str] | None = None,
        automatic: Mapping[str, str] | None = None,
        captions_error: int | None = None,
        duration: float | None = 6.0,
        language: str | None = None,
        error: str | None = None,
        decoys: bool = True,
        declare: int | None = None,
        **info: Any,
    ) -> None:
        """A clip.

        Args:
            id: eleven characters.
            title, artist, duration, language, info: metadata, by yt-dlp's names.
            audio, video, both: files served as the sound-only, picture-only and progressive stream.
            captions, automatic: language -> WebVTT text, made by hand or by a machine.
            captions_error: HTTP status of every caption file.
            error: one of `MODES`, or any sentence for an ExtractorError.
            decoys: whether larger and smaller streams are listed too; fetching one is a 404 and shows in `requests`.
            declare: bytes that the streams claim to have, whatever they have.
        """
        formats: list[dict[str, Any]] = []
        for kind, path in (("audio", audio), ("video", video), ("both", both)):
            if path is None:
                continue
            name = f"/media/{id}/{kind}{path.suffix}"
            self.files[name] = path.read_bytes()
            self.behaviour[name] = error or ""
            size = declare or len(self.files[name])
            formats.append(_format(kind, self.address + name, path.suffix[1:], size, duration))
            if decoys:
                formats += _decoys(kind, f"{self.address}/media/{id}/decoy", duration)
        tracks: dict[str, dict[str, list[dict[str, str]]]] = {"subtitles": {}, "automatic_captions": {}}
        for kind, given in (("subtitles", captions), ("automatic_captions", automatic)):
            for key, text in (given or {}).items():
                name = f"/captions/{id}/{kind}.{key}.vtt"
                self.files[name] = text.encode()
                self.behaviour[name] = str(captions_error or "")
                tracks[kind][key] = [{"ext": ext, "url": f"{self.address}{name}?fmt={ext}"} for ext in ("json3", "vtt")]
        page: dict[str, Any] = {"id": id, "title": title, "duration": duration, "language": language, **tracks}
        page |= {"formats": formats, "live_status": "not_live", "channel": "Some channel", "artist": artist, **info}
        page["thumbnail"] = f"https://i.ytimg.com/vi/{id}/hqdefault.jpg"
        self.pages[id] = {"info": {key: value for key, value in page.items() if value is not None}}
        if error == "live":
            self.pages[id]["info"]["live_status"] = "is_live"
        elif error == "premiere":
            self.pages[id]["info"] |= {"live_status": "is_upcoming", "formats": []}
        elif error == "no-formats":
            self.pages[id]["info"]["formats"] = []
        elif error == "down":
            for item in formats:
                item["url"] = "http://127.0.0.1:9/nobody-listens"
        elif error == "disk-full":
            self.pages[id]["disk_full"] = True
        elif error == "spawn":
            self.pages[id]["spawn"] = True
        elif error and error not in MODES:
            self.pages[id]["error"] = ["ExtractorError", error]
        elif error in ERRORS:
            self.pages[id]["error"] = list(ERRORS[error])
        self.behaviour[f"/page/{id}"] = error if error == "stall-page" else ""

    def add_playlist(
        self,
        id: str,
        videos: Sequence[str],
        *,
        title: str = "A playlist",
        total: int | None = None,
        error: str | None = None,
        **entries: Mapping[str, Any],
    ) -> None:
        """A playlist of videos by their ids; `entries` says more about some, by id (`-` written as `_`)."""
        listed = [{"id": video, "title": f"Title of {video}", **entries.get(video, {})} for video in videos]
        self.pages[id] = {"entries": listed, "title": title, "total": len(videos) if total is None else total}
        if error:
            self.pages[id] = {"error": list(ERRORS[error])}
        self.behaviour[f"/page/{id}"] = ""

    def serve(self, path: str, body: bytes = b"", *, redirect: str | None = None) -> str:
        """Serve a file (its type by its suffix), or a redirect, at a path; returns its address."""
        self.files[path] = body
        self.behaviour[path] = f"redirect {redirect}" if redirect else ""
        return self.address + path

    def environment(self) -> dict[str, str]:
        """Variables for a process whose yt-dlp shall find this YouTube."""
        inherited = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, (str(self._folder), inherited)))}

    def log(self, request: Request) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append(request)

    def paths(self, start: str = "") -> list[str]:
        """Paths that were asked for, in order, without those of other kinds (`/media/`, `/captions/`, `/page/`)."""
        return [request.path for request in self.requests if request.path.startswith(start)]

    def bytes_of(self, id: str, kind: str = "media") -> int:
        """Bytes served of one clip's media (or captions)."""
        return sum(request.sent for request in self.requests if request.path.startswith(f"/{kind}/{id}/"))


def _format(kind: str, url: str, ext: str, size: int, duration: float | None) -> dict[str, Any]:
    rate = size * 8 / 1000 / duration if duration else 100.0
    item: dict[str, Any] = {"url": url, "ext": ext, "filesize": size, "protocol": "http", "tbr": rate}
    sound = {"acodec": "opus" if ext in ("webm", "opus") else "mp4a.40.2", "abr": max(rate, 64.0)}
    picture = {"vcodec": "avc1.4d4015", "width": 320, "height": 240, "fps": 25}
    if kind == "audio":
        return {**item, **sound, "format_id": "140", "vcodec": "none"}
    if kind == "video":
        return {**item, **picture, "format_id": "133", "acodec": "none"}
    return {**item, **picture, **sound, "format_id": "18"}


def _decoys(kind: str, url: str, duration: float | None) -> list[dict[str, Any]]:
    """YouTube's usual other streams: too poor, or far larger than needed."""
    common: dict[str, Any] = {"url": url, "protocol": "http", "ext": "mp4"}
    if kind == "audio":
        rows: Sequence[tuple[str, str, float, str]] = (
            ("139", "mp4a.40.5", 48.0, "low"),
            ("251", "opus", 900.0, "medium"),
            ("140-drc", "mp4a.40.2", 64.0, "medium, DRC"),
        )
        return [
            {
                **common,
                "format_id": id,
                "acodec": codec,
                "abr": rate,
                "tbr": rate,
                "vcodec": "none",
                "format_note": note,
            }
            for id, codec, rate, note in rows
        ]
    sizes = ((160, 144, 20.0), (134, 360, 9000.0), (137, 1080, 30_000.0), (401, 2160, 90_000.0))
    return [
        {
            **{**common, "format_id": f"{id}-{kind}", "vcodec": "avc1", "tbr": rate, "filesize": int(rate * 1e5)},
            **{"width": lines * 16 // 9, "height": lines, "acodec": "none" if kind == "video" else "mp4a.40.2"},
        }
        for id, lines, rate in sizes
    ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed in the middle is no error here."""


class _Handler(BaseHTTPRequestHandler):
    youtube: FakeYouTube
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        record = Request(path, 200, headers=dict(self.headers))
        self.youtube.log(record)
        mode = self.youtube.behaviour.get(path, "")
        if path.startswith("/page/"):
            if mode == "stall-page":
                self.youtube.closing.wait(60)
                return
            page = self.youtube.pages.get(path.removeprefix("/page/"))
            self._send(record, json.dumps(page or {"error": list(ERRORS["unavailable"])}).encode(), "application/json")
        elif path not in self.youtube.files:
            self._status(record, 404)
        elif mode.startswith("redirect "):
            record.status = 302
            self.send_response(302)
            self.send_header("Location", mode.removeprefix("redirect "))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif mode.isdigit():
            self._status(record, int(mode))
        elif mode == "endless":
            self._endless(record)
        elif mode == "stall":
            self._stall(record, self.youtube.files[path])
        elif mode == "hold":
            self.youtube.released.wait(60)
            self._send(record, self.youtube.files[path], "application/octet-stream")
        else:
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            self._send(record, self.youtube.files[path], kind)

    def _status(self, record: Request, status: int) -> None:
        record.status = status
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, record: Request, body: bytes, kind: str) -> None:
        wanted = self.headers.get("Range", "")
        start, end = 0, len(body) - 1
        if wanted.startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first or 0), min(int(last) if last else end, end)
            record.status = 206
        self.send_response(record.status)
        self.send_header("Content-Type", kind)
        self.send_header("Accept-Ranges", "bytes")
        if record.status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(body)}")
        self.send_header("Content-Length", str(end + 1 - start))
        self.end_headers()
        self._write(record, body[start : end + 1])

    def _endless(self, record: Request) -> None:
        """A body without a declared end."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while not self.youtube.closing.is_set() and record.sent < 2**30 and self._write(record, bytes(65536)):
            pass

    def _stall(self, record: Request, body: bytes) -> None:
        """A body that stops half-way, again and again."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._write(record, body[: len(body) // 2])
        self.youtube.closing.wait(60)

    def _write(self, record: Request, data: bytes) -> bool:
        if self.command == "HEAD":
            return False
        try:
            self.wfile.write(data)
        except OSError:
            return False
        record.sent += len(data)
        return True


def wait_until(condition: Any, seconds: float = 10.0) -> bool:
    """Whether `condition()` comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())
