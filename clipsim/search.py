"""Find clips by words: titles and artists, tags and actions, lyrics as they are sung, and what lyrics mean.

Each ranks on its own, and names that stand just as they were typed once more. The ranks are put together by reciprocal
rank fusion (Cormack, Clarke & Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", SIGIR): a clip's score is the sum over the rankings of weight / (5 + its rank). (There it is 60, for
which being third everywhere is more than being first somewhere; who types a title wants the first.) What is typed has
no syntax, so none of it can be abused.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from clipsim import tables, vectors
from clipsim.embeddings import chunks, in_community
from clipsim.encoders import Preset
from clipsim.errors import EmptyLibrary, InvalidSetting
from clipsim.hits import labels, why
from clipsim.lexicon import Answered, Lexicon, Terms, Vocabulary, tokens
from clipsim.library import Library
from clipsim.model import Hit, Matrix, Search, Vector
from clipsim.records import clean
from clipsim.titles import fold, printable

RRF = 5  # the constant of reciprocal rank fusion: see docs/evaluation.md
DEPTH = 50  # of each ranking that counts
WEIGHTS: Mapping[str, float] = {"exact": 4.0, "name": 2.0, "tags": 2.0, "lyrics": 1.0, "meaning": 0.3}
CUT_OFF = 72.0  # of `likeness`, 0 to 100, below which a name is not what was meant
EXACT = 95.0  # from which it is just what was meant
PART = 0.9  # what it counts for that a question is a part of a name
MEANT = 0.1  # cosine, centred, below which lyrics do not mean what is asked for
LONGEST = 500  # characters of a question
KEPT = 16  # communities that are kept in memory

Likeness = NDArray[np.float32]  # of each clip, 0 to 100
Ranks = Mapping[int, int]  # rows of an index, best first, `DEPTH` at most, and the rank of each, from 1

_ID = tables.clips.c.id


@dataclass(frozen=True, slots=True)
class _Text:
    """What can be found in one clip."""

    names: tuple[str, str, str]  # folded: title, artist, both
    lyrics: Terms
    tags: Terms
    meaning: Vector | None


@dataclass(frozen=True, slots=True)
class Index:
    """What can be found in a community's clips; everything has one entry for each clip."""

    rows: list[Any]  # as they stood in the database
    names: list[tuple[str, str, str]]
    lyrics: Lexicon
    tags: Lexicon
    meanings: Matrix  # centred, unit rows; zero where there is none
    mean: Vector | None  # that was taken from them; None where too few have any


