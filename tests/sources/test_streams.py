"""Which streams and captions are fetched, on YouTube's real tables of formats."""

from __future__ import annotations

from typing import Any

import pytest

from clipsim.sources._streams import Choice, captions, choose, short_side


def sound(id: str, codec: str, rate: float, **more: Any) -> dict[str, Any]:
    common = {"format_id": id, "url": "u", "protocol": "https", "acodec": codec, "vcodec": "none", "abr": rate}
    return {**common, "filesize": int(rate * 125 * 240), **more}


def picture(id: str, width: int, height: int, rate: float, codec: str = "vp9", **more: Any) -> dict[str, Any]:
    common = {"format_id": id, "url": "u", "protocol": "https", "acodec": "none", "vcodec": codec}
    return {**common, "width": width, "height": height, "tbr": rate, "filesize": int(rate * 125 * 240), **more}


# The table of an ordinary music video of four minutes, as YouTube lists it.
TABLE = [
    {
        "format_id": "sb0",
        "url": "u",
        "protocol": "mhtml",
        "acodec": "none",
        "vcodec": "none",
        "width": 160,
        "height": 90,
    },
    sound("139", "mp4a.40.5", 48.8),
    sound("249", "opus", 50.2),
    sound("250", "opus", 66.4),
    sound("140", "mp4a.40.2", 129.5),
    sound("251", "opus", 131.1),
    picture("160", 256, 144, 40, "avc1.4d400c"),
    picture("278", 256, 144, 60),
    picture("394", 256, 144, 48, "av01.0.00M.08"),
    picture("133", 426, 240, 120, "avc1.4d4015"),
    picture("242", 426, 240, 105),
    picture("395", 426, 240, 82, "av01.0.00M.08"),
    picture("134", 640, 360, 260, "avc1.4d401e"),
    picture("396", 640, 360, 160, "av01.0.01M.08"),
    picture("137", 1920, 1080, 2600, "avc1.640028"),
    picture("401", 3840, 2160, 9000, "av01.0.12M.08"),
    {**picture("18", 640, 360, 420, "avc1.42001E"), "acodec": "mp4a.40.2"},
]


def ids(choice: Choice) -> tuple[str | None, str | None]:
    return choice.audio and choice.audio["format_id"], choice.video and choice.video["format_id"]


def without(*names: str) -> list[dict[str, Any]]:
    return [item for item in TABLE if item["format_id"] not in names]


def test_an_ordinary_video_takes_four_megabytes() -> None:
    choice = choose(TABLE, 240)
    assert ids(choice) == ("250", "395")
    assert choice.size(240) == pytest.approx(4.45e6, rel=0.01)  # where its largest would take 270 MB
    assert len(choice.formats) == 2


def test_sound_keeps_its_treble() -> None:
    assert ids(choose(without("250"), 240))[0] == "251"  # Opus, where AAC is hardly smaller
    assert ids(choose(without("250", "251"), 240))[0] == "140"
    assert ids(choose(without("250", "140", "251"), 240))[0] == "249"  # whole band before HE-AAC
    assert ids(choose(without("249", "250", "140", "251"), 240))[0] == "139"


def test_the_recording_itself_before_copies_of_it() -> None:
    dubs = [sound("250-1", "opus", 61, language="de", language_preference=-1)]
    own = [sound("251-0", "opus", 130, language="en", language_preference=10)]
    assert ids(choose([*dubs, *own]))[0] == "251-0"
    evened = sound("250-drc", "opus", 61, format_note="low, DRC")
    assert ids(choose([evened, sound("251", "opus", 130)]))[0] == "251"
    assert ids(choose([evened]))[0] == "250-drc"
    damaged = sound("599", "opus", 61, preference=-10)
    assert ids(choose([damaged, sound("251", "opus", 130)]))[0] == "251"


