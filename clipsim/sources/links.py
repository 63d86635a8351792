"""Who is it? Links and paths to canonical ids, without touching the network.

Everything here is hostile input: a host is compared whole, never searched for; what is not certainly one YouTube video
(or a link to a host that the operator named) is not a link.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from clipsim.errors import FileMissing, HostNotAllowed, UnknownLink

WATCH = "https://www.youtube.com/watch?v="  # the only form that is handed to yt-dlp
MAX_TEXT = 4096  # characters; a longer "link" is none
MAX_MESSAGE = 20_000  # characters of a chat message that are searched
DIGEST_LENGTH = 16  # hexadecimal digits of a SHA-256 in `local-` and `web-` ids

YOUTUBE_HOSTS = frozenset(
    prefix + host
    for host in ("youtube.com", "youtube-nocookie.com", "youtubekids.com")
    for prefix in ("", "www.", "m.", "music.", "gaming.")
)
SHORT_HOSTS = frozenset({"youtu.be", "www.youtu.be", "m.youtu.be"})
WATCH_PATHS = frozenset({"", "watch", "watch_popup", "movie", "ytscreeningroom"})  # their id is in the query
ID_PATHS = frozenset({"watch", "shorts", "live", "embed", "v", "e", "vi"})  # their id is the second part of the path
NOT_IDS = frozenset({"videoseries", "live_stream"})  # eleven characters, and yet a playlist and a channel
MEDIA_SUFFIXES = frozenset({".mp4", ".webm", ".mkv", ".mp3", ".m4a", ".ogg", ".opus", ".flac", ".wav"})

_ID = re.compile(r"[A-Za-z0-9_-]{11}(?![A-Za-z0-9_-])")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\]")
_URL = r"[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%\[\]{}\\^]"  # no space, quote, angle bracket, bar; nothing outside ASCII
_IN_MESSAGE = re.compile(
    rf"(?<![A-Za-z0-9/=?&%#@.+\-\\])"  # not in the middle of another address
    rf"(?:[A-Za-z][A-Za-z0-9+.-]{{0,19}}://|(?=(?:[a-z]{{1,6}}\.)?(?:youtube(?:-nocookie|kids)?\.com|youtu\.be)[/?])){_URL}+",
    re.IGNORECASE,
)
_BARE_IN_MESSAGE = r"(?<![A-Za-z0-9/=?&%#@.+\-\\:]){}(?=[/?]){}+"
_MARKDOWN = re.compile(r"!?\[[^\]]*\]\(\s*<?([^\s>]+?)>?(?:\s+\"[^\"]*\")?\s*\)")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_WRAPPERS = (("||", "||"), ("<", ">"), ("`", "`"), ('"', '"'), ("'", "'"), ("(", ")"), ("**", "**"))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a clip comes from. `id` is the clip's; `url` is the canonical link, `path` the absolute local path."""

    kind: Literal["youtube", "web", "file"]
    id: str
    url: str | None = None
    path: str | None = None
    text: str = ""  # as it was given


def parse(text: str, hosts: Sequence[str] = (), *, files: bool = True) -> Source:
    """The clip that `text` names: a link, a bare YouTube id (11 characters), or a local path.

    A name that is both an existing file and a YouTube id is the file. A local file is read to the end, for its digest:
    call this in a thread where that matters. Pass `files=False` for text that came from a stranger.

    Args:
        text: what a person typed or pasted, in whatever brackets.
        hosts: further hosts whose links are admitted (`settings.hosts`): `host`, or `host:port` for this port only.
        files: whether local paths are admitted at all.

    Raises:
        UnknownLink: it is none of these (a playlist, a channel, a title, …).
        HostNotAllowed: it is a link to another host.
        FileMissing: it is a path, and there is no such file.
    """
    given = _unwrap(text)
    if not given or len(given) > MAX_TEXT or not given.isprintable():
        raise UnknownLink
    scheme = _SCHEME.match(given)
    if scheme or (_is_link(given, hosts) and not (files and _exists(given))):
        return _link(given if scheme else f"https://{given}", hosts, text)
    if files and _exists(given):
        return _file(given, text)
    if _ID.fullmatch(given) and given not in NOT_IDS:
        return _youtube(given, text)
    if files and _looks_like_path(given):
        raise FileMissing(f"There is no such file: {_short(given)}.")
    raise UnknownLink


def find_links(message: str, hosts: Sequence[str] = ()) -> list[Source]:
    """All clips that a chat message links to, in order, each once. Never raises: what is not a clip is not found.

    Bare ids are not looked for, nor paths; `hosts` as for `parse`.
    """
    found: dict[str, Source] = {}
    for candidate in candidates(message[:MAX_MESSAGE], hosts):
        try:
            source = _link(candidate if _SCHEME.match(candidate) else f"https://{candidate}", hosts, candidate)
        except (UnknownLink, HostNotAllowed):
            continue
        found.setdefault(source.id, source)
    return list(found.values())


def candidates(message: str, hosts: Sequence[str] = ()) -> Iterator[str]:
    """Whatever in a message looks like a link to YouTube, has a scheme, or begins with one of `hosts`."""
    patterns = [_IN_MESSAGE]
    if hosts:
        names = "(?:{})".format("|".join(re.escape(host) for host in hosts))
        patterns.append(re.compile(_BARE_IN_MESSAGE.format(names, _URL), re.IGNORECASE))
    matches = sorted((match for pattern in patterns for match in pattern.finditer(message)), key=lambda m: m.start())
    end = 0
    for match in matches:
        if match.start() < end:
            continue
        end = match.end()
        before = message[match.start() - 1 : match.start()]
        for part in re.split(r"[,;](?=https?://)", match.group(), flags=re.IGNORECASE):
            if len(part) <= MAX_TEXT:
                yield _trim(part, before)


