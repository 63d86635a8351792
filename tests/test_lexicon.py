"""The inverted index against the definition of what it computes."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsim.lexicon import K1, LONGEST_WORD, MOST_WORDS, B, Lexicon, Vocabulary, tokens

WORD = st.sampled_from(["sun", "sea", "sky", "tide", "moon", "star"])


def lexicon(texts: list[str], **more: bool) -> Lexicon:
    vocabulary = Vocabulary()
    vocabulary.terms(Counter(["other", "communities", "words"]))
    return Lexicon(vocabulary, [vocabulary.terms(Counter(tokens(text))) for text in texts], **more)


def bm25(texts: list[str], question: str) -> list[float]:
    """Robertson & Zaragoza 2009, equation 3.15, with an idf that is never negative."""
    said = [text.split() for text in texts]
    mean = sum(map(len, said)) / len(said)
    scores = []
    for words in said:
        score = 0.0
        for word, times in Counter(question.split()).items():
            having, count = sum(word in each for each in said), words.count(word)
            idf = math.log(1 + (len(said) - having + 0.5) / (having + 0.5))
            norm = K1 * (1 - B + B * len(words) / mean) if mean else K1
            score += times * idf * count * (K1 + 1) / (count + norm) if having else 0.0
        scores.append(score)
    return scores


@given(st.lists(st.lists(WORD, max_size=8).map(" ".join), min_size=1, max_size=6), st.lists(WORD, max_size=4))
@settings(max_examples=100, deadline=None)
def test_it_is_bm25(texts: list[str], asked: list[str]) -> None:
    known = [word for word in asked if any(word in text.split() for text in texts)]
    found = lexicon(texts).ask(" ".join(known))
    assert found.scores == pytest.approx(bm25(texts, " ".join(known)), rel=1e-5)
    most = max(len(set(known) & set(text.split())) for text in texts)
    assert found.covered == pytest.approx(most / max(1, len(set(known))))


def test_a_rare_word_is_worth_more_and_no_word_nothing() -> None:
    found = lexicon(["sea and sun", "sea and sky", "sea and tide"]).ask("sea tide other words")
    assert np.argmax(found.scores) == 2 and found.words["tide"] > found.words["sea"]
    assert set(found.words) == {"sea", "tide"}  # nothing of what other texts say
    assert not lexicon(["", ""]).ask("sea").scores.any() and lexicon([]).ask("sea").scores.size == 0


def test_typing_errors_are_forgiven_in_longer_words() -> None:
    texts = ["a yellow submarine", "a red car"]
    assert lexicon(texts).ask("yelow sumbarine").words.keys() == {"yellow", "submarine"}
    assert not lexicon(texts).ask("rde crr").words


def test_grades_are_added_up_as_they_are() -> None:
    vocabulary = Vocabulary()
    texts = [vocabulary.terms({"rock": 0.2}), vocabulary.terms({"rock": 0.6, "loud": 0.1}), vocabulary.terms({})]
    scores = Lexicon(vocabulary, texts, graded=True).ask("rock").scores
    assert scores[1] == pytest.approx(3 * scores[0]) and scores[2] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't STOP, don’t!", ["dont", "stop", "dont"]),
        ("Café Ñandú Straße", ["cafe", "nandu", "strasse"]),
        ("東京の夜", ["東京", "京の", "の夜"]),
        ("rock夜", ["夜", "rock"]),
        ("한국어 노래", ["한국어", "노래"]),
        ("ночь день", ["ночь", "день"]),
        ("snake_case 1999 … 🔥", ["snake", "case", "1999"]),
        ("x" * 100, ["x" * LONGEST_WORD]),
        ("", []),
    ],
)
def test_what_a_word_is(text: str, words: list[str]) -> None:
    assert tokens(text) == words


def test_a_question_is_bounded() -> None:
    words = [f"word{n}" for n in range(3 * MOST_WORDS)]
    assert len(lexicon([" ".join(words)]).ask(" ".join(words)).words) == MOST_WORDS
