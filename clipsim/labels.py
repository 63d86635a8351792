"""Names for clusters: two to four words that set each one apart, made of what its clips say of themselves.

The terms are weighed by class-based TF-IDF (Grootendorst 2022, "BERTopic", section 3.3): a cluster's clips are taken
as one document, and W(t, c) = tf(t, c) · log(1 + A / f(t)), where tf is the term's share of the cluster's terms, f its
weight over all clusters and A a cluster's average weight. Each kind of term (genre, tag, action, word) is weighed among
its own. A name has a head ("folk"), a trait before it ("mellow"), and what is done or sung after it ("dancing").
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsim.model import Clip

MOST_WORDS = 4
LONGEST = 24  # letters of a word: a longer one is a link or a joke
COMMON = 0.25  # share of a cluster's clips that a term must hold for, to name it
TYPICAL = 0.4  # the same for a trait, which says something of every clip
CLEAR = 0.4  # of the clip's best score of that kind, from which a term holds for the clip
LIFT = 1.1  # times as frequent as in all clips: what is as frequent everywhere sets nothing apart
MORE = ("More", "Further", "Other")  # of what another cluster is named after already
NOTHING = "Mixed clips"  # where the clips say nothing of themselves

# musicnn's tags (Million Song Dataset) and common genres that describe, and the adjective to use; all else is a noun.
TRAITS = {
    "female vocalists": "female vocal",
    "female vocalist": "female vocal",
    "male vocalists": "male vocal",
    "beautiful": "beautiful",
    "mellow": "mellow",
    "chill": "chilled",
    "chillout": "chilled",
    "catchy": "catchy",
    "happy": "happy",
    "sad": "sad",
    "sexy": "sensual",
    "party": "party",
    "guitar": "guitar",
    "instrumental": "instrumental",
    "acoustic": "acoustic",
    "experimental": "experimental",
    "60s": "60s",
    "70s": "70s",
    "80s": "80s",
    "90s": "90s",
    "00s": "2000s",
}
SAME = {"rnb": "r&b", "hip hop": "hip-hop", "hiphop": "hip-hop", "electronica": "electronic"}
UPPER = re.compile(r"\b(?:uk|us|r&b|edm|idm|dj|tv)\b")
TEMPER = re.compile(r"[^\w\s&'’-]|_")  # what no name of ours has; links, marks and mentions fall apart
VAGUE = {"other", "unknown", "music", "general", "misc", "miscellaneous", "none", "people", "entertainment", "genre"}
RUDE = {"fuck", "fucking", "shit", "bitch", "bitches", "nigga", "niggas", "nigger", "cunt", "whore", "hoes", "faggot"}


def document(clip: Clip) -> dict[str, float]:
    """What a clip says of itself: `kind:term` to weight, kinds genre, tag, action, word and artist.

    Weights are scores where the encoders gave some, and fall with the rank for words.
    """
    found: dict[str, float] = {}

    def note(kind: str, text: str, weight: float) -> None:
        term = _clean(text)
        if term and term not in VAGUE and not RUDE & set(term.split()):
            found[f"{kind}:{term}"] = max(found.get(f"{kind}:{term}", 0.0), weight)

    for genre in re.split(r"[/,;|]", clip.genre or ""):
        note("genre", genre, 1.0)
    for tag in clip.tags:
        note("tag", tag.label, tag.score)
    for action in clip.classes:
        note("action", action.label, action.score)
    for rank, word in enumerate(clip.words):
        note("word", word, 1.0 / (1.0 + rank))
    note("artist", clip.artist or "", 1.0)
    return {term: weight for term, weight in found.items() if weight > 0}


def label(
    members: Sequence[NDArray[np.intp]], documents: Sequence[Mapping[str, float]], kept: Mapping[int, str]
) -> list[str]:
    """A name for each cluster, none empty, no two the same.

    Args:
        members: each cluster's rows in `documents`.
        documents: of all clips, as `document` gives them.
        kept: names that are settled, by the cluster's index.
    """
    terms = _terms(members, documents)
    names = dict(kept)
    taken = {name.casefold() for name in kept.values()}
    # The clearest clusters choose first: who has least to say gets what is left.
    order = sorted(range(len(members)), key=lambda each: (-max((t.weight for t in terms[each]), default=0.0), each))
    for each in order:
        if each not in names:
            names[each] = next(name for name in _names(terms[each]) if name.casefold() not in taken)
            taken.add(names[each].casefold())
    return [names[each] for each in range(len(members))]


@dataclass(frozen=True, slots=True)
class _Term:
    """A term of one cluster: its kind, text, class-based TF-IDF, the share of clips it holds for, and its lift.

    The lift is how many times as frequent it is, by weight, as in all clips together.
    """

    kind: str
    text: str
    weight: float
    share: float
    lift: float


def _terms(members: Sequence[NDArray[np.intp]], documents: Sequence[Mapping[str, float]]) -> list[list[_Term]]:
    """Each cluster's terms, heaviest first."""
    sums: list[Counter[str]] = [Counter() for _ in members]
    holds: list[Counter[str]] = [Counter() for _ in members]
    for each, rows in enumerate(members):
        for row in rows:
            best: dict[str, float] = {}
            for term, weight in documents[row].items():
                kind = term.partition(":")[0]
                best[kind] = max(best.get(kind, 0.0), weight)
            for term, weight in documents[row].items():
                if ":" in term and weight > 0:
                    sums[each][term] += weight
                    holds[each][term] += weight >= CLEAR * best[term.partition(":")[0]]
    found: list[list[_Term]] = [[] for _ in members]
    for kind in sorted({term.partition(":")[0] for counter in sums for term in counter}):
        own = [{term: weight for term, weight in counter.items() if term.startswith(f"{kind}:")} for counter in sums]
        everywhere: Counter[str] = Counter()
        for counter in own:
            everywhere.update(counter)
        weight_of_all = sum(everywhere.values())
        for each, counter in enumerate(own):
            total = sum(counter.values())
            for term, weight in counter.items():
                idf = float(np.log1p(weight_of_all / len(members) / everywhere[term]))
                share = holds[each][term] / len(members[each])
                lift = weight / total / (everywhere[term] / weight_of_all)
                found[each].append(_Term(kind, term.partition(":")[2], weight / total * idf, share, lift))
    return [sorted(terms, key=lambda term: (-term.weight, term.kind, term.text)) for terms in found]


