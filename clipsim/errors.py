"""Every error a user can meet: a stable code, a sentence for a person, and what to do about it.

The façade (`clipsim.ClipSim`) raises nothing else. `str(error)` is one line: the sentence, then the way out. Codes
are stable: logs, `--json` output, the jobs table and the bot's replies carry them.
"""

from __future__ import annotations

from typing import ClassVar


class ClipSimError(Exception):
    """Base of all. `code` is stable, `message` is a sentence, `hint` says what to do, `retry` if waiting may help."""

    code: ClassVar[str] = "error"
    sentence: ClassVar[str] = "Something went wrong."
    hint: ClassVar[str] = ""
    retry: ClassVar[bool] = False

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = _one_line(message or self.sentence)
        self.advice = _one_line(self.hint if hint is None else hint)
        super().__init__(self.message, self.advice)

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries (workers, the child that runs yt-dlp): keep both sentences.
        return (_rebuild, (type(self), self.message, self.advice))


def _rebuild(kind: type[ClipSimError], message: str, advice: str) -> ClipSimError:
    return kind(message, hint=advice)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def from_code(code: str, message: str | None = None, hint: str | None = None) -> ClipSimError:
    """The error with this code (as read from a job's row or from a child process)."""
    return BY_CODE.get(code, ClipSimError)(message, hint=hint)


# Sources: who is it, and may we have it?


class SourceError(ClipSimError):
    """The clip could not be fetched."""

    code = "source"


class UnknownLink(SourceError):
    code, sentence = "unknown-link", "That is not a link to a clip I can fetch."
    hint = "Paste a YouTube link to one video, or name a file, or the title of a clip in the library."


class HostNotAllowed(SourceError):
    code, sentence = "host-not-allowed", "Links to that host are not allowed here."
    hint = "Whoever runs clipsim can allow it with CLIPSIM_ALLOWED_HOSTS."


class FileMissing(SourceError):
    code, sentence = "file-missing", "There is no such file."
    hint = "Check the path."


class NotMedia(SourceError):
    code, sentence = "not-media", "That file is not music or video that I can read."
    hint = "Supported: mp4, webm, mkv, mp3, m4a, ogg, opus, flac, wav."


class TooShort(SourceError):
    code, sentence = "too-short", "That clip is too short to hear or see anything."
    hint = "A clip needs at least one second."


class NothingToHear(SourceError):
    code, sentence = "nothing-to-hear", "That clip has neither sound, picture nor words to compare."
    hint = "Silence and a black picture count as missing; add lyrics, or pick another clip."


class TooLong(SourceError):
    code, sentence = "too-long", "That clip is too long."
    hint = "Raise CLIPSIM_MAX_DURATION, or pick a shorter one."


class TooLarge(SourceError):
    code, sentence = "too-large", "That clip is too large to download."
    hint = "Raise CLIPSIM_MAX_BYTES, or pick a shorter one."


class Private(SourceError):
    code, sentence = "private", "That video is private."
    hint = "Ask its owner to publish it, or pick another."


class Removed(SourceError):
    code, sentence = "removed", "That video does not exist or has been removed."
    hint = "Check the link."


class GeoBlocked(SourceError):
    code, sentence = "geo", "That video is blocked in the country this server is in."
    hint = "Look for another upload, or set CLIPSIM_PROXY."


class AgeRestricted(SourceError):
    code, sentence = "age", "That video is age-restricted."
    hint = "Whoever runs clipsim can provide a cookies file with CLIPSIM_COOKIES."


class MembersOnly(SourceError):
    code, sentence = "members", "That video is for paying members only."
    hint = "Pick another upload."


class Live(SourceError):
    code, sentence = "live", "That is a live stream."
    hint = "Try again when it has ended."


class Upcoming(SourceError):
    code, sentence = "upcoming", "That video has not premiered yet."
    hint = "Try again after its premiere."


class NoStreams(SourceError):
    code, sentence = "no-streams", "That video offers no stream that can be fetched."
    hint = "Upgrade yt-dlp (pip install -U 'yt-dlp[default]'), or look for another upload."


class BotCheck(SourceError):
    code, sentence = "bot-check", "YouTube asks this server to prove that it is not a bot."
    hint = "Wait a while; whoever runs clipsim can provide CLIPSIM_COOKIES or CLIPSIM_PROXY."
    retry = True


class RateLimited(SourceError):
    code, sentence = "rate-limit", "YouTube asks this server to slow down."
    hint = "Try again in an hour."
    retry = True


class SourcePaused(SourceError):
    code, sentence = "paused", "YouTube asked this server to slow down, so nothing is fetched from it just now."
    hint = "Try again later."
    retry = True


class NetworkDown(SourceError):
    code, sentence = "network", "The source could not be reached."
    hint = "Check the connection and try again."
    retry = True


