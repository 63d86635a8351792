"""What a worker runs: one modality of one clip or of several, from file to features.

A modality that is there but says nothing (silence, a black picture, too few words) counts as missing, with a note.
Several clips are decoded in threads, and go through each network together.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsim import encoders, language
from clipsim import media as reader
from clipsim.encoders import SAMPLE_RATE, Encoded, Part, Preset
from clipsim.encoders._device import device, threads
from clipsim.errors import ClipSimError, DiskFull, EncoderError, UnexpectedError
from clipsim.model import Features, Label, Media, Modality, Vector
from clipsim.sources.lyrics import MIN_WORDS, word_count

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

LABELS_KEPT = 5
_loading = threading.Lock()
BATCH_CUDA: dict[Modality, int] = {"audio": 8, "video": 8, "lyrics": 64}  # clips; an hour of sound is 300 MB


def encoder(part: Part) -> Any:
    """The encoder of a part, loaded once per process, whichever thread asks first."""
    with _loading:
        return _loaded(part)


@lru_cache(maxsize=16)
def _loaded(part: Part) -> Any:
    log.info("loading encoder %s", part.encoder)
    return part.load()


def load(preset: Preset) -> None:
    """Load every encoder of the preset."""
    for part in preset.parts:
        encoder(part)


def batch_size(modality: Modality) -> int:
    """How many clips are worth encoding at once here.

    One on the processor, whose cores a single clip fills; on CUDA as many as its networks take at once. To be asked in
    the process that encodes: the answer needs torch.
    """
    return BATCH_CUDA[modality] if device().type == "cuda" else 1


def encode(modality: Modality, media: Media, preset: Preset, max_duration: float) -> Features:
    """Encode one modality. Features without vectors mean that it is missing; a note says why.

    Raises:
        SourceError, EncoderError: the file cannot be read, or holds nothing that this encoder takes.
        ClipSimError: anything else, such as weights that are not there, or a bug.
    """
    (found,) = encode_many(modality, [media], preset, max_duration)
    if isinstance(found, ClipSimError):
        raise found
    return found


def encode_many(
    modality: Modality, medias: Sequence[Media], preset: Preset, max_duration: float
) -> list[Features | ClipSimError]:
    """Encode one modality of several clips: one result for each, in order; an error where `encode` would raise it."""
    read = partial(_guarded, modality, partial(_READ[modality], preset=preset, max_duration=max_duration))
    if len(medias) > 1:
        with ThreadPoolExecutor(min(len(medias), threads())) as pool:
            results = list(pool.map(read, medias, medias))
    else:
        results = [read(media, media) for media in medias]
    for part in preset.of(modality):
        asked = [i for i, one in enumerate(results) if isinstance(one, _Ready) and part.encoder in one.inputs]
        inputs = [results[i].inputs.pop(part.encoder) for i in asked]  # type: ignore[union-attr]
        given = [medias[i] for i in asked]
        for i, encoded in zip(asked, _by_network(modality, given, part, inputs), strict=True):
            ready = results[i]
            assert isinstance(ready, _Ready)
            if isinstance(encoded, ClipSimError):
                results[i] = encoded
            else:
                ready.found[part.encoder] = encoded
    return [one.features() if isinstance(one, _Ready) else one for one in results]


@dataclass(slots=True)
class _Ready:
    """A clip that was read: what each encoder is to be given, and what they found."""

    inputs: dict[str, Any]  # by the encoder's name
    labels: str = ""
    notes: tuple[str, ...] = ()
    fingerprint: NDArray[np.uint32] | None = None
    found: dict[str, Encoded] = field(default_factory=dict)

    def features(self) -> Features:
        return replace(_collect(self.found, self.labels), notes=self.notes, fingerprint=self.fingerprint)


def _by_network(
    modality: Modality, medias: Sequence[Media], part: Part, inputs: list[Any]
) -> list[Encoded | ClipSimError]:
    """These clips' inputs through one encoder; alone if together they fail for a reason that names none of them."""
    if not inputs:
        return []

    def run(given: list[Any]) -> list[Encoded | ClipSimError]:
        return encoders.encode_many(encoder(part), given)

    together = _guarded(modality, run, medias[0], inputs)
    if not isinstance(together, ClipSimError):
        return together
    if len(inputs) == 1 or not isinstance(together, UnexpectedError):
        return [together] * len(inputs)
    alone = [_guarded(modality, run, media, [one]) for media, one in zip(medias, inputs, strict=True)]
    return [found if isinstance(found, ClipSimError) else found[0] for found in alone]


