"""The values that travel the way of a clip. Frozen: a stage takes one and returns a new one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal["audio", "video", "lyrics"]
JSON = dict[str, Any]
By = Literal["all", "audio", "video", "lyrics"]
Method = Literal["standard", "joint", "paper", "pca", "raw"]
Stage = Literal["fetching", "listening", "reading", "watching", "comparing"]  # in this order

MODALITIES: tuple[Modality, ...] = ("audio", "video", "lyrics")
METHODS: tuple[Method, ...] = ("standard", "joint", "paper", "pca", "raw")
EMBEDDING_SIZE = 256
HOME = "home"  # the community of the command line and the web page: it sees every clip of the library
SHARED = (
    "shared"  # what the communities have in common that share their clips: each of these sees it instead of its own
)

Vector = NDArray[np.float32]  # shape (n,)
Matrix = NDArray[np.float32]  # shape (clips, n)
Progress = Callable[[Stage], None]  # told when a stage begins; may be called from any thread


@dataclass(frozen=True, slots=True)
class Label:
    """A name with a score between 0 and 1: a musicnn tag, or a Kinetics-400 action class."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Lyrics:
    """The words of a clip, cleaned: no time stamps, sound marks or rolling repeats; one line of text per line sung."""

    text: str
    language: str | None = None  # BCP 47, such as "en" or "pt-BR"; None where nobody said and the words do not tell
    origin: Literal["manual", "automatic", "sidecar", "given"] = "given"


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip's metadata, and once it is encoded, what was found in it.

    `id` is the canonical YouTube id (11 characters), or `local-` or `web-` and 16 hexadecimal digits of a SHA-256.
    """

    id: str
    title: str
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    keywords: tuple[str, ...] = ()  # the uploader's tags
    categories: tuple[str, ...] = ()
    channel: str | None = None
    url: str | None = None  # where a person can watch it; None for a local file
    path: str | None = None  # the local file it was added from
    thumbnail: str | None = None
    duration: float | None = None  # seconds
    language: str | None = None
    # found by the encoders
    modalities: tuple[Modality, ...] = ()
    tempo: float | None = None  # beats per minute
    tags: tuple[Label, ...] = ()  # musicnn's, best first, five at most
    classes: tuple[Label, ...] = ()  # Kinetics-400's, best first, five at most
    words: tuple[str, ...] = ()  # what its lyrics speak of, most telling first, ten at most
    added: datetime | None = None
    notes: tuple[str, ...] = ()  # one sentence for each thing that is missing and why ("The video is black.")


@dataclass(frozen=True, slots=True)
class Media:
    """What was fetched: the files of one clip, either of which may be the other or missing."""

    clip: Clip
    audio: Path | None = None
    video: Path | None = None
    lyrics: Lyrics | None = None


@dataclass(frozen=True, slots=True)
class Features:
    """What the encoders found in one clip. A missing modality has no vectors: never zeros.

    `vectors` maps an encoder's name (`librosa`, `musicnn`, `i3d`, `mpnet`, …) to its float32 vector of shape (n,),
    finite and not all zero. `segments` maps it to what it finds in disjoint parts of the clip, one after the other:
    float32, shape (parts, n); not there where the clip is too short to be divided.
    """

    vectors: Mapping[str, Vector] = field(default_factory=dict)
    segments: Mapping[str, Matrix] = field(default_factory=dict)
    tempo: float | None = None
    tags: tuple[Label, ...] = ()
    classes: tuple[Label, ...] = ()
    fingerprint: NDArray[np.uint32] | None = None  # shape (frames,); see clipsim.fingerprint
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """One result: a clip, how similar it is (cosine, -1 to 1), by which modality, and why."""

    rank: int  # from 1
    clip: Clip
    similarity: float
    by: Mapping[Modality, float]  # only the modalities that both clips have
    cluster: Cluster | None
    why: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of clips that sit together. `id` and `label` stay the same while the library grows by a few clips."""

    id: int
    label: str
    size: int
    members: tuple[Clip, ...] = ()  # nearest to the centre first