def test_upright_and_wide_pictures_by_their_short_side() -> None:
    upright = [picture("a", 144, 256, 40), picture("b", 240, 426, 90), picture("c", 360, 640, 200)]
    assert ids(choose(upright))[1] == "b"
    wide = [picture("a", 426, 178, 60), picture("b", 640, 266, 140), picture("c", 854, 356, 300)]
    assert ids(choose(wide))[1] == "b"
    assert short_side(wide[0]) == 178


def test_the_tallest_where_none_is_tall_enough() -> None:
    assert ids(choose([picture("a", 176, 128, 40), picture("b", 256, 144, 60)]))[1] == "b"


def test_standard_range_before_high() -> None:
    table = [picture("hdr", 426, 240, 60, dynamic_range="HDR10"), picture("sdr", 426, 240, 90, dynamic_range="SDR")]
    assert ids(choose(table))[1] == "sdr"


def test_one_stream_that_is_both() -> None:
    progressive = without(*(item["format_id"] for item in TABLE[:-1]))
    choice = choose(progressive, 240)
    assert ids(choice) == ("18", "18") and len(choice.formats) == 1
    assert ids(choose([*progressive, sound("250", "opus", 66)])) == ("18", "18")
    assert ids(choose([sound("250", "opus", 66)])) == ("250", None)
    assert ids(choose([picture("242", 426, 240, 100)])) == (None, "242")
    assert choose([]).formats == () and choose(TABLE[:1]).formats == ()


def test_what_cannot_be_fetched_is_not_chosen() -> None:
    assert choose([sound("1", "opus", 70, has_drm=True), sound("2", "opus", 70, protocol="rtmp")]).formats == ()
    assert choose([sound("1", "opus", 70, protocol="mhtml"), {**sound("2", "opus", 70), "url": None}]).formats == ()
    assert ids(choose([sound("hls", "opus", 70, protocol="m3u8_native"), sound("plain", "opus", 130)]))[0] == "plain"
    assert ids(choose([sound("hls", "opus", 70, protocol="m3u8_native")]))[0] == "hls"


def test_a_plain_link_says_nothing_of_itself() -> None:
    assert ids(choose([{"format_id": "0", "url": "u"}])) == ("0", "0")
    assert ids(choose([{"format_id": "mp3", "url": "u", "vcodec": "none"}])) == ("mp3", None)
    assert choose([{"format_id": "0", "url": "u"}]).size(None) is None
    assert choose([{"format_id": "0", "url": "u", "tbr": 800}]).size(10) == 1_000_000


HAND = {"en": [1], "de": [1], "live_chat": [1]}
MACHINE = {"es-orig": [1], "es": [1], "en": [1], "de": [1]}


@pytest.mark.parametrize(
    ("manual", "automatic", "language", "expected"),
    [
        (HAND, MACHINE, "de", ("manual", "de")),
        (HAND, MACHINE, "es", ("manual", "en")),
        (HAND, MACHINE, None, ("manual", "en")),
        ({"en-GB": [1]}, MACHINE, "en-US", ("manual", "en-GB")),
        ({"en-nP7-2PuUl7o": [1]}, {}, "en", ("manual", "en-nP7-2PuUl7o")),
        ({"fr": [1]}, MACHINE, "es", ("automatic", "es-orig")),
        ({}, MACHINE, None, ("automatic", "es-orig")),
        ({}, MACHINE, "es-419", ("automatic", "es-orig")),
        ({}, {"de": [1], "en": [1]}, "it", ("automatic", "en")),
        ({"fr": [1], "it": [1]}, {}, "es", ("manual", "fr")),
        ({"fr": [1]}, {}, None, ("manual", "fr")),
        ({"live_chat": [1]}, None, "en", None),
        ({"en": []}, {"de": [1]}, "es", None),
        (None, None, None, None),
    ],
)
def test_captions(manual: Any, automatic: Any, language: str | None, expected: tuple[str, str] | None) -> None:
    assert captions(manual, automatic, language) == expected