def _guarded(modality: Modality, function: Callable[[T], R], media: Media, given: T) -> R | ClipSimError:
    """What the function returns, or what went wrong as an error that a person can read."""
    try:
        return function(given)
    except ClipSimError as error:
        return error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _because(DiskFull(), error)
        return _because(EncoderError(f"The clip's {modality} could not be read ({error.strerror or error})."), error)
    except Exception as error:
        log.exception("encoding the %s of %s failed", modality, media.clip.id)
        return _because(
            UnexpectedError(f"The clip's {modality} could not be encoded ({type(error).__name__}: {error})."), error
        )


def _because(told: ClipSimError, cause: Exception) -> ClipSimError:
    told.__cause__ = cause
    return told


def _audio(media: Media, preset: Preset, max_duration: float) -> Features | _Ready:
    if media.audio is None or not reader.probe(media.audio).has_audio:
        return Features(notes=("It has no sound.",))
    waveform = reader.decode_audio(media.audio, max_duration)
    if reader.is_silent(waveform):
        return Features(notes=("Its sound is silence.",))
    from clipsim.fingerprint import fingerprint

    return _Ready(
        {part.encoder: waveform for part in preset.of("audio")},
        labels="tags",
        fingerprint=fingerprint(waveform, SAMPLE_RATE),
    )


def _video(media: Media, preset: Preset, max_duration: float) -> Features | _Ready:
    if media.video is None or not reader.probe(media.video).has_video:
        return Features(notes=("It has no picture.",))
    inputs: dict[str, Any] = {}
    for part in preset.of("video"):
        windows = reader.read_windows(media.video, encoder(part).window)
        if reader.is_black(windows):
            return Features(notes=("Its picture is black.",))
        inputs[part.encoder] = windows
    return _Ready(inputs, labels="classes")


def _lyrics(media: Media, preset: Preset, max_duration: float) -> Features | _Ready:
    """Each text encoder reads the lines in the languages it was made for."""
    lyrics = media.lyrics
    if lyrics is None or not lyrics.text.strip():
        return Features(notes=media.clip.notes or ("It has no lyrics.",))  # the source knows why
    if word_count(lyrics.text) < MIN_WORDS:
        return Features(notes=("Its lyrics are too short.",))
    ready = _Ready({})
    for part in preset.of("lyrics"):
        text, other = language.readable(lyrics.text, part.reads, lyrics.language)
        if other is not None and word_count(text) < MIN_WORDS:
            ready.notes = (f"The words are in {language.name(other)}, which the text encoder does not read.",)
        else:
            ready.inputs[part.encoder] = text
    return ready


_READ: dict[Modality, Callable[..., Features | _Ready]] = {"audio": _audio, "video": _video, "lyrics": _lyrics}


def _collect(found: dict[str, Encoded], labels: str) -> Features:
    vectors: dict[str, Vector] = {name: encoded.vector for name, encoded in found.items()}
    best: tuple[Label, ...] = next((encoded.labels for encoded in found.values() if encoded.labels), ())[:LABELS_KEPT]
    tempo = next((encoded.tempo for encoded in found.values() if encoded.tempo), None)
    return Features(
        vectors=vectors,
        segments={name: encoded.segments for name, encoded in found.items() if encoded.segments is not None},
        tempo=tempo,
        tags=best if labels == "tags" else (),
        classes=best if labels == "classes" else (),
    )
