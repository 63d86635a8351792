"""Why two clips go together: one sentence, made of facts that hold for both. Nothing is guessed, nothing made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clipsim.model import Clip, Label, Modality
from clipsim.titles import artist_key, fold
from clipsim.words import words

__all__ = ["quoted", "series", "shared", "why", "words"]

MIN_TAG = 0.1  # a musicnn tag scores about this where it is worth saying (50 tags; most score under 0.02)
MIN_CLASS = 0.3  # an action class of 400 is believed from here on
TEMPO_CLOSE = 0.04  # share by which two tempos may differ and still feel the same
MOST_FACTS = 3  # facts in a sentence
MOST_NAMED = 3  # tags, or words, in a fact
LONGEST_NAME = 60  # characters of an artist, album or genre that are quoted
SENSES: dict[Modality, str] = {"audio": "sound", "video": "look", "lyrics": "words"}

LANGUAGES = {
    "ar": "Arabic", "de": "German", "es": "Spanish", "fr": "French", "hi": "Hindi", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "sv": "Swedish",
    "tr": "Turkish", "uk": "Ukrainian", "zh": "Chinese",
}  # fmt: skip


def why(query: Clip, match: Clip, by: Mapping[Modality, float]) -> str:
    """One sentence on what two clips share, such as "Both are tagged rock and guitar, and play at about 120 bpm."

    `by` says how similar (cosine) they are in each modality that both have; no other is spoken of. Where they share
    nothing that can be named: "Closest in sound (0.83)." Titles and tags are a stranger's words: escape the sentence.
    """
    both = [modality for modality in by if modality in query.modalities and modality in match.modalities]
    facts = list(_who(query, match))
    for modality in sorted(both, key=lambda name: -by[name]):
        facts += {"audio": _heard, "video": _seen, "lyrics": _read}[modality](query, match)
    if facts:
        return f"Both {series(facts[:MOST_FACTS])}."
    if not both:
        return "They share nothing that can be named."
    nearest = max(both, key=lambda name: by[name])
    return f"Closest in {SENSES[nearest]} ({by[nearest]:.2f})."


def _who(query: Clip, match: Clip) -> Iterable[str]:
    mine, theirs = artist_key(query.artist), artist_key(match.artist)
    if query.artist and mine == theirs:
        yield f"are by {_name(query.artist)}"
        if query.album and match.album and fold(query.album) == fold(match.album):
            yield f"are from {_name(query.album)}"
    if query.genre and match.genre and fold(query.genre) == fold(match.genre):
        yield f"are {_name(query.genre)}"


def _heard(query: Clip, match: Clip) -> Iterable[str]:
    # A genre that was just named is often a tag too: say it once.
    said = {fold(query.genre)} if query.genre and match.genre and fold(query.genre) == fold(match.genre) else set()
    tags = [name for name in shared(query.tags, match.tags, MIN_TAG) if fold(name) not in said]
    if tags:
        yield f"are tagged {series(tags[:MOST_NAMED])}"
    if query.tempo and match.tempo:
        slow, fast = sorted((query.tempo, match.tempo))
        if fast / slow <= 1 + TEMPO_CLOSE:
            yield f"play at about {(slow + fast) / 2:.0f} bpm"
        elif abs(fast / (2 * slow) - 1) <= TEMPO_CLOSE:
            yield f"fit one beat ({slow:.0f} and {fast:.0f} bpm)"


def _seen(query: Clip, match: Clip) -> Iterable[str]:
    classes = shared(query.classes, match.classes, MIN_CLASS)
    if classes:
        yield f"show {series(classes[:MOST_NAMED])}"


def _read(query: Clip, match: Clip) -> Iterable[str]:
    theirs = set(match.words)
    words = [word for word in query.words if word in theirs]
    if words:
        yield f"sing of {series(words[:MOST_NAMED])}"
    mine, other = ((clip.language or "").split("-")[0].lower() for clip in (query, match))
    if mine == other and mine in LANGUAGES:
        yield f"are in {LANGUAGES[mine]}"


def shared(mine: Sequence[Label], theirs: Sequence[Label], least: float) -> list[str]:
    """The labels that both have with at least this score, those first that the weaker of the two is surest of."""
    scores = {label.label: label.score for label in theirs if label.score >= least}
    common = {label.label: min(label.score, scores[label.label]) for label in mine if label.label in scores}
    return [name for name in sorted(common, key=lambda name: -common[name]) if common[name] >= least]


def _name(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def quoted(clip: Clip) -> str:
    """The clip's title in a sentence: “Title”, cut where it is long. A stranger's words: escape the sentence."""
    return f"“{_name(clip.title)}”"


def series(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
