"""What words can be found in of a clip, and why a clip was found by some: "title · lyrics: “the line”"."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clipsim.lexicon import tokens
from clipsim.model import Clip
from clipsim.titles import fold, printable

LONGEST_LINE = 80  # of what is quoted

Worth = Mapping[str, float]  # words that were looked for, as they stand in the texts, and what they are worth


def why(
    question: str, clip: Clip, parts: Mapping[str, float], said: Worth, tagged: Worth, lyrics: Callable[[], str]
) -> str:
    """Where it was found, what counted most first. A stranger's words: escape it.

    Args:
        question: what was typed.
        clip: what was found.
        parts: by "exact", "name", "tags", "lyrics" or "meaning", what the clip got from it.
        said, tagged: the words that were looked for in lyrics and in tags.
        lyrics: gives the clip's words, where they are needed.
    """
    told: list[str] = []
    for name in sorted(parts, key=lambda name: -parts[name]):
        if name in ("exact", "name"):
            told.append(_which_name(question, clip))
        elif name == "lyrics":
            line = _line(lyrics(), said)
            told.append(f"lyrics: “{line}”" if line else "lyrics")
        elif name == "tags":
            told += _which_labels(clip, tagged)
        else:
            told.append(f"meaning: sings of {', '.join(clip.words[:3])}" if clip.words else "meaning")
    return " · ".join(dict.fromkeys(told))


def labels(clip: Clip) -> list[tuple[str, str, float]]:
    """What is said of a clip: the kind of label, the label, and how sure it is, 0 to 1."""
    found = [("genre", clip.genre, 1.0), ("album", clip.album, 0.5)]
    found += [("tag", label.label, label.score) for label in clip.tags]
    found += [("action", label.label, label.score) for label in clip.classes]
    found += [("keyword", word, 0.3) for word in clip.keywords]
    found += [("word", word, 0.3) for word in clip.words]
    return [(kind, label, grade) for kind, label, grade in found if label]


def _which_labels(clip: Clip, words: Worth) -> list[str]:
    """The labels of a clip that have some of these words; the two surest."""
    hits = [(kind, label, grade) for kind, label, grade in labels(clip) if words.keys() & tokens(label)]
    hits.sort(key=lambda hit: -hit[2])
    return [f"{kind}: {_short(label)}" for kind, label, _ in hits[:2]]


def _which_name(question: str, clip: Clip) -> str:
    from rapidfuzz import fuzz

    wanted = fold(question)
    title, artist = (fuzz.WRatio(wanted, fold(text or "")) for text in (clip.title, clip.artist))
    return "artist" if artist > title else "title"


def _line(lyrics: str, words: Worth) -> str:
    """The line of some lyrics that has most of these words, by what they are worth."""
    best, most = "", 0.0
    for line in lyrics.splitlines():
        worth = sum(words.get(word, 0.0) for word in set(tokens(line)))
        if worth > most:
            best, most = line, worth
    return _short(best, words)


def _short(text: str, words: Worth | None = None) -> str:
    """One line, cut around the first of some words where it is long."""
    text = printable(" ".join(text.split()))
    if len(text) <= LONGEST_LINE:
        return text
    begin = 0
    if words:
        at = [place for word in words if (place := text.casefold().find(word)) >= 0]  # about
        begin = max(0, min(at, default=0) - LONGEST_LINE // 4)
    end = begin + LONGEST_LINE
    return f"{'…' if begin else ''}{text[begin:end].strip()}{'…' if end < len(text) else ''}"
