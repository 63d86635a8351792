from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsim.explain import LANGUAGES, MIN_CLASS, MIN_TAG, why, words
from clipsim.model import MODALITIES, Clip, Label

SKELETON = (
    "Both are is by from tagged play at about bpm fit one beat show sing of in and "
    "Closest They share nothing that can be named sound look words"
)
GRAMMAR = set(SKELETON.split())
TAGS = ["rock", "jazz", "guitar", "slow", "piano"]
CLASSES = ["dancing", "skiing", "juggling"]
WORDS = ["sea", "night", "fire", "mother"]
NAMES = ["Nirvana", "Bjork", "Abba"]


def labels(names: list[str]) -> st.SearchStrategy[tuple[Label, ...]]:
    one = st.builds(Label, st.sampled_from(names), st.floats(0, 1))
    return st.lists(one, max_size=4, unique_by=lambda label: label.label).map(tuple)


clips = st.builds(
    Clip,
    id=st.just("x"),
    title=st.just("Title"),
    artist=st.none() | st.sampled_from(NAMES),
    album=st.none() | st.sampled_from(["Debut", "Gold"]),
    genre=st.none() | st.sampled_from(["grunge", "pop"]),
    language=st.none() | st.sampled_from(["en", "pt-BR", "pt", "xx", "de"]),
    modalities=st.lists(st.sampled_from(MODALITIES), unique=True).map(tuple),
    tempo=st.none() | st.floats(30, 240),
    tags=labels(TAGS),
    classes=labels(CLASSES),
    words=st.lists(st.sampled_from(WORDS), unique=True).map(tuple),
)
similarities = st.dictionaries(st.sampled_from(MODALITIES), st.floats(-1, 1))


def facts(clip: Clip, by: set[str]) -> set[str]:
    """Every word that this clip's facts would put in a sentence."""
    found = {text for text in (clip.artist, clip.album, clip.genre) if text}
    if "audio" in by and "audio" in clip.modalities:
        found |= {label.label for label in clip.tags if label.score >= MIN_TAG}
    if "video" in by and "video" in clip.modalities:
        found |= {label.label for label in clip.classes if label.score >= MIN_CLASS}
    if "lyrics" in by and "lyrics" in clip.modalities:
        found |= set(clip.words)
        found |= {LANGUAGES[code] for code in [(clip.language or "").split("-")[0]] if code in LANGUAGES}
    return found


@given(clips, clips, similarities)
def test_nothing_is_invented(query: Clip, match: Clip, by) -> None:
    sentence = why(query, match, by)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 400
    named = {word for word in re.findall(r"[^\W\d_]+", sentence) if word not in GRAMMAR}
    assert named <= facts(query, set(by)) & facts(match, set(by)), sentence
    for number in map(int, re.findall(r"(\d+) (?:bpm|and)", sentence)):
        assert all(clip.tempo and min(abs(number - clip.tempo), abs(number - query.tempo)) < 6 for clip in (match,))
        assert "audio" in by and "audio" in query.modalities and "audio" in match.modalities
    shared = set(by) & set(query.modalities) & set(match.modalities)
    for sense, modality in (("sound", "audio"), ("look", "video"), ("words", "lyrics")):
        assert f"Closest in {sense}" not in sentence or modality in shared
    if "sing of" in sentence:
        assert "lyrics" in shared
    if "show " in sentence:
        assert "video" in shared


@given(clips, similarities)
def test_it_holds_both_ways(clip: Clip, by) -> None:
    other = Clip("y", "Other", tags=clip.tags, words=clip.words, modalities=clip.modalities)
    assert why(clip, other, by).startswith("Both") == why(other, clip, by).startswith("Both")


