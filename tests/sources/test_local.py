"""Files of the user's own: every format by its content, tags, and the words beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clipsim import errors
from clipsim.model import Media
from clipsim.settings import Settings
from clipsim.sources import fetch, parse
from clipsim.sources.local import name_of
from tests.doubles.media import CODECS, make_clip

WORDS = "these are the words that somebody sings tonight, and the words are few\n"


async def get(path: Path, **settings: object) -> Media:
    return await fetch(parse(str(path)), path.parent / "unused", Settings(**settings))  # type: ignore[arg-type]


@pytest.fixture
def song(made: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copy(made["audio"], tmp_path / "Some_Artist_-_Some_Song.m4a")


@pytest.mark.parametrize("suffix", sorted(CODECS.keys() - {".ts"}))
async def test_every_format(tmp_path: Path, suffix: str) -> None:
    path = make_clip(tmp_path / f"A - B{suffix}", seconds=1.5, metadata={"title": "The title", "artist": "The artist"})
    found = await get(path)
    pictured = CODECS[suffix][1] is not None
    assert found.audio == path and found.video == (path if pictured else None) and found.lyrics is None
    assert found.clip.duration == pytest.approx(1.5, abs=0.1)
    assert (found.clip.artist, found.clip.title) == ("The artist", "The title")
    assert found.clip.id.startswith("local-") and found.clip.path == str(path) and found.clip.url is None
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]  # noqa: ASYNC240

    other = path.rename(tmp_path / "no suffix at all")
    again = await get(other)
    assert again.audio == other and again.clip.id == found.clip.id


async def test_tags(tmp_path: Path) -> None:
    tags = {"title": " The\u202e title ", "artist": "The artist", "album": "The album", "genre": "Rock"}
    for name in ("a.mp3", "a.ogg", "a.flac", "a.m4a"):
        clip = (await get(make_clip(tmp_path / name, seconds=1.5, metadata=tags))).clip
        assert (clip.title, clip.artist, clip.album, clip.genre) == ("The title", "The artist", "The album", "Rock")


async def test_a_title_tag_that_names_the_artist(tmp_path: Path) -> None:
    clip = (await get(make_clip(tmp_path / "x.mp3", seconds=1.5, metadata={"title": "Someone - Something"}))).clip
    assert (clip.artist, clip.title) == ("Someone", "Something")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Some Artist - Some Song.mp3", ("Some Artist", "Some Song")),
        ("Kevin_MacLeod_-_Vibe_Ace.ogg", ("Kevin MacLeod", "Vibe Ace")),
        ("01. Some Artist - Some Song.mp3", ("Some Artist", "Some Song")),
        ("01 - Some Song.mp3", (None, "Some Song")),
        ("99 Luftballons.mp3", (None, "99 Luftballons")),
        ("Some Artist - Some Song (Official Video) [dQw4w9WgXcQ].webm", ("Some Artist", "Some Song")),
        ("Song.Title.v2.mp3", (None, "Song.Title.v2")),
        ("\u202e.mp3", (None, "Untitled")),
        ("v_GGSY1Qvo990.mp4", (None, "v GGSY1Qvo990")),
    ],
)
def test_names(name: str, expected: tuple[str | None, str]) -> None:
    assert name_of(Path(name)) == expected


async def test_words_beside_it(song: Path) -> None:
    """The better a file is known to be the song's words, the later it is written here: each takes over."""
    assert (await get(song)).lyrics is None
    cue = "1\n00:00:01,000 --> 00:00:02,000\n"
    for name, head, language in (
        (".txt", "", "en"),
        (".de.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n", "de"),
        (".en.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n", "en"),
        (".vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n", "en"),
        (".srt", cue, "en"),
        (".LRC", "[00:01.00]", "en"),
    ):
        song.with_name(song.stem + name).write_text(f"{head}in {name}: {WORDS}")
        lyrics = (await get(song)).lyrics
        assert lyrics is not None
        assert (lyrics.text, lyrics.language) == (f"in {name}: {WORDS.strip()}", language)
        assert lyrics.origin == "sidecar"
    song.with_name(song.stem + " (live).lrc").write_text("[00:01.00]another song's " + WORDS)
    assert (await get(song)).lyrics == lyrics


async def test_words_in_a_tag(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.flac", seconds=1.5, metadata={"lyrics": WORDS + WORDS})
    lyrics = (await get(path)).lyrics
    assert lyrics is not None and lyrics.text == (WORDS + WORDS).strip()


async def test_what_lies_beside_it_and_is_no_lyrics(song: Path) -> None:
    beside = song.with_suffix(".txt")
    beside.write_text("Song by Someone, licensed under https://creativecommons.org/licenses/by/3.0/ and so on and on")
    assert (await get(song)).lyrics is None
    beside.write_bytes(bytes(range(256)) * 10)
    found = await get(song)
    assert found.lyrics is None and "not text" in found.clip.notes[0]
    beside.unlink()
    beside.mkdir()
    assert (await get(song)).lyrics is None


async def test_what_is_not_media(tmp_path: Path) -> None:
    for name, content in (
        ("text.mp4", b"This is a text file that is named .mp4.\n" * 100),
        ("empty.mp3", b""),
        ("noise.ogg", bytes(range(1, 256)) * 50),
        ("list.mp4", b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("picture.mp4", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(errors.NotMedia) as caught:
            await get(path)
        assert "\n" not in str(caught.value)


async def test_gone_since_it_was_named(song: Path) -> None:
    source = parse(str(song))
    song.unlink()  # noqa: ASYNC240
    with pytest.raises(errors.FileMissing):
        await fetch(source, song.parent / "unused", Settings())
    song.mkdir()  # noqa: ASYNC240
    with pytest.raises(errors.FileMissing):
        await fetch(source, song.parent / "unused", Settings())


async def test_too_short_and_too_long(tmp_path: Path, song: Path) -> None:
    with pytest.raises(errors.TooLong, match="limit"):
        await get(song, max_duration=2.0)
    with pytest.raises(errors.TooShort):
        await get(make_clip(tmp_path / "short.mp3", seconds=0.3))


async def test_real_music(testdata: Path) -> None:
    path = testdata / "music" / "Kevin_MacLeod_-_Vibe_Ace.ogg"
    found = await get(path)
    assert found.audio == path and found.video is None
    assert found.lyrics is None  # the text beside it is its licence
    assert found.clip.artist == "Kevin MacLeod" and found.clip.title == "Vibe Ace"
    assert found.clip.duration == pytest.approx(61.5, abs=1)


async def test_real_video(testdata: Path) -> None:
    path = testdata / "clips" / "v_GGSY1Qvo990.mp4"
    found = await get(path)
    assert found.video == path