class Searcher:
    """Searches one library. Methods may be called from several threads."""

    def __init__(self, preset: Preset, library: Library) -> None:
        self._library = library
        self._part = next(iter(preset.of("lyrics")), None)
        self._vocabulary = Vocabulary()
        self._texts: dict[str, tuple[Any, _Text]] = {}  # by clip, with the row that it was made from
        self._held: dict[str, Index] = {}
        self._lock = threading.Lock()

    def index(self, community: str) -> Index:
        """The community's index as it is now: only clips that have changed are read again.

        Raises:
            EmptyLibrary: there are no clips.
        """
        with self._lock:
            rows = self._rows(community)
            if not rows:
                raise EmptyLibrary("There are no clips to search yet.")
            known = self._held.pop(community, None)
            if known is None or known.rows != rows:
                known = self._build(rows)
            self._held[community] = known  # the last asked is the last to go
            while len(self._held) > KEPT:
                del self._held[next(iter(self._held))]
            return known

    def search(self, index: Index, question: str, k: int, meaning: Vector | None, notice: str | None) -> Search:
        """The `k` best hits for a question that `asked` has let through.

        `meaning`: the question as the text encoder reads it, or None.
        """
        named, said, tagged = likeness(question, index.names), index.lyrics.ask(question), index.tags.ask(question)
        fused = fuse(rankings(index, named, said, tagged, meaning), weights(tagged))
        best = sorted(fused, key=lambda row: (-sum(fused[row].values()), row))[:k]
        clips = self._library.get_many([index.rows[row].id for row in best])
        hits: list[Hit] = []
        for row in best:
            clip = clips.get(index.rows[row].id)
            if clip is not None:
                lyrics = partial(self._lyrics, clip.id)
                reason = why(question, clip, fused[row], said.words, tagged.words, lyrics)
                hits.append(Hit(len(hits) + 1, clip, float(sum(fused[row].values())), reason))
        return Search(question, tuple(hits), notice)

    def _lyrics(self, clip_id: str) -> str:
        found = self._library.lyrics(clip_id)
        return found.text if found else ""

    # What there is

    def _rows(self, community: str) -> list[Any]:
        """Of each clip, all that its entry is made from, or a sign that tells when that has changed."""
        clips, findings, lyrics, features = tables.clips.c, tables.findings.c, tables.lyrics.c, tables.features.c
        encoder = self._part.encoder if self._part else ""
        query: sa.Select[Any] = (
            sa.select(clips.id, clips.title, clips.artist, clips.album, clips.genre)
            .add_columns(*(sa.cast(column, sa.Text) for column in (clips.keywords, findings.tags, findings.classes)))
            .add_columns(sa.cast(findings.words, sa.Text), sa.func.length(lyrics.text), features.crc)
            .join(tables.findings, findings.clip_id == clips.id, isouter=True)
            .join(tables.lyrics, lyrics.clip_id == clips.id, isouter=True)
            .join(tables.features, (features.clip_id == clips.id) & (features.encoder == encoder), isouter=True)
            .order_by(clips.added.desc(), clips.id)
        )
        with self._library.read() as connection:
            return list(connection.execute(in_community(query, _ID, community)).all())

    def _build(self, rows: list[Any]) -> Index:
        self._read([row for row in rows if row.id not in self._texts or self._texts[row.id][0] != row])
        texts = [self._texts[row.id][1] for row in rows if row.id in self._texts]
        rows = [row for row in rows if row.id in self._texts]
        held = {row.id for index in self._held.values() for row in index.rows} | {row.id for row in rows}
        for gone in [clip_id for clip_id in self._texts if clip_id not in held]:
            del self._texts[gone]
        there = [text.meaning for text in texts if text.meaning is not None]
        mean: Vector | None = None
        if len(there) > 1:
            mean = np.asarray(np.mean(there, axis=0, dtype=np.float64), np.float32)
        size = self._part.size if self._part else 0
        meanings = np.zeros((len(texts), size), np.float32)
        if mean is not None:
            for row, text in enumerate(texts):
                if text.meaning is not None:
                    centred = text.meaning - mean
                    meanings[row] = centred / (np.linalg.norm(centred) or 1.0)
        return Index(
            rows,
            [text.names for text in texts],
            Lexicon(self._vocabulary, [text.lyrics for text in texts]),
            Lexicon(self._vocabulary, [text.tags for text in texts], graded=True),
            meanings,
            mean,
        )

    def _read(self, rows: Sequence[Any]) -> None:
        by_id = {row.id: row for row in rows}
        for part in chunks(by_id):
            words: dict[str, str] = {}
            meant: dict[str, Vector] = {}
            with self._library.read() as connection:
                query = sa.select(tables.lyrics.c.clip_id, tables.lyrics.c.text)
                words.update(tuple(row) for row in connection.execute(query.where(tables.lyrics.c.clip_id.in_(part))))
                if self._part is not None:
                    table = tables.features
                    vector = sa.select(table.c.clip_id, table.c.vector, table.c.crc)
                    vector = vector.where(table.c.clip_id.in_(part), table.c.encoder == self._part.encoder)
                    for clip_id, data, crc in connection.execute(vector):
                        if (read := vectors.unpack(data, crc, self._part.size)) is not None:
                            meant[clip_id] = read
            for clip_id, clip in self._library.get_many(part).items():
                graded: dict[str, float] = {}
                for label, grade in ((label, grade) for _, label, grade in labels(clip)):
                    for word in tokens(label):
                        graded[word] = max(graded.get(word, 0.0), grade)
                text = _Text(
                    (fold(clip.title), fold(clip.artist or ""), fold(f"{clip.artist or ''} {clip.title}")),
                    self._vocabulary.terms(Counter(tokens(words.get(clip_id, "")))),
                    self._vocabulary.terms(graded),
                    meant.get(clip_id),
                )
                self._texts[clip_id] = (by_id[clip_id], text)