def pair(**facts: object) -> tuple[Clip, Clip]:
    every = {"modalities": MODALITIES, **facts}
    return Clip("a", "A", **every), Clip("b", "B", **every)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            {"tags": (Label("rock", 0.5), Label("guitar", 0.3)), "tempo": 120.2},
            "Both are tagged rock and guitar and play at about 120 bpm.",
        ),
        ({"artist": "Abba", "album": "Gold", "genre": "pop"}, "Both are by Abba, are from Gold and are pop."),
        ({"classes": (Label("skiing", 0.9), Label("dancing", 0.29))}, "Both show skiing."),
        ({"words": ("sea", "night"), "language": "pt-BR"}, "Both sing of sea and night and are in Portuguese."),
        ({}, "Closest in look (0.90)."),
        ({"tags": (Label("rock", 0.05),)}, "Closest in look (0.90)."),
        ({"genre": "rock", "tags": (Label("rock", 0.9),)}, "Both are rock."),
    ],
)
def test_sentences(facts: dict, sentence: str) -> None:
    assert why(*pair(**facts), {"audio": 0.8, "video": 0.9, "lyrics": 0.1}) == sentence


def test_tempos_that_fit_and_that_do_not() -> None:
    query, match = pair()

    def told(slow: float, fast: float) -> str:
        return why(
            *(Clip(c.id, c.title, modalities=MODALITIES, tempo=t) for c, t in ((query, slow), (match, fast))),
            {"audio": 1.0},
        )

    assert told(60, 121) == "Both fit one beat (60 and 121 bpm)."
    assert told(100, 103) == "Both play at about 102 bpm."
    assert told(100, 110) == "Closest in sound (1.00)."


def test_a_sense_that_one_lacks_is_not_spoken_of() -> None:
    query, match = pair(tags=(Label("rock", 0.9),), words=("sea",), tempo=100.0)
    deaf = Clip("c", "C", tags=match.tags, words=match.words, tempo=100.0, modalities=("lyrics",))
    assert why(query, deaf, {"audio": 0.9, "lyrics": 0.5}) == "Both sing of sea."
    assert why(query, deaf, {}) == "They share nothing that can be named."


def test_hostile_names_stay_in_one_short_line() -> None:
    name = "@everyone\n" * 100
    sentence = why(*pair(artist=name), {"audio": 1.0})
    assert "\n" not in sentence and len(sentence) < 120


# Words of lyrics


def test_words_are_those_sung_often_and_not_grammar() -> None:
    text = "Oh yeah, the sea\nThe sea is calling me\nDon't you know the night and the sea\nNight, oh night"
    assert words(text, "en")[:2] == ("sea", "night")
    assert not {"the", "oh", "yeah", "don't", "and", "know"} & set(words(text))


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("que el corazón de la noche, mi corazón", "es", ("corazón", "noche")),
        ("ich liebe dich, die Liebe und der Regen, Regen", "de", ("liebe", "regen")),
        ("você é a saudade, a saudade do mar", "pt-BR", ("saudade", "mar")),
        ("я люблю тебя, люблю весна", "ru", ("люблю", "весна")),
        ("君が好き 愛してる", "ja", ()),
        ("사랑 사랑 그대", "ko", ("사랑", "그대")),
        ("", None, ()),
        ("123 !!! ♪ [ ]", None, ()),
    ],
)
def test_words_of_other_languages(text: str, language: str | None, expected: tuple[str, ...]) -> None:
    assert words(text, language) == expected
    assert words(text) == expected


@given(st.text(max_size=2000), st.none() | st.text(max_size=10))
def test_any_lyrics_give_a_few_words(text: str, language: str | None) -> None:
    found = words(text, language)
    assert len(found) <= 10 and len(set(found)) == len(found)
    assert all(2 <= len(word) <= 24 and word in text.casefold().replace("’", "'") for word in found)


def test_real_lyrics_have_words(testdata: Path) -> None:
    with (testdata / "deck" / "lyrics.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["lyrics"] for row in csv.DictReader(file)]
    found = [words(text, "en") for text in texts if len(text) > 1000]
    assert len(found) > 100 and sum(len(one) == 10 for one in found) > 0.95 * len(found)