class FetchTimeout(SourceError):
    code, sentence = "fetch-timeout", "Fetching took too long and was stopped."
    hint = "Try again later, or raise CLIPSIM_FETCH_TIMEOUT."
    retry = True


class FetchFailed(SourceError):
    code, sentence = "fetch-failed", "The clip could not be fetched."
    hint = "Upgrade yt-dlp (pip install -U 'yt-dlp[default]') and try again."
    retry = True


class EmptyPlaylist(SourceError):
    code, sentence = "empty-playlist", "That playlist has no video that I can fetch."
    hint = "Check that it is public."


# Weights and encoders


class WeightsError(ClipSimError):
    code, sentence = "weights", "A model's weights could not be loaded."
    hint = "Run: clipsim models verify"


class WeightsUnavailable(WeightsError):
    code, sentence = "weights-unavailable", "A model's weights could not be fetched from any of their sources."
    hint = "Check the connection, then run: clipsim models pull"
    retry = True


class WrongDigest(WeightsError):
    code, sentence = "wrong-digest", "A downloaded file is not the one expected (its SHA-256 differs) and was refused."
    hint = "Run: clipsim models pull; if it happens again, your mirror serves a different file."


class EncoderError(ClipSimError):
    code, sentence = "encoder", "The clip could not be encoded."
    hint = "Try again; if it fails again, report the clip."


class WorkerDied(EncoderError):
    code, sentence = "worker-died", "The process that was encoding the clip died."
    hint = "It may be short of memory: lower CLIPSIM_WORKERS and try again."
    retry = True


class EncodeTimeout(EncoderError):
    code, sentence = "encode-timeout", "Encoding took too long and was stopped."
    hint = "Try a shorter clip, or raise CLIPSIM_ENCODE_TIMEOUT."


# Library and index


class LibraryError(ClipSimError):
    code = "library"


class LibraryLocked(LibraryError):
    code, sentence = "locked", "Another process owns this library."
    hint = "Stop it first, or ask it (the bot, or the web page), or use another folder with --data."
    retry = True


class LibraryMismatch(LibraryError):
    code, sentence = "other-encoders", "This library was built with other encoders."
    hint = "Open it with the preset it was built with, or run: clipsim reencode"


class LibraryCorrupt(LibraryError):
    code, sentence = "corrupt", "The library cannot be read."
    hint = "Run: clipsim audit; if that fails, restore a backup with: clipsim restore FILE"


class DiskFull(LibraryError):
    code, sentence = "disk-full", "There is no space left on the disk."
    hint = "Free some space and try again; nothing was lost."
    retry = True


class FolderNotWritable(LibraryError):
    code, sentence = "not-writable", "The library's folder cannot be written."
    hint = "Check its permissions, or name another with --data or CLIPSIM_DATA."


class BackupInvalid(LibraryError):
    code, sentence = "backup", "That is not a backup that clipsim made."
    hint = "Name a file written by: clipsim backup FILE"


class NoSuchJob(LibraryError):
    code, sentence = "no-job", "That link is not being worked on (any more)."
    hint = "Paste it again."


class JobCancelled(LibraryError):
    code, sentence = "cancelled", "That link was cancelled."
    hint = "Paste it again if you want it after all."


class UnknownClip(LibraryError):
    code, sentence = "unknown-clip", "That clip is not in the library."
    hint = "Add it first: clipsim add SOURCE"


class EmptyLibrary(LibraryError):
    code, sentence = "empty", "The library has too few clips for that."
    hint = "Add some first: clipsim add SOURCE…, or try: clipsim demo"


class NotTrained(LibraryError):
    code, sentence = "not-trained", "That method has not been trained on this library."
    hint = "Run: clipsim train"


class MissingModality(LibraryError):
    code, sentence = "missing-modality", "That clip has no such modality to compare by."
    hint = "Compare by everything instead."


class InvalidSetting(ClipSimError):
    code, sentence = "setting", "A setting has a value that cannot be used."
    hint = "See .env.example for every setting."


class IndexUnavailable(LibraryError):
    code, sentence = "index", "The index cannot be reached or read."
    hint = "Check CLIPSIM_CHROMA; then run: clipsim audit"
    retry = True


# Who may do what, as far as an adapter tells


class NotPermitted(ClipSimError):
    code, sentence = "not-permitted", "You may not do that here."
    hint = "Ask somebody who manages it."


class DailyLimit(ClipSimError):
    code, sentence = "daily-limit", "That is enough for today."
    hint = "Try again tomorrow."


class UnexpectedError(ClipSimError):
    code, sentence = "unexpected", "Something unexpected went wrong."
    hint = "The log has the details; please report it."


def _all(kind: type[ClipSimError]) -> list[type[ClipSimError]]:
    return [kind, *(grandchild for child in kind.__subclasses__() for grandchild in _all(child))]


BY_CODE: dict[str, type[ClipSimError]] = {kind.code: kind for kind in _all(ClipSimError)}
