"""In which language words are, and which of them an encoder can read.

Told by py3langid (Lui & Baldwin 2012, "langid.py: an off-the-shelf language identification tool", ACL demo; A.
Barbaresi's fork and model of 139 languages): naive Bayes over byte n-grams, the same answer every time. Of 395 real
English lyrics it takes 372 for English, 23 have too few words to tell, and none is taken for another language; single
lines of a song are too short for it, so a line is only ever asked which of two languages it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import Any

MIN_WORDS = 12  # different ones; fewer don't tell a language: "doo bee da" is Somali to the detector
MIN_CHANCE = 0.8  # of the best language; real lyrics mostly have above 0.99, syllables without meaning 0.1 to 0.6
LINE_WORDS = 3  # of a line that is asked alone; a shorter one goes with the line before it
MAX_CHARACTERS = 5_000  # looked at: some 900 words
NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ko": "Korean", "la": "Latin", "lt": "Lithuanian",
    "lv": "Latvian", "ms": "Malay", "nl": "Dutch", "no": "Norwegian", "pa": "Punjabi", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
# Spelled in another alphabet than Latin; the rest of `NAMES` and whatever is not named counts as Latin.
_SCRIPTS = {
    "ar": "ARABIC", "bg": "CYRILLIC", "bn": "BENGALI", "el": "GREEK", "fa": "ARABIC", "he": "HEBREW",
    "hi": "DEVANAGARI", "ja": "CJK", "ko": "HANGUL", "pa": "GURMUKHI", "ru": "CYRILLIC", "sr": "CYRILLIC",
    "ta": "TAMIL", "te": "TELUGU", "th": "THAI", "uk": "CYRILLIC", "ur": "ARABIC", "zh": "CJK",
}  # fmt: skip
_SAME = {"pcm": "en", "nb": "no", "nn": "no", "wuu": "zh", "yue": "zh", "fil": "tl"}  # as far as an encoder goes
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def detect(text: str) -> str | None:
    """The language of a text (BCP 47, its first part), or None where it is too short or too odd to tell."""
    looked = _looked_at(text)
    if not looked:
        return None
    ranked = _chances(looked)
    best = max(ranked, key=ranked.__getitem__)
    return best if ranked[best] >= MIN_CHANCE else None


def readable(text: str, reads: Collection[str], said: str | None = None) -> tuple[str, str | None]:
    """The lines of a text that are in one of these languages, and the language of the rest (None where nothing is).

    First by alphabet, which is certain, then by words, where the lines left are surely in another language: of these
    the ones that are likelier in one of `reads` stay (the English verse of a Spanish song).

    Args:
        text: one line of text per line sung.
        reads: languages (BCP 47, first parts) that are read; empty: all.
        said: the language that somebody named; believed where the words do not surely say otherwise.
    """
    if not reads:
        return text, None
    lines = text.split("\n")
    scripts = {_SCRIPTS.get(language, "LATIN") for language in reads}
    spelled = [line for line in lines if _script(line) in scripts or not _WORD.search(line)]
    foreign = [line for line in lines if _script(line) not in scripts and _WORD.search(line)]
    other = None
    if foreign:
        other = detect("\n".join(foreign)) or _base(said) or _by_script(_script(foreign[0]))
        other = None if other in reads else other
    if not any(_WORD.search(line) for line in spelled):
        return "", other or _base(said) or "?"
    guess = detect("\n".join(spelled)) or (None if foreign else _base(said))
    if guess is None or guess in reads:
        return "\n".join(spelled), other or ("?" if foreign else None)
    return "\n".join(_likelier(spelled, reads, guess)), guess


def name(code: str) -> str:
    """A language as a sentence names it."""
    return NAMES.get(code.split("-", 1)[0], "another language")


def _likelier(lines: list[str], reads: Collection[str], other: str) -> list[str]:
    """The lines that are in one of `reads` rather than in `other`; a short one goes with the line before it."""
    kept, last = [], False
    for line in lines:
        if len(_WORD.findall(line)) >= LINE_WORDS:
            chances = _chances(line)
            last = max(chances.get(language, 0.0) for language in reads) > chances.get(other, 0.0)
        if last:
            kept.append(line)
    return kept


def _chances(text: str) -> dict[str, float]:
    """How likely each language is, 0 to 1."""
    found: dict[str, float] = {}
    for told, chance in _detector().rank(text.lower()):
        code = _SAME.get(told, told)
        found[code] = found.get(code, 0.0) + chance
    return found


def _looked_at(text: str) -> str:
    """The middle of a text (songs begin with what a speaker says); nothing where it has too few words in Latin."""
    start = max(0, (len(text) - MAX_CHARACTERS) // 2)
    part = text[start : start + MAX_CHARACTERS].encode("utf-8", "ignore").decode()
    words = {word.casefold() for word in _WORD.findall(part)}
    enough = MIN_WORDS if _script(part) == "LATIN" else 1  # another alphabet tells by itself
    return part if len(words) >= enough else ""


def _script(text: str) -> str:
    """The alphabet of most letters: the first word of their Unicode names, `CJK` for all of Japanese and Chinese."""
    count: dict[str, int] = {}
    for char in text[:MAX_CHARACTERS]:
        if char.isalpha():
            script = "LATIN" if char.isascii() else unicodedata.name(char, "?").split()[0]
            script = "CJK" if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else script
            count[script] = count.get(script, 0) + 1
    return max(count, key=count.__getitem__) if count else "LATIN"


def _by_script(script: str) -> str | None:
    """The language, where an alphabet has but one."""
    found = [code for code, own in _SCRIPTS.items() if own == script]
    return found[0] if len(found) == 1 else None


def _base(code: str | None) -> str | None:
    """The first part of a code: "pt" of "pt-BR"."""
    base = (code or "").split("-")[0].lower()
    return _SAME.get(base, base) or None


@lru_cache(maxsize=1)
def _detector() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