def asked(question: str) -> str:
    """What was typed, in one printable line of bounded length.

    Raises:
        InvalidSetting: there is no word in it.
    """
    line = " ".join(printable(clean(part)) for part in question[: 4 * LONGEST].split())[:LONGEST].strip()
    if not tokens(line):
        raise InvalidSetting(
            "There is no word to look for.", hint="Name a title, an artist, a mood, or a line that is sung."
        )
    return line


def weights(tagged: Answered) -> dict[str, float]:
    """What each ranking counts for: tags for as much of the question as one clip's tags say."""
    return {**WEIGHTS, "tags": WEIGHTS["tags"] * tagged.covered}


def fuse(
    rankings: Mapping[str, Ranks], weights: Mapping[str, float], constant: float = RRF
) -> dict[int, dict[str, float]]:
    """Of each row that is in a ranking, what it gets from which: weight / (constant + rank)."""
    found: dict[int, dict[str, float]] = {}
    for name, ranks in rankings.items():
        for row, rank in ranks.items():
            found.setdefault(row, {})[name] = weights[name] / (constant + rank)
    return found


def rankings(
    index: Index, named: Likeness, said: Answered, tagged: Answered, meaning: Vector | None
) -> dict[str, Ranks]:
    """What each way to look finds by itself."""
    found = {
        "exact": _ranked(np.where(named >= EXACT, named, 0.0)),
        "name": _ranked(np.where(named >= CUT_OFF, named, 0.0)),
        "tags": _ranked(tagged.scores),
        "lyrics": _ranked(said.scores),
    }
    if meaning is not None and index.mean is not None:
        centred = np.asarray(meaning, np.float32) - index.mean
        cosines = index.meanings @ (centred / (np.linalg.norm(centred) or 1.0))
        found["meaning"] = _ranked(np.where(cosines >= MEANT, cosines, 0.0))
    return found


def _ranked(scores: NDArray[Any]) -> Ranks:
    """The rows with a score above 0, best first; equal ones have the same rank."""
    order = np.argsort(-scores, kind="stable")[:DEPTH]
    order = order[scores[order] > 0]
    ranks = 1 + np.searchsorted(-scores[order], -scores[order])
    return dict(zip(order.tolist(), ranks.tolist(), strict=True))


def likeness(question: str, names: Sequence[tuple[str, str, str]]) -> Likeness:
    """How like a question is to the title, the artist or both (folded) of each clip, 0 to 100: float32, (clips,).

    Letter by letter (rapidfuzz ratio), in any order of the words, or as a part of them. That a name is a part of the
    question says nothing: any line of a song has somebody's one-word title in it.
    """
    from rapidfuzz import fuzz, process

    wanted = fold(question)
    if not any(letter.isalnum() for letter in wanted):
        return np.zeros(len(names), np.float32)

    def compared(scorer: Any, column: int) -> Likeness:
        return np.asarray(process.cdist([wanted], [name[column] for name in names], scorer=scorer)[0], np.float32)

    found = np.maximum(compared(fuzz.ratio, 0), compared(fuzz.ratio, 1))
    found = np.maximum(found, compared(fuzz.token_sort_ratio, 2))
    longer = np.array([len(name[2]) >= len(wanted) for name in names])
    return np.maximum(found, np.where(longer, PART * compared(fuzz.partial_ratio, 2), 0.0))
