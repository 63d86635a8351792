"""Which words reach a text encoder, what is said of those that do not, and several clips at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clipsim.encoders import PRESETS, Encoded, Part, Preset
from clipsim.errors import ClipSimError, UnexpectedError
from clipsim.intake import _instrumental
from clipsim.model import MODALITIES, Clip, Features, Label, Lyrics, Media, Modality
from clipsim.sources.lyrics import INSTRUMENTAL, UNHEARD
from clipsim.workers import stages
from tests.doubles.encoders import SmallText
from tests.doubles.media import make_clip

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


# Several at once

SIGHT_AND_SOUND = Preset(
    "both",
    (
        Part("small", "video", 400, "tests.doubles.encoders:load_video"),
        Part("tags", "audio", 953, "tests.doubles.encoders:load_tags"),
        Part("words", "lyrics", 32, "tests.doubles.encoders:load_text"),
    ),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Media]:
    """Three good ones, one that is no media, one that is silent and black, and one that is not there."""
    folder = tmp_path_factory.mktemp("clips")
    files = [make_clip(folder / f"{i}.mp4", seconds=3 + i) for i in range(3)]
    (folder / "text.mp4").write_text("this is no film\n" * 1000)
    dull = make_clip(folder / "dull.mp4", seconds=3, black=True, silent=True)
    files += [folder / "text.mp4", dull, folder / "gone.mp4"]
    words = [ENGLISH, ENGLISH[:60], KOREAN, "hello", "", ENGLISH]
    return [
        Media(Clip(f"clip-{i}", f"Clip {i}"), audio=file, video=file, lyrics=Lyrics(text))
        for i, (file, text) in enumerate(zip(files, words, strict=True))
    ]


@pytest.mark.parametrize("modality", MODALITIES)
def test_several_clips_are_what_each_is_alone(modality: Modality, clips: list[Media]) -> None:
    together = stages.encode_many(modality, clips, SIGHT_AND_SOUND, 60)
    assert len(together) == len(clips)
    assert any(isinstance(found, Features) and found.vectors for found in together)
    for media, found in zip(clips, together, strict=True):
        try:
            alone = stages.encode(modality, media, SIGHT_AND_SOUND, 60)
        except ClipSimError as error:
            assert isinstance(found, type(error)) and found.message == error.message
            continue
        assert isinstance(found, Features)
        assert found.notes == alone.notes and found.vectors.keys() == alone.vectors.keys()
        for name, vector in alone.vectors.items():
            np.testing.assert_allclose(found.vectors[name], vector, rtol=1e-4, atol=1e-5 * np.abs(vector).max())
        assert [tag.label for tag in found.tags] == [tag.label for tag in alone.tags]
        assert (found.fingerprint is None) == (alone.fingerprint is None)
        assert found.fingerprint is None or np.array_equal(found.fingerprint, alone.fingerprint)


def test_an_encoder_that_breaks_over_all_is_asked_for_each(clips: list[Media], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that names no clip: the clips that are well without the one that sets it off are not lost."""

    class Fragile:
        def encode_many(self, texts: list[str]) -> list[Encoded | ClipSimError]:
            if any("hate" in text for text in texts):
                raise ZeroDivisionError
            return [SmallText().encode(text) for text in texts]

    monkeypatch.setattr(stages, "encoder", lambda part: Fragile())
    medias = [replace(clips[0], lyrics=Lyrics(f"{ENGLISH} {word}")) for word in ("love", "hate", "hope")]
    found = stages.encode_many("lyrics", medias, SIGHT_AND_SOUND, 60)
    assert [type(one) for one in found] == [Features, UnexpectedError, Features]


def test_no_clips_and_how_many_are_worth_it() -> None:
    assert stages.encode_many("audio", [], SIGHT_AND_SOUND, 60) == []
    assert all(stages.batch_size(modality) >= 1 for modality in MODALITIES)
