"""yt-dlp's own exceptions and YouTube's own sentences, each to the right error."""

from __future__ import annotations

import errno
import io
from typing import Any

import pytest

from clipsim import errors
from clipsim.sources._failures import classify
from tests.doubles.youtube import ERRORS

FAQ = "Use --cookies-from-browser or --cookies for the authentication. See  https://github.com/yt-dlp/yt-dlp/wiki/FAQ"

SENTENCES = [
    ("Private video. Sign in if you've been granted access to this video. " + FAQ, errors.Private),
    ("Video unavailable. This video is private", errors.Private),
    ("This video is private. If the owner of this video has granted you access, please sign in.", errors.Private),
    ("Video unavailable", errors.Removed),
    ("This video is unavailable", errors.Removed),
    ("Video unavailable. This video is not available", errors.Removed),
    ("Video unavailable. This video has been removed by the uploader", errors.Removed),
    ("This video has been removed for violating YouTube's Terms of Service", errors.Removed),
    ("This video isn't available anymore", errors.Removed),
    ("Video unavailable. This video is no longer available due to a copyright claim by a third party", errors.Removed),
    ("This video is no longer available because the uploader has closed their YouTube account.", errors.Removed),
    ("This live stream recording is not available.", errors.Removed),
    ("Video unavailable. The uploader has not made this video available in your country", errors.GeoBlocked),
    (
        "This video contains content from SME, who has blocked it in your country on copyright grounds",
        errors.GeoBlocked,
    ),
    ("It contains content from Rental Private Video, who has blocked it in your country", errors.GeoBlocked),
    ("This video is not available from your location due to geo restriction", errors.GeoBlocked),
    ("Sign in to confirm your age. This video may be inappropriate for some users. " + FAQ, errors.AgeRestricted),
    ("This video is age-restricted and only available on YouTube", errors.AgeRestricted),
    ("Sign in to confirm you’re not a bot. " + FAQ, errors.BotCheck),
    ("Sign in to confirm you're not a bot. This helps protect our community. Learn more", errors.BotCheck),
    ("Please sign in. YouTube is requiring a captcha challenge before playback", errors.BotCheck),
    ("All player responses are invalid. Your IP is likely being blocked by Youtube", errors.BotCheck),
    (
        "Join this channel to get access to members-only content like this video, and other exclusive perks.",
        errors.MembersOnly,
    ),
    ("This video is available to this channel's members on level: Gold (or any higher level).", errors.MembersOnly),
    ("Join this channel from your computer or Android app to get access to members-only content", errors.MembersOnly),
    ("This video is only available to Music Premium members", errors.MembersOnly),
    ("This video requires payment to watch.", errors.MembersOnly),
    ("Premieres in 3 days", errors.Upcoming),
    ("Premiere will begin shortly", errors.Upcoming),
    ("This live event will begin in 11 hours.", errors.Upcoming),
    ("This live event will begin in a few moments.", errors.Upcoming),
    (ERRORS["rate-limit"][1], errors.RateLimited),
    ("This video is DRM protected", errors.NoStreams),
    ("No video formats found!", errors.NoStreams),
    ("Requested format is not available. Use --list-formats for a list of available formats", errors.NoStreams),
    ("Only images are available for download. use --list-formats to see them", errors.NoStreams),
    ("Failed to extract any player response", errors.NetworkDown),
    ("Unsupported URL: http://media.home/", errors.UnknownLink),
    ("We're processing this video. Check back later.", errors.FetchFailed),
]


def raised(cause: BaseException | type[BaseException], *, through: bool = True) -> Exception:
    """The DownloadError that the caller of `YoutubeDL.extract_info` really gets for an exception in the extractor."""
    import yt_dlp
    from yt_dlp.extractor.common import InfoExtractor

    class FailingIE(InfoExtractor):
        _VALID_URL = r"fail:(?P<id>.+)"
        IE_NAME = "youtube"

        def _real_extract(self, url: str) -> Any:
            raise cause

    class Silent:
        debug = info = warning = error = lambda *_: None

    with yt_dlp.YoutubeDL({"quiet": True, "logger": Silent(), "cachedir": False}, auto_init=False) as ydl:
        ydl.add_info_extractor(FailingIE())
        try:
            ydl.extract_info("fail:dQw4w9WgXcQ", download=False)
        except Exception as error:
            return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(("sentence", "kind"), SENTENCES)
def test_sentences(sentence: str, kind: type[errors.ClipSimError]) -> None:
    from yt_dlp.utils import ExtractorError

    assert classify(raised(ExtractorError(sentence, expected=True))) is kind


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_the_doubles_sentences_are_all_in_the_table(name: str) -> None:
    from yt_dlp import utils

    assert classify(raised(getattr(utils, ERRORS[name][0])(ERRORS[name][1]))) is not errors.FetchFailed


def http(status: int) -> BaseException:
    from yt_dlp.networking import Response
    from yt_dlp.networking.exceptions import HTTPError

    return HTTPError(Response(io.BytesIO(), "https://www.youtube.com/watch?v=x", {}, status=status))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, errors.RateLimited),
        (403, errors.FetchFailed),
        (404, errors.Removed),
        (410, errors.Removed),
        (451, errors.GeoBlocked),
        (500, errors.NetworkDown),
        (503, errors.NetworkDown),
        (400, errors.FetchFailed),
    ],
)
def test_http(status: int, kind: type[errors.ClipSimError]) -> None:
    from yt_dlp.utils import ExtractorError

    assert classify(http(status)) is kind
    wrapped = ExtractorError("Unable to download API page", cause=http(status), expected=True)
    assert classify(raised(wrapped)) is kind


def test_exceptions() -> None:
    from yt_dlp.networking.exceptions import CertificateVerifyError, IncompleteRead, ProxyError, TransportError
    from yt_dlp.utils import ContentTooShortError, ExtractorError, GeoRestrictedError, UserNotLive

    assert classify(raised(GeoRestrictedError("Not here", countries=["DE"]))) is errors.GeoBlocked
    assert classify(raised(UserNotLive())) is errors.Upcoming
    for error in (TransportError("x"), CertificateVerifyError("x"), ProxyError("x"), IncompleteRead(3, 5)):
        assert classify(error) is errors.NetworkDown
        assert classify(raised(ExtractorError("Unable to download webpage", cause=error))) is errors.NetworkDown
    assert classify(ContentTooShortError(3, 5)) is errors.NetworkDown
    assert classify(TimeoutError()) is errors.NetworkDown
    assert classify(ConnectionResetError()) is errors.NetworkDown
    assert classify(KeyError("streamingData")) is errors.FetchFailed


def test_the_disk() -> None:
    from yt_dlp.utils import UnavailableVideoError

    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as cause:
            raise UnavailableVideoError(cause) from cause
    except UnavailableVideoError as error:
        assert classify(error) is errors.DiskFull
    assert classify(OSError(errno.EFBIG, "File too large")) is errors.TooLarge


def test_a_sentence_outranks_the_way_it_came() -> None:
    from yt_dlp.utils import ExtractorError

    assert classify(ExtractorError("Sign in to confirm you’re not a bot", cause=http(403))) is errors.BotCheck


def test_warnings_are_the_last_resort() -> None:
    from yt_dlp.utils import ExtractorError

    unclear = ExtractorError("Failed to extract any player response", expected=True)
    assert classify(unclear, ["[youtube] x: Sign in to confirm you’re not a bot"]) is errors.BotCheck
    assert classify(unclear, ["nothing of note", "some formats are unavailable"]) is errors.NetworkDown


def test_chains_that_run_in_circles() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert classify(first) is errors.FetchFailed
