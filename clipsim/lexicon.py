"""An inverted index of words in memory: which texts have a word, and how well a text answers a few words.

Ranked by BM25 (Robertson & Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", with its k1 = 1.2
and b = 0.75). In memory, so that it is the same over SQLite and Postgres, and nothing that is typed has a syntax.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

K1, B = 1.2, 0.75
LONGEST = 50_000  # characters of a text that are read
LONGEST_WORD = 40  # characters
MOST_WORDS = 32  # different ones of a question
TYPO = 84.0  # rapidfuzz ratio, 0 to 100, from which a word that no text has is taken for one that some have
SHORTEST_TYPO = 4  # letters; a shorter word is taken as it is

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# Scripts that put no spaces between words: each two neighbouring characters are a word.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def tokens(text: str) -> list[str]:
    """The words of a text in their order, folded: no case, no accents, no apostrophes."""
    text = text[:LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = unicodedata.normalize("NFC", "".join(char for char in text if not _is_accent(char)))
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if word.isascii() or not _UNSPACED.search(word):
            found.append(word.replace("'", "").replace("’", "")[:LONGEST_WORD])
            continue
        for run in _UNSPACED.findall(word):
            found += [run[at : at + 2] for at in range(max(1, len(run) - 1))]
        found += [rest for rest in _UNSPACED.split(word) if rest]
    return found


def _is_accent(char: str) -> bool:
    """An accent on a Latin, Greek or Cyrillic letter; the marks of other scripts are letters of theirs."""
    return "\u0300" <= char <= "\u036f"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a question found."""

    scores: NDArray[np.float64]  # of each text, shape (texts,); 0: nothing
    words: Mapping[str, float]  # that were looked for, as they stand in the texts; inverse document frequency
    covered: float  # the largest share of the question's words that one text has, 0 to 1


@dataclass(frozen=True, slots=True)
class Terms:
    """The different words of a text by their numbers in a `Vocabulary`, int32, and how often each is said, float32."""

    words: NDArray[np.int32]
    counts: NDArray[np.float32]


class Vocabulary:
    """Words and their numbers. Grows, so that texts read at different times go together."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.word: list[str] = []

    def terms(self, counts: Mapping[str, float]) -> Terms:
        """A text, by how often it says each word (or how much it is tagged with it)."""
        numbers = []
        for word in counts:
            if word not in self.number:
                self.number[word] = len(self.word)
                self.word.append(word)
            numbers.append(self.number[word])
        return Terms(np.array(numbers, np.int32), np.array(list(counts.values()), np.float32))


class Lexicon:
    """The words of some texts. Does not change: make another when the texts do."""

    def __init__(self, vocabulary: Vocabulary, texts: Sequence[Terms], *, graded: bool = False) -> None:
        """`graded`: the counts are grades (of tags), added up as they are."""
        self._vocabulary, self._count, self._graded = vocabulary, len(texts), graded
        word = _joined([terms.words for terms in texts], np.int32)
        much = _joined([terms.counts for terms in texts], np.float32)
        where = np.repeat(np.arange(len(texts), dtype=np.int32), [len(terms.words) for terms in texts])
        order = np.argsort(word, kind="stable")
        self._where, self._much = where[order], much[order]
        self._words, starts = np.unique(word[order], return_index=True)
        self._starts = np.append(starts, len(word))
        lengths = np.bincount(where, much, len(texts)) if len(texts) else np.zeros(0)
        mean = float(lengths.mean()) if len(texts) else 0.0
        self._norm = K1 * (1 - B + B * lengths / mean) if mean else np.full(len(texts), K1)

    def ask(self, question: str) -> Answered:
        """How well each text answers. A word that no text has stands for the most similar one that some have."""
        scores, asked = np.zeros(self._count), dict[str, float]()
        has = np.zeros(self._count, np.intp)  # words of the question
        wanted = list(Counter(tokens(question)).items())[:MOST_WORDS]
        for word, times in wanted:
            number = self._vocabulary.number.get(word)
            at = self._at(number)
            if at is None:
                at = self._meant(word)
            if at is None or (known := self._vocabulary.word[self._words[at]]) in asked:
                continue
            part = slice(self._starts[at], self._starts[at + 1])
            where, much = self._where[part], self._much[part].astype(np.float64)
            asked[known] = worth = float(np.log1p((self._count - len(where) + 0.5) / (len(where) + 0.5)))
            said = much if self._graded else much * (K1 + 1) / (much + self._norm[where])
            scores[where] += times * worth * said
            has[where] += 1
        return Answered(scores, asked, int(has.max(initial=0)) / max(1, len(wanted)))

    def _at(self, number: int | None) -> int | None:
        """Where a word of the vocabulary is among those that these texts have."""
        if number is None:
            return None
        at = int(np.searchsorted(self._words, number))
        return at if at < len(self._words) and self._words[at] == number else None

    def _meant(self, word: str) -> int | None:
        if len(word) < SHORTEST_TYPO:
            return None
        from rapidfuzz import fuzz, process

        known = (self._vocabulary.word[number] for number in self._words)
        found = process.extractOne(word, known, scorer=fuzz.ratio, score_cutoff=TYPO)
        return None if found is None else int(found[2])


def _joined(parts: Sequence[NDArray[Any]], kind: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, kind)
