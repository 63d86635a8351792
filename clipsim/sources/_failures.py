"""What yt-dlp says when it fails, and which of our errors that is. One table for messages, one for exceptions.

YouTube's sentences reach yt-dlp in English (it asks for them so) and pass through it unchanged; those below are from
yt-dlp's `extractor/youtube/_video.py` and its issues. Exceptions are told by the names of their classes, so that this
module needs no yt-dlp.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator

from clipsim import errors
from clipsim.errors import ClipSimError

# In this order: "sign in to confirm" is of a bot or of an age, "unavailable" may be for a country only.
MESSAGES: tuple[tuple[str, type[ClipSimError]], ...] = (
    (r"not a bot|captcha|ip is likely being blocked|unusual traffic", errors.BotCheck),
    (r"rate.?limit|too many requests|error 429|isn't available, try again later", errors.RateLimited),
    (r"(in|from) your (country|location|region)|geo.?restrict|your country", errors.GeoBlocked),
    (r"confirm your age|age.?restricted|age.?verif|inappropriate for some users", errors.AgeRestricted),
    (r"members.only|channel's members|join this channel|premium members|youtube premium", errors.MembersOnly),
    (r"requires payment|pay to watch|\brent(al)?\b|purchase", errors.MembersOnly),
    (r"private video|video is private", errors.Private),
    (r"premieres? (in|will|on)|event will begin|will begin (in|shortly)|^(\[.*?\] )?(\S+: )?offline", errors.Upcoming),
    (r"not currently live|is offline|will be live", errors.Upcoming),
    (r"drm protected|no video formats|format is not available|only images are available", errors.NoStreams),
    (r"file is larger than max|filesize", errors.TooLarge),
    (r"removed|terminated|no longer available|no longer exist|does(n't| not) exist|deleted", errors.Removed),
    (r"copyright (claim|grounds)|account .* closed|(isn't|is not) available|unavailable", errors.Removed),
    (r"no space left on device|disk quota exceeded", errors.DiskFull),
    (r"unsupported url|no suitable extractor|is not a valid url", errors.UnknownLink),
    (
        r"timed out|name resolution|name or service|getaddrinfo|connection (refused|reset|aborted)|unreachable"
        r"|unable to download (api page|webpage|json)|failed to extract any player response",
        errors.NetworkDown,
    ),
)
_TABLE = tuple((re.compile(pattern), kind) for pattern, kind in MESSAGES)

EXCEPTIONS: dict[str, type[ClipSimError]] = {
    "GeoRestrictedError": errors.GeoBlocked,
    "UserNotLive": errors.Upcoming,
    "UnsupportedError": errors.UnknownLink,
    "ContentTooShortError": errors.NetworkDown,
    "TransportError": errors.NetworkDown,  # and its heirs: time-outs, SSL, proxies, broken bodies
    "CookieLoadError": errors.InvalidSetting,
}
STATUS: dict[int, type[ClipSimError]] = {  # HTTP
    402: errors.RateLimited,
    403: errors.FetchFailed,
    404: errors.Removed,
    410: errors.Removed,
    429: errors.RateLimited,
    451: errors.GeoBlocked,
}
NUMBERS: dict[int, type[ClipSimError]] = {  # of OSError
    errno.ENOSPC: errors.DiskFull,
    errno.EDQUOT: errors.DiskFull,
    errno.EFBIG: errors.TooLarge,  # RLIMIT_FSIZE
}
MAX_CHAIN = 12  # exceptions behind an exception
WARNED = (errors.BotCheck, errors.RateLimited, errors.AgeRestricted, errors.GeoBlocked)  # believed of a warning alone


def classify(error: BaseException, warnings: Iterable[str] = ()) -> type[ClipSimError]:
    """The error of ours behind one of yt-dlp's: by what caused it, else by its words, else by yt-dlp's warnings.

    A sentence of YouTube's own outranks the transport's state: a page that says "private" arrives by HTTP as well.
    """
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in NUMBERS:
            return NUMBERS[cause.errno]
    for cause in chain:
        if "GeoRestrictedError" in _names(cause):
            return errors.GeoBlocked
    spoken = next((kind for cause in chain if (kind := by_message(str(cause)))), None)
    if spoken not in (None, errors.NetworkDown, errors.Removed):
        return spoken  # type: ignore[return-value]
    for cause in chain:
        kind = _by_exception(cause)
        if kind is not None:
            return kind
    if spoken is not None and spoken is not errors.NetworkDown:
        return spoken
    warned = next((kind for line in warnings if (kind := by_message(line)) in WARNED), None)
    return warned or spoken or errors.FetchFailed


def by_message(message: str) -> type[ClipSimError] | None:
    """The error that a sentence is, by `MESSAGES`; None where it is in none."""
    text = message.lower().replace("’", "'").removeprefix("error: ").strip()
    return next((kind for pattern, kind in _TABLE if pattern.search(text)), None)


def _by_exception(error: BaseException) -> type[ClipSimError] | None:
    status = getattr(error, "status", None)
    if isinstance(status, int) and "HTTPError" in _names(error):
        return STATUS.get(status, errors.NetworkDown if status >= 500 else errors.FetchFailed)
    named = next((EXCEPTIONS[name] for name in _names(error) if name in EXCEPTIONS), None)
    if named is None and isinstance(error, ConnectionError | TimeoutError):
        return errors.NetworkDown
    return named


def _names(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those behind it: yt-dlp keeps them in `exc_info` and `cause` as well."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < MAX_CHAIN:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        info = getattr(current, "exc_info", None)
        behind = [info[1] if isinstance(info, tuple) and len(info) == 3 else None]
        behind += [getattr(current, "cause", None), current.__cause__, current.__context__]
        waiting += [item for item in behind if isinstance(item, BaseException)]
