"""Which words reach a text encoder, and what is said of those that do not."""

from __future__ import annotations

import pytest

from clipsim.encoders import PRESETS, Part, Preset
from clipsim.intake import _instrumental
from clipsim.model import Clip, Features, Label, Lyrics, Media
from clipsim.sources.lyrics import INSTRUMENTAL, UNHEARD
from clipsim.workers import stages
from tests.doubles.encoders import SmallText

ENGLISH = "Come a little closer now, I need you here tonight\nWe can dance until the morning and forget about the time"
KOREAN = "오늘 밤 나 혼자 강가를 걷네\n아무도 내 이름을 모르네\n불빛이 천천히 꺼져가"
PRESET = Preset(
    "both",
    (
        Part("english", "lyrics", 32, "tests.doubles.encoders:load_text", reads=("en",)),
        Part("all", "lyrics", 32, "tests.doubles.encoders:load_text"),
    ),
)


def _read(text: str | None, *notes: str, preset: Preset = PRESET, language: str | None = None) -> Features:
    lyrics = None if text is None else Lyrics(text, language)
    return stages.encode("lyrics", Media(Clip("x" * 11, "A title", notes=notes), lyrics=lyrics), preset, 60)


def test_an_encoder_is_given_the_lines_that_it_reads() -> None:
    found = _read(f"{KOREAN}\n{ENGLISH}")
    assert found.notes == ()
    assert (found.vectors["english"] == SmallText().encode(ENGLISH).vector).all()
    assert (found.vectors["all"] == SmallText().encode(f"{KOREAN}\n{ENGLISH}").vector).all()


@pytest.mark.parametrize("text", [KOREAN, f"{KOREAN}\noh yeah", KOREAN + "\nI love you"])
def test_words_that_no_encoder_reads_are_missing(text: str) -> None:
    found = _read(text, preset=Preset("one", PRESET.parts[:1]))
    assert not found.vectors
    assert found.notes == ("The words are in Korean, which the text encoder does not read.",)


def test_no_words_and_why() -> None:
    assert _read(None).notes == ("It has no lyrics.",)
    assert _read(None, "It has no captions.").notes == ("It has no captions.",)
    assert _read("hello", "It has no captions.").notes == ("Its lyrics are too short.",)


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        (("guitar", "instrumental"), INSTRUMENTAL),
        (("guitar", "rock"), UNHEARD),
        (("instrumental", "female vocalists"), UNHEARD),
        ((), UNHEARD),
    ],
)
def test_captions_of_marks_and_sound_without_a_singer_make_an_instrumental(tags: tuple[str, ...], note: str) -> None:
    features = Features(tags=tuple(Label(tag, 0.5) for tag in tags), notes=("It has no picture.", UNHEARD))
    assert _instrumental(features).notes == ("It has no picture.", note)
    unsaid = Features(tags=features.tags, notes=("It has no captions.",))
    assert _instrumental(unsaid) == unsaid


def test_presets_say_what_they_read() -> None:
    reads = {name: [part.reads for part in preset.of("lyrics")] for name, preset in PRESETS.items()}
    assert reads["standard"] == reads["small"] == [("en",)]
    assert reads["paper"] == [()]  # as the deck did: every text
