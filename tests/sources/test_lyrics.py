"""Words out of every kind of file, and nothing but words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsim.errors import ClipSimError, FileMissing, NotMedia
from clipsim.sources import read_lyrics
from clipsim.sources.cleaning import MAX_TEXT
from clipsim.sources.lyrics import (
    FEW_WORDS,
    INSTRUMENTAL,
    MIN_WORDS,
    UNHEARD,
    decode,
    is_notice,
    parse_lines,
    read_or_why,
    word_count,
)

LRC = """[ti:A title]
[ar:An artist]
[offset:+120]
[00:05.00]First line here
[00:20.10][01:00.00]And this is the chorus
[00:40]<00:40.00>Second <00:40.50>line <00:41.00>here
[00:41.20]
"""
SRT = """1
00:00:01,000 --> 00:00:02,000
<i>Hello darkness</i>
my old friend

2
00:00:03,000 --> 00:00:04,000
- MAN: What a day
- Isn&#39;t it?

3
00:00:05,000 --> 00:00:06,000
♪ (upbeat music playing) ♪

4
00:00:07,000 --> 00:00:08,000
{\\an8}&gt;&gt; come with me (come with me)
"""
ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.080 --> 00:00:02.000 align:start position:0%
 
we're<00:00:00.400><c> no</c><00:00:00.800><c> strangers</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
we're no strangers
 

00:00:02.010 --> 00:00:04.000 align:start position:0%
we're no strangers
to<00:00:02.400><c> love</c><00:00:02.800><c> and</c><00:00:03.000><c> so</c><00:00:03.500><c> on</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
to love and so on
 

00:00:04.010 --> 00:00:06.000 align:start position:0%
to love and so on
[Music]

00:00:06.010 --> 00:00:08.000 align:start position:0%
 
we're<00:00:06.400><c> no</c><00:00:06.800><c> strangers</c>
"""  # noqa: W293


def test_synchronised_lyrics_in_the_order_they_are_sung() -> None:
    assert parse_lines(LRC) == [
        "First line here",
        "And this is the chorus",
        "Second line here",
        "And this is the chorus",
    ]


def test_subtitles() -> None:
    assert parse_lines(SRT) == [
        "Hello darkness",
        "my old friend",
        "What a day",
        "Isn't it?",
        "come with me (come with me)",
    ]


def test_rolling_captions_once_but_a_chorus_each_time() -> None:
    assert parse_lines(ROLLING, automatic=True) == ["we're no strangers", "to love and so on", "we're no strangers"]
    assert parse_lines(ROLLING) == parse_lines(ROLLING, automatic=True)  # told by the times of its words


def test_lines_that_grow_word_by_word() -> None:
    text = "WEBVTT\n\n" + "\n\n".join(
        f"00:00:0{second}.000 --> 00:00:0{second + 1}.000\n{line}"
        for second, line in enumerate(["we are", "we are the", "we are the champions", "my friend", "my friend"])
    )
    assert parse_lines(text, automatic=True) == ["we are the champions", "my friend"]
    assert parse_lines(text) == ["we are", "we are the", "we are the champions", "my friend"]  # a person wrote it so


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[Music]", ""),
        ("[संगीत]", ""),
        ("(applause)", ""),
        ("(audience cheering loudly)", ""),
        ("♪♫ la la la ♪", "la la la"),
        ("[Chorus: Someone]", ""),
        ("I &amp; you &lt;3", "I & you <3"),
        ("I <3 you", "I <3 you"),
        ("a &amp;#39;double&amp;#39; one", "a 'double' one"),
        ("<font color='red'>red</font> <b>bold</b>", "red bold"),
        ("(oh yeah) baby", "(oh yeah) baby"),
        ("\u202egnirts\u202c", "gnirts"),
        ("---", ""),
        ("***", ""),
    ],
)
def test_what_is_not_sung_is_dropped(line: str, expected: str) -> None:
    assert parse_lines(line) == ([expected] if expected else [])


def test_plain_lines_stay_as_they_are() -> None:
    assert parse_lines("la la la\nla la la\n\nSHE SAID: go\n") == ["la la la", "la la la", "SHE SAID: go"]


def test_too_few_words_are_missing_words() -> None:
    few, enough = " ".join(["la"] * (MIN_WORDS - 1)), " ".join(["la"] * MIN_WORDS)
    assert read_lyrics(few) is None
    found = read_lyrics(enough)
    assert found is not None and found.text == enough and found.origin == "given" and found.language is None
    assert read_lyrics("") is None and read_lyrics("[Music]\n" * 50) is None
    assert word_count("君の名は") == 4 and word_count("don't stop 99") == 2


