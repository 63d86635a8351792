"""How the page shows things: answers as JSON, and strangers' titles and links as harmless text."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

from clipsim.errors import (
    BackupInvalid,
    ClipSimError,
    DiskFull,
    EmptyLibrary,
    HostNotAllowed,
    InvalidSetting,
    LibraryLocked,
    MissingModality,
    NotTrained,
    SourceError,
    UnknownClip,
    UnknownLink,
)
from clipsim.model import JSON, MODALITIES, Answer, Clip, Cluster, Label, Match, Modality

MAX_TITLE = 200  # characters of a title that are shown
SENSES: dict[Modality, str] = {"audio": "sound", "video": "look", "lyrics": "words"}  # what people call a modality
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# The first that fits an error: its HTTP status.
STATUS: tuple[tuple[type[ClipSimError], int], ...] = (
    (UnknownLink, 400),
    (InvalidSetting, 400),
    (HostNotAllowed, 403),
    (UnknownClip, 404),
    (EmptyLibrary, 409),
    (NotTrained, 409),
    (BackupInvalid, 422),
    (MissingModality, 422),
    (LibraryLocked, 503),
    (DiskFull, 507),
)


def status_of(error: ClipSimError) -> int:
    """The HTTP status of an error: 4xx what the asker can change, 503 where waiting may help, 500 the rest."""
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    if error.retry:
        return 503
    return 422 if isinstance(error, SourceError) else 500


def plain(text: str | None, limit: int = MAX_TITLE) -> str:
    """A stranger's text on one line, without control characters or marks that turn the text around it."""
    kept = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text or "" if c not in _BIDI)
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def web_link(url: str | None) -> str | None:
    """A link that may be followed (http, https), or None."""
    return url if _scheme(url) in ("http", "https") else None


def picture(url: str | None) -> str | None:
    """A picture that may be shown (https only), or None."""
    return url if _scheme(url) == "https" else None


def percent(similarity: float) -> int:
    """A cosine as a whole percentage, 0 to 100."""
    return round(100 * min(1.0, max(0.0, similarity)))


def labels_json(labels: tuple[Label, ...]) -> list[JSON]:
    """Tags or action classes, best first."""
    return [{"label": label.label, "score": round(label.score, 4)} for label in labels]


def clip_json(clip: Clip) -> JSON:
    """A clip, without where it lies on the server's disk."""
    return {
        "id": clip.id,
        "title": clip.title,
        "artist": clip.artist,
        "url": web_link(clip.url),
        "thumbnail": picture(clip.thumbnail),
        "duration": clip.duration,
        "modalities": list(clip.modalities),
        "tempo": clip.tempo,
        "tags": labels_json(clip.tags),
        "classes": labels_json(clip.classes),
        "notes": list(clip.notes),
    }


def match_json(match: Match) -> JSON:
    """One result, named as `clipsim similar --json` names it."""
    return {
        "rank": match.rank,
        "id": match.clip.id,
        "title": match.clip.title,
        "artist": match.clip.artist,
        "url": web_link(match.clip.url),
        "thumbnail": picture(match.clip.thumbnail),
        "similarity": round(float(match.similarity), 4),
        "by": {name: round(float(match.by[name]), 4) if name in match.by else None for name in MODALITIES},
        "cluster": match.cluster.label if match.cluster else None,
        "why": match.why,
    }


def cluster_json(cluster: Cluster | None) -> JSON | None:
    """A cluster without its members."""
    return None if cluster is None else {"id": cluster.id, "label": cluster.label, "size": cluster.size}


def answer_json(answer: Answer) -> JSON:
    """A whole answer."""
    return {
        "query": clip_json(answer.query),
        "method": answer.method,
        **({"weights": dict(answer.weights)} if answer.weights is not None else {}),
        "status": answer.status,
        "pending": list(answer.pending),
        "notice": answer.notice,
        "cluster": cluster_json(answer.cluster),
        "results": [match_json(match) for match in answer.results],
    }


def error_json(error: ClipSimError) -> JSON:
    """An error: its stable code, the sentence, and what to do."""
    return {"code": error.code, "message": error.message, "hint": error.advice, "retry": error.retry}


def _scheme(url: str | None) -> str:
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return ""
    return parts.scheme.lower() if parts.netloc else ""