def _trim(link: str, before: str) -> str:
    """Without the punctuation that ends a sentence, the bracket or mark that was opened before the link."""
    if before and before in "_*~":
        link = link.rstrip("_*~" if before == "_" else "*~")
    while link:
        last = link[-1]
        if last in ".,;:!?'\"*\\" or (last in _PAIRS and link.count(last) > link.count(_PAIRS[last])):
            link = link[:-1]
        else:
            break
    return link


def _unwrap(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_TEXT:
        return text
    if match := _MARKDOWN.fullmatch(text):
        text = match.group(1)
    peeled = True
    while peeled:
        peeled = False
        for left, right in _WRAPPERS:
            if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
                text, peeled = text[len(left) : -len(right)].strip(), True
    return text


def _is_link(text: str, hosts: Sequence[str]) -> bool:
    """Whether text without a scheme begins with a host that we know, and goes on as a link does."""
    head = re.split(r"[/?#]", text, maxsplit=1)[0].lower()
    bare = head.removesuffix(":443").removesuffix(".")
    known = bare in YOUTUBE_HOSTS | SHORT_HOSTS or any(host.lower() in (head, head.split(":")[0]) for host in hosts)
    return known and len(text) > len(head)


def _link(url: str, hosts: Sequence[str], text: str) -> Source:
    """The source behind a link that has a scheme."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:  # a broken port or bracket
        raise UnknownLink from None
    if parts.scheme not in ("http", "https"):
        raise UnknownLink
    netloc = parts.netloc
    if "@" in netloc or "\\" in url or not netloc.isascii() or not _HOST.fullmatch(_bracket(host)):
        raise UnknownLink  # a name before the host, or letters that only look like the host's
    if host in YOUTUBE_HOSTS or host in SHORT_HOSTS:
        if port not in (None, 80 if parts.scheme == "http" else 443):
            raise UnknownLink
        video = _video_id(parts, host)
        if video is None:
            raise UnknownLink("That is a YouTube link, but not to one video.")
        return _youtube(video, text)
    if not _allowed(host, port or (80 if parts.scheme == "http" else 443), hosts):
        raise HostNotAllowed
    return _web(parts, host, port, text)


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _allowed(host: str, port: int, hosts: Sequence[str]) -> bool:
    """A host named without a port admits all of its ports."""
    names = {host, _bracket(host), f"{_bracket(host)}:{port}"}
    return any(entry.lower() in names for entry in hosts)


def _video_id(parts: SplitResult, host: str, *, depth: int = 0) -> str | None:
    """The id of the one video that a link to a YouTube host names, or None."""
    path = [part for part in parts.path.split("/") if part]
    head = path[0] if path else ""
    if host in SHORT_HOSTS and head and head != "watch":
        return _leading_id(head)
    if head in ID_PATHS and len(path) > 1:
        return _leading_id(path[1])
    query = parse_qs(parts.query, max_num_fields=100) if parts.query.count("&") < 100 else {}
    if len(path) <= 1 and head in WATCH_PATHS:
        if "v" in query:
            return _leading_id(query["v"][0])
        if parts.fragment and depth == 0:  # youtube.com/#/watch?v=… and youtube.com/watch#!v=…
            inner = parts.fragment.lstrip("!/").removeprefix("watch?")
            return _video_id(SplitResult("https", host, "/watch", inner, ""), host, depth=1)
    if len(path) == 1 and head == "attribution_link" and "u" in query and depth == 0:
        return _attributed(query["u"][0])
    return None


def _attributed(target: str) -> str | None:
    """attribution_link?u=/watch?v=… names a page of YouTube itself, or is not followed."""
    try:
        inner = urlsplit(target)
        host = inner.netloc.lower() or "www.youtube.com"
    except ValueError:
        return None
    if inner.scheme not in ("", "http", "https") or host not in YOUTUBE_HOSTS | SHORT_HOSTS:
        return None
    return _video_id(inner, host, depth=1)


def _leading_id(text: str) -> str | None:
    """The id that text begins with: people write `ID?si=…`, `ID&t=…` and `ID.` where they should not."""
    match = _ID.match(text)
    return match.group() if match and match.group() not in NOT_IDS else None


def _youtube(video: str, text: str) -> Source:
    return Source("youtube", video, url=WATCH + video, text=text)


def _web(parts: SplitResult, host: str, port: int | None, text: str) -> Source:
    default = 80 if parts.scheme == "http" else 443
    netloc = _bracket(host) + (f":{port}" if port not in (None, default) else "")
    path = quote(parts.path or "/", safe="/%:=&~+!$,;'@()*[]")
    query = quote(parts.query, safe="/%:=&?~+!$,;'@()*[]")
    url = f"{parts.scheme}://{netloc}{path}" + (f"?{query}" if query else "")
    return Source("web", "web-" + hashlib.sha256(url.encode()).hexdigest()[:DIGEST_LENGTH], url=url, text=text)


def _exists(text: str) -> bool:
    """Whether something lies there; a folder counts only where a path was plainly meant, not a title of one word."""
    try:
        path = Path(text).expanduser()
        return path.exists() and ("/" in text or not path.is_dir())
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, no such user's home
        return False


def _looks_like_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~", ".\\")) or Path(text).suffix.lower() in MEDIA_SUFFIXES


def _file(text: str, given: str) -> Source:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise FileMissing(f"That is not a file: {_short(text)}.")
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FileMissing(f"That file cannot be read: {_short(text)} ({error.strerror}).") from None
    return Source("file", f"local-{digest[:DIGEST_LENGTH]}", path=str(path), text=given)


def _short(text: str, length: int = 200) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