@dataclass(frozen=True, slots=True)
class Clustering:
    """All clusters of a library and how well they hold together."""

    method: str  # such as "k-means (9)"
    clusters: tuple[Cluster, ...]
    quality: Mapping[str, float]  # silhouette, inertia, …


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pasted link is answered with. `notice` is a sentence about the library's state, or None."""

    query: Clip
    method: str  # the method that answered, which may be "raw" where the asked one is not trained yet
    results: tuple[Match, ...]
    cluster: Cluster | None = None
    notice: str | None = None
    status: Literal["added", "known"] = "known"
    weights: Mapping[Modality, float] | None = None  # asked for, or learnt from the community's votes; None: the usual
    pending: tuple[Modality, ...] = ()  # of the query, still being encoded: a fuller answer will follow


PER_LINK = 50  # clips that one link plays, at most


def watch_links(clips: Iterable[Clip | str], per_link: int = PER_LINK) -> tuple[str, ...]:
    """Links that play these clips (or ids) one after the other, `per_link` each: those on YouTube, each once."""
    ids = (clip if isinstance(clip, str) else clip.id for clip in clips)
    found = list(dict.fromkeys(clip_id for clip_id in ids if _YOUTUBE.fullmatch(clip_id)))
    parts = [found[start : start + per_link] for start in range(0, len(found), per_link)]
    return tuple(f"https://www.youtube.com/watch_videos?video_ids={','.join(part)}" for part in parts)


_YOUTUBE = re.compile(r"[A-Za-z0-9_-]{11}")


@dataclass(frozen=True, slots=True)
class Step:
    """One clip of a playlist, how similar it is (cosine, -1 to 1), and why it is there.

    In a playlist or path the similarity is that to the clip before (None for the first); in a mix it says how well the
    clip goes with what was added and not with what was subtracted.
    """

    clip: Clip
    similarity: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Playlist:
    """Clips in the order to play them. `why` says how they were chosen; `notice` what a person should know, or None."""

    kind: Literal["playlist", "path", "mix"]
    steps: tuple[Step, ...]
    why: str
    notice: str | None = None

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips in order."""
        return tuple(step.clip for step in self.steps)

    @property
    def urls(self) -> tuple[str, ...]:
        """Links that play it (see `watch_links`)."""
        return watch_links(self.clips)

    @property
    def url(self) -> str | None:
        """The first of `urls`; None where no clip is on YouTube."""
        return next(iter(self.urls), None)


@dataclass(frozen=True, slots=True)
class Hit:
    """One clip that words were found in, where ("title", "lyrics: …", "tag: …"), and its score in the ranking."""

    rank: int  # from 1
    clip: Clip
    score: float  # reciprocal ranks, added up; comparable within one search only
    why: str


@dataclass(frozen=True, slots=True)
class Search:
    """What a search for words found, best first. `notice`: what could not be asked, in a sentence, or None."""

    words: str
    hits: tuple[Hit, ...]
    notice: str | None = None

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips found, best first."""
        return tuple(hit.clip for hit in self.hits)

    @property
    def urls(self) -> tuple[str, ...]:
        """Links that play them (see `watch_links`)."""
        return watch_links(self.clips)

    @property
    def url(self) -> str | None:
        """The first of `urls`; None where no clip is on YouTube."""
        return next(iter(self.urls), None)


@dataclass(frozen=True, slots=True)
class Surprise:
    """A good clip that is rarely recommended, and why it."""

    clip: Clip
    why: str
    times: int  # it was recommended in the community
    like: tuple[Clip, ...] = ()  # its nearest neighbours


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clips that are most alike, or the same song, and what tells so."""

    first: Clip
    second: Clip
    similarity: float
    why: str


@dataclass(frozen=True, slots=True)
class Contributor:
    """Somebody who added clips, and how many of them the community sees."""

    id: str
    clips: int


THUMBS: dict[str, bool | None] = {"up": True, "down": False, "none": None}  # what `ClipSim.vote` is told; none: back


@dataclass(frozen=True, slots=True)
class Vote:
    """A thumb on a result: whether it goes with the query, who says so, and what had been answered."""

    query: str  # clip ids
    result: str
    up: bool
    voter: str  # whoever it was, in the community
    community: str = HOME
    method: str | None = None  # that answered; None where nobody knows
    by: By = "all"
    rank: int | None = None  # from 1
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """When a clip was first posted in a community, by whom, and where (`place`: the adapter's own, where it said)."""

    by: str | None
    at: datetime
    place: JSON | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """One line of `clipsim doctor`: what was looked at, whether it is well, and what to do if not."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