@pytest.mark.parametrize("name", ["a.lrc", "a.srt", "a.vtt", "a.txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_files_in_every_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    words = "Für dich würde ich noch heute über sieben alte Brücken gehen"
    text = {
        ".lrc": f"[00:01.00]{words}\r\n",
        ".srt": f"1\r\n00:00:01,000 --> 00:00:02,000\r\n{words}\r\n",
        ".vtt": f"WEBVTT\r\n\r\n00:01.000 --> 00:02.000\r\n{words}\r\n",
        ".txt": f"{words}\r\n",
    }[Path(name).suffix]
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    for named in (path, str(path)):
        found = read_lyrics(named, origin="sidecar", lang="de-DE-xyz")
        assert found is not None and (found.text, found.origin, found.language) == (words, "sidecar", "de-DE")


def test_the_language_is_told_where_nobody_said() -> None:
    found = read_lyrics("Für dich würde ich über alle Brücken gehen,\nund ich komme nie wieder nach Hause zurück")
    assert found is not None and found.language == "de"


def test_why_there_are_no_words() -> None:
    marks = "WEBVTT\n\n00:01.000 --> 00:02.000\n[Music]\n\n00:03.000 --> 00:04.000\n(audience cheering)\n"
    assert read_or_why(marks) == (None, INSTRUMENTAL)
    assert read_or_why(marks, origin="automatic") == (None, UNHEARD)  # it may be singing that nobody understood
    assert read_or_why(marks + "\n00:05.000 --> 00:06.000\nhello\n") == (None, FEW_WORDS)
    assert read_or_why("") == (None, FEW_WORDS)
    assert read_or_why("words enough for a clip to be compared by, these are more than a dozen of them")[1] is None


def test_a_text_is_not_taken_for_a_path() -> None:
    found = read_lyrics("one two three four five.\nsix seven eight nine ten eleven.txt")
    assert found is not None and found.text.startswith("one two")
    with pytest.raises(FileMissing):
        read_lyrics("missing.lrc")
    with pytest.raises(FileMissing):
        read_lyrics(Path("missing"))


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(NotMedia, match=r"a\.txt is not text"):
        read_lyrics(path)


def test_size_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("some words that go on and on\nand on\n" * 300_000)
    found = read_lyrics(path)
    assert found is not None and MAX_TEXT - 100 < len(found.text) <= MAX_TEXT
    assert parse_lines("x" * 1_000_000) == ["x" * 500]


@pytest.mark.parametrize(
    "piece", ["1", "1:", "<1", "[ti:", "[00:01.00]", "[(", "(music ", "00:01.000 --> 00:02.000\n", ">> "]
)
def test_nothing_takes_more_than_linear_time(piece: str) -> None:
    assert isinstance(parse_lines(piece * (500_000 // len(piece))), list)  # many minutes, if it were quadratic


def test_a_licence_is_told_from_lyrics(testdata: Path) -> None:
    notices = sorted((testdata / "music").glob("*.txt"))
    assert len(notices) == 7
    assert all(is_notice(path.read_text()) for path in notices)
    assert not is_notice("I lost my driving licence\non the road to you")


def test_broken_subtitles_are_no_reason_to_fail() -> None:
    for text in ("WEBVTT\n\n99:99:99.999 --> nonsense\nhello", "1\n00:00:01,000 --> 00:00:02,000", "[99:99.99]\n[1:2]"):
        assert isinstance(parse_lines(text), list)


PIECES = st.sampled_from(
    [
        *(
            "WEBVTT",
            "",
            "1",
            "00:00:01,000 --> 00:00:02,000",
            "00:01.000 --> 00:02.000",
            "99999999:00:00.0 --> 0:0:0.0",
        ),
        *(
            "[00:01.00]",
            "[999:99]",
            "<00:00:01.000><c>",
            "</c>",
            "[",
            "<",
            "{\\",
            "&#x110000;",
            "&lt;",
            ">>",
            "a b",
            "♪",
        ),
    ]
)
LINES = st.lists(PIECES | st.text(max_size=20), max_size=30).map("\n".join)


@given(LINES, st.booleans())
def test_anything_at_all_becomes_clean_lines(text: str, automatic: bool) -> None:
    for line in parse_lines(text, automatic=automatic):
        assert (line == line.strip() and line.isprintable()) or "\u200d" in line or "\u200c" in line
        assert 0 < len(line) <= 500 and "-->" not in line


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        assert isinstance(decode(data), str)
    except ClipSimError as error:
        assert isinstance(error, NotMedia)