def _names(terms: Sequence[_Term]) -> Iterator[str]:
    """Names from the most to the least telling; never ends."""
    common = [term for term in terms if term.share >= COMMON]
    apart = [term for term in common if term.lift >= LIFT] or common
    heads = _texts([term for term in apart if _is_head(term)] or [term for term in common if _is_head(term)])
    typical = [term for term in apart if term.share >= TYPICAL]
    traits = _texts([term for term in typical if term.kind == "tag" and term.text in TRAITS])
    topics = _texts([term for term in apart if term.kind == "action"])
    topics += _texts([term for term in apart if term.kind == "word"])
    artists = [t.text for t in terms if t.kind == "artist" and len(t.text.split()) <= 2]
    tried = set()
    for head in heads or [""]:
        for trait in traits or [""]:
            for topic in topics or [""]:
                for parts in ((trait, head, topic), (trait, head, ""), ("", head, topic), (trait, "", topic)):
                    name = _phrase(*parts)
                    if name and name not in tried:
                        tried.add(name)
                        yield name
    for first, second in itertools.combinations(heads[:3], 2):
        if name := _phrase("", first, second):
            yield name
    for head in heads:
        if len(head.split()) < MOST_WORDS:
            yield _sentence(f"{_noun(head)} clips")
    for artist in artists:
        for head in [*heads[:1], "clips"]:
            yield _sentence(f"{_noun(head)} like {artist.title()}")
    for head in heads:
        for more in MORE:
            yield f"{more} {_noun(head)}"
    yield NOTHING
    number = 2
    while True:
        yield f"{NOTHING}, group {number}"
        number += 1


def _is_head(term: _Term) -> bool:
    return term.kind == "genre" or (term.kind == "tag" and term.text not in TRAITS)


def _texts(terms: Sequence[_Term]) -> list[str]:
    return list(dict.fromkeys(term.text for term in terms))


def _phrase(trait: str, head: str, topic: str) -> str:
    """Trait, head and topic as a name, or nothing if that has fewer than two words or more than four."""
    first = TRAITS.get(trait, trait)
    second = _noun(head)
    if set(first.casefold().split()) & set(second.casefold().split()):
        return ""
    if set(topic.split()) & {*first.casefold().split(), *second.casefold().split()}:
        return ""
    before = " ".join(part for part in (first, second) if part)
    name = ", ".join(part for part in (before, _noun(topic)) if part)
    return _sentence(name) if 2 <= len(name.split()) <= MOST_WORDS else ""


def _noun(text: str) -> str:
    return UPPER.sub(lambda found: found.group().upper(), text)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clean(text: str) -> str:
    """Lower case, letters, digits and few marks, single spaces; nothing if over four words."""
    plain = TEMPER.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    words = [word for each in plain.split() if (word := each.strip("-'’&")) and len(word) <= LONGEST]
    text = " ".join(words) if len(words) <= MOST_WORDS else ""
    return SAME.get(text, text)
