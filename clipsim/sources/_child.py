"""The process of one fetch: `python -m clipsim.sources._child`. Runs yt-dlp once, then is killed with all it started.

One line of JSON comes in on stdin, the request; lines of JSON go out on stdout: `{"found": {…}}` once it is known who
the clip is, `{"bytes", "total"}` while it downloads, `{"part": {…}}` for the captions and for each file when it is
complete, at last `{"done": {…}}` or `{"error": {code, message, hint}}`. Nothing else is ever exchanged: no pickles.
Files are written into the request's folder, which is this fetch's own.

Sound, picture and captions are fetched at once, each by a download of yt-dlp's own in a thread (as yt-dlp itself does
with the fragments of one stream).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
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
GONE = ("[Private video]", "[Deleted video]")  # what YouTube calls a clip of a list that cannot be seen
CAPTIONS = "captions"  # the stem of the caption file
DIRECT = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")  # taken away from a fetch that goes past any proxy
NAMES = {".webm", ".mp4", ".m4a", ".mkv", ".mp3", ".ogg", ".opus", ".flac", ".wav", ".ts", ".aac"}


@dataclass(frozen=True)
class Request:
    """What the parent asks for."""

    kind: str  # "youtube", "web", or "list": which clips a playlist has
    url: str
    folder: str
    hosts: list[str]
    max_bytes: int
    max_duration: float
    timeout: float
    cookies: str | None
    proxy: str | None
    cache: str | None
    most: int = 0  # clips that are listed


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
        self.counting = threading.Lock()
        self.choice: _streams.Choice | None = None
        self.expected: float | None = None
        self.spoke = 0.0
        self.refusal: ClipSimError | None = None
        self.stopped = threading.Event()  # one download failed: the others need not go on

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
        if self.request.kind == "list":
            return self._list(ydl)
        youtube = self.request.kind == "youtube"
        info = ydl.extract_info(self.request.url, download=False, process=False, ie_key="Youtube" if youtube else None)
        self._judge(info)
        info = ydl.process_ie_result(info, download=False)
        if not info or info.get("_type", "video") != "video":
            raise errors.NoStreams("That link leads to a list, not to one clip.", hint="Paste the link of one clip.")
        self._judge(info)
        if self.choice is None or not self.choice.formats:
            raise errors.NoStreams
        fields = {name: _bounded(info.get(name)) for name in FIELDS}
        spoken = next((item.get("language") for item in self.choice.formats if item.get("language")), None)
        fields["language"] = fields.get("language") or spoken
        self.report({"found": fields})
        answer = self._download(ydl, info, self.choice.formats)
        if answer["audio"] is None and answer["video"] is None:
            raise errors.NotMedia("What was fetched holds neither sound nor picture.", hint="")
        fields["duration"] = fields.get("duration") or answer.pop("seconds")
        return {"info": fields, **answer}

    def _list(self, ydl: Any) -> dict[str, Any]:
        """{title, ids, total}: the clips of a playlist that can be seen, none of them looked into."""
        info = ydl.extract_info(self.request.url, download=False, ie_key="YoutubeTab") or {}
        ids = []
        for entry in itertools.islice(info.get("entries") or (), self.request.most):
            away = entry.get("title") in GONE or entry.get("live_status") in ("is_live", "is_upcoming")
            if isinstance(entry.get("id"), str) and not away:
                ids.append(entry["id"][:MAX_ITEM])
        if not ids:
            raise errors.EmptyPlaylist
        return {"title": _bounded(info.get("title")), "ids": ids, "total": _bounded(info.get("playlist_count"))}

    def _download(self, ydl: Any, info: Mapping[str, Any], formats: tuple[_streams.Format, ...]) -> dict[str, Any]:
        """Every stream and the captions at once, each told as a part when it is complete. The first failure counts."""
        tasks: list[Callable[[], dict[str, Any]]] = [partial(self._captions, ydl, info)]
        tasks += [partial(self._stream, ydl, {**info, **item}, number) for number, item in enumerate(formats)]
        answer: dict[str, Any] = {"audio": None, "video": None, "seconds": None}

        def work(task: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            part = task()
            self.report({"part": part})
            return part

        pool = ThreadPoolExecutor(len(tasks))
        futures: list[Future[dict[str, Any]]] = [pool.submit(work, task) for task in tasks]
        wait(futures, return_when=FIRST_EXCEPTION)
        self.stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)  # a download that stalls dies with the process
        for failed in (future for future in futures if future.done() and future.exception() is not None):
            failed.result()
        for part in (future.result() for future in futures):
            seconds = part.pop("seconds", None)
            answer["seconds"] = max(filter(None, (seconds, answer["seconds"])), default=None)
            answer |= {name: value for name, value in part.items() if answer.get(name) is None}
        return answer

    def _stream(self, ydl: Any, item: dict[str, Any], number: int) -> dict[str, Any]:
        """One stream, fetched, looked into and given a plain name."""
        suffix = f".{item.get('ext')}".lower()
        path = Path(self.request.folder) / f"stream-{number}{suffix if suffix in NAMES else '.bin'}"
        try:
            success = ydl.dl(str(path), item)
        except Exception:
            if self.refusal is not None:
                raise self.refusal from None
            raise
        if not (success and success[0]) or not path.is_file():
            raise errors.FetchFailed
        return self._probe(path, item)

    def _options(self) -> dict[str, Any]:
        request = self.request
        youtube = request.kind in ("youtube", "list")
        names = {"youtube": ["^youtube$"], "list": ["^youtube:tab$"], "web": ["default"]}
        listed = {"extract_flat": True, "playlistend": request.most, "noplaylist": False, "match_filter": None}
        return {
            "quiet": True,
            "noprogress": True,
            "no_color": True,
            "logger": self,
            "allowed_extractors": names[request.kind],
            "noplaylist": True,
            "ignoreerrors": False,
            "match_filter": self._judge,
            "format": self._select,
            "progress_hooks": [self._progress],
            "paths": {"home": request.folder, "temp": request.folder},
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
        } | (listed if request.kind == "list" else {})

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
        self.choice, self.expected = choice, size
        yield from choice.formats

    def _progress(self, state: Mapping[str, Any]) -> None:
        name = str(state.get("filename"))
        if self.stopped.is_set():
            raise _stop()
        if Path(name).stem == CAPTIONS:
            if (state.get("downloaded_bytes") or 0) > MAX_CAPTIONS or (state.get("total_bytes") or 0) > MAX_CAPTIONS:
                raise _stop()
            return
        with self.counting:  # several downloads tell at once: what is told must never go down
            self.received[name] = state.get("downloaded_bytes") or state.get("total_bytes") or 0
            received = sum(self.received.values())
            total = received + max(0, (state.get("total_bytes") or 0) - self.received[name])
            if total > self.request.max_bytes:
                self._refuse(_too_large(total, self.request.max_bytes))
            now = time.monotonic()
            if now - self.spoke >= EVENT_PAUSE or state.get("status") == "finished":
                self.spoke = now
                self.report({"bytes": received, "total": self.expected})

    def _refuse(self, error: ClipSimError) -> None:
        """Stop yt-dlp from inside one of its hooks."""
        self.refusal = error
        raise _stop() from error

    # what it fetched

    def _probe(self, path: Path, item: Mapping[str, Any]) -> dict[str, Any]:
        """{audio, video, seconds}: the file's name by what is really in it, given a plain one."""
        from clipsim import media

        found = media.probe(path)
        if found.duration is not None and found.duration > self.request.max_duration + media.SLACK:
            raise _too_long(found.duration, self.request.max_duration)
        wants_sound = item.get("acodec") != "none" and found.has_audio
        wants_picture = item.get("vcodec") != "none" and found.has_video
        kind = "clip" if wants_sound and wants_picture else "audio" if wants_sound else "video"
        name = path.rename(path.with_name(kind + path.suffix)).name
        return {
            "audio": name if wants_sound else None,
            "video": name if wants_picture else None,
            "seconds": found.duration,
        }

    def _captions(self, ydl: Any, info: Mapping[str, Any]) -> dict[str, Any]:
        """{captions, note}: one file at most; where it fails the clip goes on without, and the note says why."""
        captions, note = self._caption_file(ydl, info)
        return {"captions": captions, "note": note}

    def _caption_file(self, ydl: Any, info: Mapping[str, Any]) -> tuple[dict[str, str] | None, str | None]:
        manual, automatic = info.get("subtitles"), info.get("automatic_captions")
        chosen = _streams.captions(manual, automatic, info.get("language"))
        if chosen is None:
            return None, None
        kind, key = chosen
        tracks = (manual if kind == "manual" else automatic) or {}
        track = next((item for ext in CAPTION_FORMATS for item in tracks[key] if item.get("ext") == ext), None)
        if track is None:
            return None, "Its captions are in a form that cannot be read."
        name = Path(self.request.folder) / f"{CAPTIONS}.{track['ext']}"
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


def _prepare() -> None:
    """Import what every fetch needs: a process that is kept ready has done so before it is asked."""
    import av
    import yt_dlp.extractor.youtube

    from clipsim import media

    del av, yt_dlp, media


def _move_in(request: Request) -> None:
    """Live in the request's folder: whatever this process or one that it starts writes goes there."""
    os.chdir(request.folder)
    tempfile.tempdir = request.folder
    os.environ |= {"TMPDIR": request.folder, "DENO_DIR": str(Path(request.folder) / "deno")}
    if request.kind == "web":
        for name in DIRECT:
            os.environ.pop(name, None)
            os.environ.pop(name.upper(), None)


def main() -> None:
    """Read the request, fetch, answer, and wait to be killed."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints (yt-dlp, plugins) must not end up among the answers
    lock = threading.Lock()

    def report(event: dict[str, Any]) -> None:
        with lock:
            out.write(json.dumps(event).encode() + b"\n")
            out.flush()

    _prepare()
    request = _request(0)
    threading.Thread(target=_guard.die_with_parent, daemon=True).start()
    _guard.limit_resources(request.max_bytes, request.timeout)
    _move_in(request)
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
