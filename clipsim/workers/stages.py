"""What a worker runs: one modality of one clip, from file to features.

A modality that is there but says nothing (silence, a black picture, too few words) counts as missing, with a note.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from clipsim import language
from clipsim import media as reader
from clipsim.encoders import SAMPLE_RATE, Encoded, Part, Preset
from clipsim.errors import ClipSimError, DiskFull, EncoderError, UnexpectedError
from clipsim.model import Features, Label, Media, Modality, Vector
from clipsim.sources.lyrics import MIN_WORDS, word_count

log = logging.getLogger(__name__)

LABELS_KEPT = 5


@lru_cache(maxsize=16)
def encoder(part: Part) -> Any:
    """The encoder of a part, loaded once per process."""
    log.info("loading encoder %s", part.encoder)
    return part.load()


def load(preset: Preset) -> None:
    """Load every encoder of the preset."""
    for part in preset.parts:
        encoder(part)


def encode(modality: Modality, media: Media, preset: Preset, max_duration: float) -> Features:
    """Encode one modality. Features without vectors mean that it is missing; a note says why.

    Raises:
        SourceError, EncoderError: the file cannot be read, or holds nothing that this encoder takes.
        ClipSimError: anything else, such as weights that are not there, or a bug.
    """
    try:
        if modality == "audio":
            return _audio(media.audio, preset, max_duration)
        if modality == "video":
            return _video(media.video, preset)
        return _lyrics(media, preset)
    except ClipSimError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull() from error
        raise EncoderError(f"The clip's {modality} could not be read ({error.strerror or error}).") from error
    except Exception as error:
        log.exception("encoding the %s of %s failed", modality, media.clip.id)
        raise UnexpectedError(
            f"The clip's {modality} could not be encoded ({type(error).__name__}: {error})."
        ) from error


def encode_many(
    modality: Modality, medias: Sequence[Media], preset: Preset, max_duration: float
) -> list[Features | ClipSimError]:
    """As `encode`, of several clips; an error in place of features where one could not be encoded."""
    found: list[Features | ClipSimError] = []
    for media in medias:
        try:
            found.append(encode(modality, media, preset, max_duration))
        except ClipSimError as error:
            found.append(error)
    return found


def batch_size(modality: Modality) -> int:
    """How many clips are best encoded at once."""
    return 1


def _audio(path: Path | None, preset: Preset, max_duration: float) -> Features:
    if path is None or not reader.probe(path).has_audio:
        return Features(notes=("It has no sound.",))
    waveform = reader.decode_audio(path, max_duration)
    if reader.is_silent(waveform):
        return Features(notes=("Its sound is silence.",))
    from clipsim.fingerprint import fingerprint

    found = {part.encoder: encoder(part).encode(waveform) for part in preset.of("audio")}
    return replace(_collect(found, "tags"), fingerprint=fingerprint(waveform, SAMPLE_RATE))


def _video(path: Path | None, preset: Preset) -> Features:
    if path is None or not reader.probe(path).has_video:
        return Features(notes=("It has no picture.",))
    found: dict[str, Encoded] = {}
    for part in preset.of("video"):
        network = encoder(part)
        windows = reader.read_windows(path, network.window)
        if reader.is_black(windows):
            return Features(notes=("Its picture is black.",))
        found[part.encoder] = network.encode(windows)
    return _collect(found, "classes")


def _lyrics(media: Media, preset: Preset) -> Features:
    """Each text encoder reads the lines in the languages it was made for."""
    lyrics = media.lyrics
    if lyrics is None or not lyrics.text.strip():
        return Features(notes=media.clip.notes or ("It has no lyrics.",))  # the source knows why
    if word_count(lyrics.text) < MIN_WORDS:
        return Features(notes=("Its lyrics are too short.",))
    found: dict[str, Encoded] = {}
    notes: tuple[str, ...] = ()
    for part in preset.of("lyrics"):
        text, other = language.readable(lyrics.text, part.reads, lyrics.language)
        if other is not None and word_count(text) < MIN_WORDS:
            notes = (f"The words are in {language.name(other)}, which the text encoder does not read.",)
        else:
            found[part.encoder] = encoder(part).encode(text)
    return replace(_collect(found, ""), notes=notes)


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
