"""The process of one fetch: `python -m clipsim.sources._child`. Runs yt-dlp once, then is killed with all it started.

One line of JSON comes in on stdin, the request; lines of JSON go out on stdout: `{"bytes", "total"}` while it
downloads, at last `{"done": {…}}` or `{"error": {code, message, hint}}`. Nothing else is ever exchanged: no pickles.
Files are written into the request's folder, which is this fetch's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsim import errors
from clipsim.errors import ClipSimError
from clipsim.sources import _failures, _guard, _streams

MAX_REQUEST = 64 * 1024  # bytes
MAX_CAPTIONS = 4 * 1024 * 1024  # bytes of a caption file
CAPTION_FORMATS = ("vtt", "srt")  # in this order
EVENT_PAUSE = 0.3  # seconds between two reports of progress
SOCKET_TIMEOUT = 20.0  # seconds without a byte
RETRIES = 2
FIELDS = (  # of yt-dlp's info, those that a Clip is made of
    *("id", "title", "track", "artist", "artists", "album", "genre", "genres", "tags", "categories"),
    *("channel", "uploader", "duration", "language", "thumbnail"),
)
MAX_FIELD = 2000  # characters of one string
MAX_ITEMS = 100  # of one list, of MAX_ITEM characters each
MAX_ITEM = 300
NAMES = {".webm", ".mp4", ".m4a", ".mkv", ".mp3", ".ogg", ".opus", ".flac", ".wav", ".ts", ".aac"}


@dataclass(frozen=True)
class Request:
    """What the parent asks for."""

    kind: str  # "youtube" or "web"
    url: str
    folder: str
    hosts: list[str]
    max_bytes: int
    max_duration: float
    timeout: float
    cookies: str | None
    proxy: str | None
    cache: str | None


def _too_long(seconds: float, limit: float) -> ClipSimError:
    return errors.TooLong(f"That clip lasts {_minutes(seconds)}; the limit is {_minutes(limit)}.")


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    text = f"{rest // 60}:{rest % 60:02}"
    return f"{hours}:{rest // 60:02}:{rest % 60:02} h" if hours else f"{text} min"


def _too_large(size: float, limit: int) -> ClipSimError:
    return errors.TooLarge(f"That clip is {size / 2**20:.0f} MiB or more; the limit is {limit / 2**20:.0f} MiB.")


class Fetch:
    """One clip, from its link to files in a folder."""

    def __init__(self, request: Request, report: Any) -> None:
        self.request = request
        self.report = report
        self.warnings: list[str] = []
        self.received: dict[str, float] = {}  # bytes of each file so far
        self.expected: float | None = None
        self.spoke = 0.0
        self.captions = False  # whether the captions are being fetched just now
        self.refusal: ClipSimError | None = None

    def run(self) -> dict[str, Any]:
        """Fetch; returns what the parent is told.

        Raises:
            ClipSimError: whatever went wrong.
        """
        import yt_dlp

        try:
            with yt_dlp.YoutubeDL(self._options()) as ydl:
                return self._run(ydl)
        except ClipSimError:
            raise
        except Exception as error:
            if self.refusal is not None:
                raise self.refusal from error
            if _guard.refused:
                raise errors.HostNotAllowed("That link leads on to a host that is not allowed here.") from error
            print(f"{type(error).__name__}: {error}"[:2000], file=sys.stderr)
            kind = _failures.classify(error, self.warnings)
            if kind is errors.InvalidSetting:
                raise kind("CLIPSIM_COOKIES: that is not a cookies file in Netscape's format.") from error
            raise kind() from error

    def _run(self, ydl: Any) -> dict[str, Any]:
        youtube = self.request.kind == "youtube"
        info = ydl.extract_info(self.request.url, download=False, process=False, ie_key="Youtube" if youtube else None)
        self._judge(info)
        info = ydl.process_ie_result(info, download=True)
        if not info or info.get("_type", "video") != "video":
            raise errors.NoStreams("That link leads to a list, not to one clip.", hint="Paste the link of one clip.")
        files = [
            self._file(item["filepath"], item) for item in info.get("requested_downloads") or [] if item.get("filepath")
        ]
        if not files:
            raise errors.NoStreams
        audio, video, seconds = self._probe(files)
        captions, note = self._captions(ydl, info)
        fields = {name: _bounded(info.get(name)) for name in FIELDS}
        fields["duration"] = fields.get("duration") or seconds
        spoken = next((item.get("language") for item in info["requested_downloads"] if item.get("language")), None)
        fields["language"] = fields.get("language") or spoken
        return {"info": fields, "audio": audio, "video": video, "captions": captions, "note": note}

    def _options(self) -> dict[str, Any]:
        request = self.request
        youtube = request.kind == "youtube"
        return {
            "quiet": True,
            "noprogress": True,
            "no_color": True,
            "logger": self,
            "allowed_extractors": ["^youtube$"] if youtube else ["default"],
            "noplaylist": True,
            "ignoreerrors": False,
            "match_filter": self._judge,
            "format": self._select,
            "progress_hooks": [self._progress],
            "paths": {"home": request.folder, "temp": request.folder},
            "outtmpl": {"default": "stream-%(format_id)s.%(ext)s"},
            "restrictfilenames": True,
            "windowsfilenames": True,
            "trim_file_name": 60,
            "overwrites": True,
            "continuedl": False,
            "nopart": True,
            "updatetime": False,
            "fixup": "never",
            "postprocessors": [],
            "hls_prefer_native": True,
            "skip_unavailable_fragments": False,
            "usenetrc": False,
            "enable_file_urls": False,
            "allow_unplayable_formats": False,
            "remote_components": [],
            "compat_opts": {"no-live-chat"},
            "retries": RETRIES,
            "extractor_retries": RETRIES,
            "fragment_retries": RETRIES,
            "file_access_retries": 0,
            "socket_timeout": min(SOCKET_TIMEOUT, request.timeout),
            "cookiefile": request.cookies,
            "proxy": request.proxy if youtube else "",
            "cachedir": request.cache or False,
        }

    # yt-dlp's logger

    def debug(self, message: str) -> None:
        """yt-dlp's chatter; dropped."""

    def warning(self, message: str) -> None:
        """Kept: the last resort for telling what went wrong."""
        if len(self.warnings) < 50:
            self.warnings.append(str(message)[:1000])

    error = warning

    # yt-dlp's hooks

    def _judge(self, info: Mapping[str, Any], *_: Any, **__: Any) -> None:
        """Refuse by metadata, before anything is downloaded."""
        if info.get("_type") in ("playlist", "multi_video"):
            self._refuse(errors.NoStreams("That link leads to a list, not to one clip.", hint="Paste one clip's link."))
        status = info.get("live_status")
        if status == "is_upcoming":
            self._refuse(errors.Upcoming())
        if status in ("is_live", "post_live") or info.get("is_live"):
            self._refuse(errors.Live())
        seconds = info.get("duration")
        if isinstance(seconds, int | float) and seconds > self.request.max_duration:
            self._refuse(_too_long(seconds, self.request.max_duration))

    def _select(self, context: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """yt-dlp's format selector: each stream a download of its own, so nothing is merged."""
        formats = list(context["formats"])
        seconds = next((item.get("duration") for item in formats if item.get("duration")), None)
        choice = _streams.choose(formats, seconds)
        size = choice.size(seconds)
        if size is not None and size > self.request.max_bytes:
            self._refuse(_too_large(size, self.request.max_bytes))
        self.expected = size
        yield from choice.formats

    def _progress(self, state: Mapping[str, Any]) -> None:
        if self.captions:
            if (state.get("downloaded_bytes") or 0) > MAX_CAPTIONS or (state.get("total_bytes") or 0) > MAX_CAPTIONS:
                raise _stop()
            return
        name = str(state.get("filename"))
        self.received[name] = state.get("downloaded_bytes") or state.get("total_bytes") or 0
        others = sum(size for other, size in self.received.items() if other != name)
        total = max(self.received[name], state.get("total_bytes") or 0) + others
        if total > self.request.max_bytes:
            self._refuse(_too_large(total, self.request.max_bytes))
        now = time.monotonic()
        if now - self.spoke >= EVENT_PAUSE or state.get("status") == "finished":
            self.spoke = now
            self.report({"bytes": sum(self.received.values()), "total": self.expected})

    def _refuse(self, error: ClipSimError) -> None:
        """Stop yt-dlp from inside one of its hooks."""
        self.refusal = error
        raise _stop() from error

    # what it fetched

    def _file(self, name: str, item: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
        path, folder = Path(name).resolve(), Path(self.request.folder).resolve()
        if path.parent != folder or not path.is_file():
            raise errors.FetchFailed
        return path, item

    def _probe(self, files: list[tuple[Path, Mapping[str, Any]]]) -> tuple[str | None, str | None, float | None]:
        """(sound, picture, seconds): the files' names by what is really in them, given plain names."""
        from clipsim import media

        audio = video = None
        seconds = None
        for path, item in files:
            found = media.probe(path)
            if found.duration is not None:
                if found.duration > self.request.max_duration + media.SLACK:
                    raise _too_long(found.duration, self.request.max_duration)
                seconds = max(seconds or 0.0, found.duration)
            wants_sound = item.get("acodec") != "none" and found.has_audio
            wants_picture = item.get("vcodec") != "none" and found.has_video
            kind = "clip" if wants_sound and wants_picture else "audio" if wants_sound else "video"
            suffix = path.suffix.lower() if path.suffix.lower() in NAMES else ".bin"
            name = path.rename(path.with_name(kind + suffix)).name
            audio = audio or (name if wants_sound else None)
            video = video or (name if wants_picture else None)
        if audio is None and video is None:
            raise errors.NotMedia("What was fetched holds neither sound nor picture.", hint="")
        return audio, video, seconds

    def _captions(self, ydl: Any, info: Mapping[str, Any]) -> tuple[dict[str, str] | None, str | None]:
        """(captions, note): one file at most; where it fails the clip goes on without, and the note says why."""
        manual, automatic = info.get("subtitles"), info.get("automatic_captions")
        chosen = _streams.captions(manual, automatic, info.get("language"))
        if chosen is None:
            return None, None
        kind, key = chosen
        tracks = (manual if kind == "manual" else automatic) or {}
        track = next((item for ext in CAPTION_FORMATS for item in tracks[key] if item.get("ext") == ext), None)
        if track is None:
            return None, "Its captions are in a form that cannot be read."
        name = Path(self.request.folder) / f"captions.{track['ext']}"
        self.captions = True
        try:
            if track.get("data") is not None:
                name.write_text(str(track["data"])[:MAX_CAPTIONS], encoding="utf-8")
            else:
                track = {**track, "http_headers": track.get("http_headers") or info.get("http_headers")}
                ydl.dl(str(name), track, subtitle=True)
        except Exception as error:
            kind_of = _failures.classify(error, ())
            if kind_of is errors.DiskFull:
                raise
            why = "the source asks to slow down" if kind_of is errors.RateLimited else "the download failed"
            return None, f"Its captions could not be fetched: {why}."
        if not name.is_file() or name.stat().st_size > MAX_CAPTIONS:
            return None, "Its captions could not be fetched: the download failed."
        spoken = re.sub(r"-orig$", "", key)
        return {"name": name.name, "language": spoken, "origin": kind}, None


def _stop() -> Exception:
    from yt_dlp.utils import DownloadCancelled

    return DownloadCancelled("refused")


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_FIELD]
    if isinstance(value, list | tuple):
        return [item[:MAX_ITEM] for item in value[:MAX_ITEMS] if isinstance(item, str)]
    return value if isinstance(value, int | float) else None


def _request(descriptor: int) -> Request:
    data = b""
    while not data.endswith(b"\n"):
        chunk = os.read(descriptor, 4096)
        if not chunk or len(data) > MAX_REQUEST:
            os._exit(2)
        data += chunk
    return Request(**json.loads(data))


def main() -> None:
    """Read the request, fetch, answer, and wait to be killed."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints (yt-dlp, plugins) must not end up among the answers
    lock = threading.Lock()

    def report(event: dict[str, Any]) -> None:
        with lock:
            out.write(json.dumps(event).encode() + b"\n")
            out.flush()

    request = _request(0)
    threading.Thread(target=_guard.die_with_parent, daemon=True).start()
    _guard.limit_resources(request.max_bytes, request.timeout)
    if request.kind == "web":
        _guard.confine(request.hosts)
    try:
        answer: dict[str, Any] = {"done": Fetch(request, report).run()}
    except ClipSimError as error:
        answer = {"error": {"code": error.code, "message": error.message, "hint": error.advice}}
    except MemoryError:
        answer = {"error": {"code": errors.FetchFailed.code, "message": None, "hint": None}}
    with contextlib.suppress(OSError):
        report(answer)
    threading.Event().wait()  # the parent kills the whole group now


if __name__ == "__main__":
    main()
