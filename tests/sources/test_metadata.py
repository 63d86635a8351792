"""Strangers' titles and names, made safe and taken apart."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsim.sources._metadata import clean, clean_list, clip_from, duration, language, split_title, web_address


def made(**info: object) -> tuple[str | None, str]:
    clip = clip_from({"title": "Untitled", **info}, id="dQw4w9WgXcQ", url=None)
    return clip.artist, clip.title


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"track": "Song", "artists": ["A", "B"], "title": "A - Song (Video)"}, ("A, B", "Song")),
        ({"track": "Song", "artist": "A", "title": "x"}, ("A", "Song")),
        ({"artist": "A", "title": "A - Song (Official Music Video)"}, ("A", "Song")),
        ({"artist": "Label", "title": "A - Song"}, ("Label", "A - Song")),
        ({"title": "Song", "channel": "The Band - Topic"}, ("The Band", "Song")),
        ({"title": "Song", "uploader": "AdeleVEVO"}, ("Adele", "Song")),
        ({"title": "Song", "channel": "TaylorSwiftVEVO"}, ("Taylor Swift", "Song")),
        ({"title": "Adele - Hello (Official Music Video)", "channel": "AdeleVEVO"}, ("Adele", "Hello")),
        ({"title": "A – Song [Official HD Video]", "channel": "Some label"}, ("A", "Song")),
        ({"title": 'A - "Song" (Lyrics)'}, ("A", "Song")),
        ({"title": "A - Song (Live at Wembley)"}, ("A", "Song (Live at Wembley)")),
        ({"title": "A - Song (Acoustic) [Remix]"}, ("A", "Song (Acoustic) [Remix]")),
        ({"title": "A - B - C"}, ("A", "B - C")),
        ({"title": "No dash here", "channel": "Someone"}, (None, "No dash here")),
        ({"title": "well-known-word"}, (None, "well-known-word")),
        ({"title": " - "}, (None, "-")),
        ({"title": None}, (None, "dQw4w9WgXcQ")),
        ({"title": "\u202e\x00\ud800"}, (None, "dQw4w9WgXcQ")),
        ({"title": "(Official Video)"}, (None, "(Official Video)")),
    ],
)
def test_artist_and_title(info: dict[str, object], expected: tuple[str | None, str]) -> None:
    assert made(**info) == expected


def test_values_of_the_wrong_kind_are_dropped() -> None:
    info = {"title": 7, "artists": "x", "tags": {"a": 1}, "categories": [None, 3, "Music"], "duration": "long"}
    clip = clip_from({**info, "thumbnail": "javascript:alert(1)", "language": 5, "album": []}, id="i", url="u")
    assert clip.title == "i" and clip.keywords == ("a",) and clip.categories == ("Music",)
    assert clip.duration is None and clip.thumbnail is None and clip.album is None and clip.url == "u"


def test_lists_are_bounded() -> None:
    assert clean_list((f"tag {i}" for i in range(10**9)), 40) == tuple(f"tag {i}" for i in range(40))
    assert clean_list(("same" for _ in range(10**9)), 40) == ("same",)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *(("en", "en"), ("en-US", "en-US"), ("pt_BR", "pt-BR"), ("en-orig", "en"), ("a-en", "en")),
        *(("en-nP7-2PuUl7o", "en"), ("zh-Hans", "zh-Hans"), ("zh-Hant-TW", "zh-Hant-TW"), ("es-419", "es-419")),
        *(("und", None), ("", None), (None, None), ("English", None), (5, None)),
    ],
)
def test_languages(code: object, expected: str | None) -> None:
    assert language(code) == expected


def test_numbers_and_addresses() -> None:
    assert [duration(value) for value in (3, 2.5, 0, -1, float("nan"), float("inf"), True, "3")] == [
        *(3.0, 2.5, None, None, None, None, None, None)
    ]
    assert web_address("https://i.ytimg.com/vi/x/hqdefault.jpg") is not None
    for bad in (
        "data:image/png;base64,x",
        "//x/y",
        "https://",
        "https://a b",
        "https://é",
        "https://a/" + "x" * 3000,
        1,
    ):
        assert web_address(bad) is None


@given(st.text(max_size=2000), st.integers(1, 400))
def test_cleaned_text_plays_no_tricks(text: str, limit: int) -> None:
    line = clean(text, limit)
    if line is None:
        return
    assert 0 < len(line) <= limit and line == " ".join(line.split())
    kinds = {unicodedata.category(char) for char in line if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    line.encode()


@given(st.text(max_size=200))
def test_a_split_title_is_never_empty(text: str) -> None:
    title = clean(text)
    if title:
        artist, rest = split_title(title)
        assert rest.strip() and (artist is None or artist.strip())


def test_piles_of_marks_are_cut() -> None:
    assert len(clean("z" + "\u0301" * 500 + "algo", 300) or "") < 12
    assert clean("👨‍👩‍👧 می‌خواهم") == "👨‍👩‍👧 می‌خواهم"  # joiners that belong there
