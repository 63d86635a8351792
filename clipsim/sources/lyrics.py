"""Words of a clip: subtitle files, synchronised lyrics, captions made by a machine, or plain text, to lines of text.

Captions that a machine made roll: each line is shown two or three times. A line equal to the last one kept is
dropped, which keeps a chorus. What is not sung (marks of sound, speakers, credits …) is `clipsim.sources.cleaning`'s.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from clipsim.errors import FileMissing, NotMedia
from clipsim.language import detect
from clipsim.model import Lyrics
from clipsim.sources._metadata import clean, language
from clipsim.sources.cleaning import MAX_TEXT, tidy, whole

SUFFIXES = (".lrc", ".srt", ".vtt", ".txt")  # in the order in which a clip's neighbours are looked for
# Fewer say nothing about a clip: its lyrics count as missing. Of 392 real lyrics, cleaned, the 13 with fewer find their
# genre no more often than chance (P@5 0.11, interval 0.03 to 0.20, chance 0.14); 10 to 20 words 0.28, 20 to 50 0.30.
MIN_WORDS = 10
MAX_BYTES = 4 * 1024 * 1024  # of a file; a machine's captions of twenty minutes, word by word, are about 0.5 MB
MAX_NAME = 1024  # characters; a longer text is not a path
BINARY_SHARE = 0.02  # of control characters; text has none
SAMPLE = 50_000  # characters in which they are counted

INSTRUMENTAL = "No words: it seems to be an instrumental."
# A recogniser writes [Music] over singing that it does not understand, too: of 395 songs, 29 have under 20 words.
UNHEARD = "Its captions have no words: an instrumental, or singing that no machine understood."
FEW_WORDS = "Its lyrics have hardly any words."

Origin = Literal["manual", "automatic", "sidecar", "given"]

_WORD_TIME = re.compile(r"<\d{1,3}:\d\d(?::\d\d)?(?:[.,:]\d{1,3})?>")
_LRC_TIME = re.compile(r"\[(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
_LRC_FIELD = re.compile(
    r"\[(?:ti|ar|al|au|by|re|ve|length|offset|la|lr|#|id|tool)\s{0,8}:[^\]\n]{0,500}\]", re.IGNORECASE
)
_CUE = re.compile(r"\d{1,3}:\d\d(?::\d\d)?[.,]\d{1,3}[ \t]{0,8}-->[ \t]{0,8}\d{1,3}:\d\d")
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORDS = re.compile(rf"[{_CJK}]|[^\W\d_{_CJK}]+(?:['’][^\W\d_]+)*")
_NOTICE = re.compile(r"licen[sc]ed?\b|copyright|creative ?commons|all rights reserved|public domain", re.I)


@dataclass(frozen=True, slots=True)
class Cue:
    """What was on screen at one time; `lines` as they stood there."""

    start: float  # seconds
    end: float
    lines: tuple[str, ...]


def read_lyrics(
    path_or_text: Path | str,
    *,
    origin: Origin = "given",
    lang: str | None = None,
) -> Lyrics | None:
    """The words in a file (`.lrc`, `.srt`, `.vtt`, `.txt`, told by content) or in the text itself.

    A `str` of one line that names a file is that file. None where fewer than `MIN_WORDS` words are left. Where nobody
    said the language (`lang`, BCP 47), it is told by the words, if they are enough to tell.

    Raises:
        FileMissing: a `Path` (or a line that ends like one) that is no file.
        NotMedia: a file that is not text.
    """
    return read_or_why(path_or_text, origin=origin, lang=lang)[0]


def read_or_why(
    path_or_text: Path | str,
    *,
    origin: Origin = "given",
    lang: str | None = None,
) -> tuple[Lyrics | None, str | None]:
    """As `read_lyrics`; and where there are none, the sentence that says why: `INSTRUMENTAL`, or another.

    Raises as `read_lyrics`.
    """
    path = path_or_text if isinstance(path_or_text, Path) else _as_path(path_or_text)
    if path is None:
        return _lyrics(str(path_or_text)[: MAX_BYTES // 2], origin, lang)
    try:
        with path.expanduser().open("rb") as stream:
            data = stream.read(MAX_BYTES)
    except OSError:
        raise FileMissing(f"There is no such file: {clean(str(path)) or 'without a name'}.") from None
    return _lyrics(decode(data, name=path.name), origin, lang)


def word_count(text: str) -> int:
    """Words with at least one letter; a Chinese, Japanese or Korean character counts as one."""
    return len(_WORDS.findall(text))


def is_notice(text: str) -> bool:
    """Whether a text beside a recording is its licence or origin rather than its words."""
    return len(text) < 20_000 and ("://" in text or "www." in text) and _NOTICE.search(text) is not None


def decode(data: bytes, *, name: str = "that file") -> str:
    """Text out of bytes: by its byte order mark, else UTF-8, UTF-16 that lost its mark, Windows-1252.

    Raises:
        NotMedia: it is not text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    elif data[:2000].count(0) > len(data[:2000]) // 4:
        big = data[:2000:2].count(0) > data[1:2000:2].count(0)
        text = data.decode("utf-16-be" if big else "utf-16-le", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            cut = error.start >= len(data) - 3 and len(data) >= MAX_BYTES  # a letter cut in two by the limit
            text = data.decode("utf-8-sig", errors="ignore") if cut else data.decode("cp1252", errors="replace")
    head = text[:SAMPLE]
    control = sum(1 for char in head if (char < " " and char not in "\t\n\r\f\v") or char == "\ufffd")
    if control > BINARY_SHARE * max(1, len(head)):
        raise NotMedia(f"{clean(name) or 'That file'} is not text.", hint="Lyrics: .lrc, .srt, .vtt or .txt.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_lines(text: str, *, automatic: bool = False) -> list[str]:
    """The lines sung, in order, out of any of the formats; `automatic`: captions that a machine made."""
    if _CUE.search(text):
        rolling = automatic or _WORD_TIME.search(text) is not None
        cues = _cues(_WORD_TIME.sub("", text))  # pysubs2 takes two word times for a cue's
        return whole(clean_cues(cues, rolling=rolling, automatic=automatic))
    if _LRC_TIME.search(text):
        return whole(tidy(_lrc(text), automatic=automatic))
    lines = text.split("\n") if "\n" in text.strip() else re.split(r" {2,}", text)  # a table's cell: breaks were lost
    return whole(tidy(lines, automatic=automatic))


def clean_cues(cues: Sequence[Cue], *, rolling: bool, automatic: bool = False) -> list[str]:
    """The lines of captions, each once: equal to the last kept one it is dropped, or (rolling) grown out of it."""
    kept: list[str] = []
    length = 0
    for cue in cues:
        if length > MAX_TEXT * 3:  # a roll shows each line up to three times
            break
        for line in tidy(cue.lines, captions=True, automatic=automatic):
            length += len(line)
            if kept and line == kept[-1]:
                continue
            if rolling and kept and line.startswith(kept[-1] + " "):
                kept[-1] = line
            elif not (rolling and kept and kept[-1].endswith(" " + line) and len(cue.lines) == 1 and _blink(cue)):
                kept.append(line)
    return kept


def _blink(cue: Cue) -> bool:
    return cue.end - cue.start < 0.05  # seconds: the cues that only hold the last line between two of a roll


def _lyrics(text: str, origin: Origin, lang: str | None) -> tuple[Lyrics | None, str | None]:
    kept = "\n".join(parse_lines(text, automatic=origin == "automatic"))[:MAX_TEXT].strip()
    words = word_count(kept)
    if words >= MIN_WORDS:
        return Lyrics(kept, language=language(lang) or detect(kept), origin=origin), None
    if words or not text.strip():
        return None, FEW_WORDS
    return None, UNHEARD if origin == "automatic" else INSTRUMENTAL


def _cues(text: str) -> list[Cue]:
    """Cues of SubRip or WebVTT, by pysubs2; tags are kept for `tidy`, which knows more of them."""
    import pysubs2

    kind = "vtt" if text.lstrip("\ufeff \n").startswith("WEBVTT") or re.search(r"\d\.\d{3}\s*-->", text) else "srt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            subtitles = pysubs2.SSAFile.from_string(
                text, format_=kind, keep_html_tags=True, keep_unknown_html_tags=True
            )
        except (pysubs2.exceptions.Pysubs2Error, ValueError, OverflowError):
            return []
    events = [event for event in subtitles.events if not event.is_comment]
    cues = [Cue(e.start / 1000, e.end / 1000, tuple(re.split(r"\\N|\\n|\n", e.text))) for e in events]
    if any(after.start < before.start for before, after in pairwise(cues)):
        cues.sort(key=lambda cue: cue.start)
    return cues


def _lrc(text: str) -> list[str]:
    """Lines of synchronised lyrics in the order of their times: a line with several times is sung as often."""
    timed: list[tuple[float, str]] = []
    for raw in _LRC_FIELD.sub("", text).split("\n"):
        stamps = _LRC_TIME.findall(raw)
        line = _LRC_TIME.sub(" ", _WORD_TIME.sub(" ", raw))
        after = timed[-1][0] if timed else 0.0  # a line without a time belongs to the one before
        for minutes, seconds, fraction in stamps[:100] or [None] * 0:
            timed.append((int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}"), line))
        if not stamps and line.strip():
            timed.append((after, line))
    return [line for _, line in sorted(timed, key=lambda item: item[0])]


def _as_path(text: str) -> Path | None:
    """The file that a line names, if it is one line and looks like it."""
    line = text.strip()
    if not line or "\n" in line or len(line) > MAX_NAME:
        return None
    path = Path(line)
    try:
        if path.suffix.lower() in SUFFIXES or path.expanduser().is_file():
            return path
    except (OSError, ValueError, RuntimeError):
        pass
    return None
