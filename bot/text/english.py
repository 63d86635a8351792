"""What the bot says, in English; and the names that a catalogue in another language has to have.

Nothing here knows of Discord's markup except backticks around commands: what comes from strangers (titles, tags,
error details) is put in by `bot.render`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipsim.errors import BY_CODE, ClipSimError
from clipsim.model import By, Method, Modality, Stage

NAME = "clipsim"
_MENU = "Find similar clips"
_ASK = "Whoever runs this bot finds more in its log."
_FOR_OPERATORS = (
    *("error", "unexpected", "setting", "no-streams", "fetch-failed", "not-trained"),
    *("weights", "weights-unavailable", "wrong-digest"),
    *("library", "locked", "other-encoders", "corrupt", "not-writable", "backup", "index"),
)


class Told(ClipSimError):  # noqa: N818 - it says what it is
    """An error of the bot's own, whose sentence is in the asker's language already."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code  # type: ignore[misc]  # one of `clipsim.errors.BY_CODE`
        super().__init__(sentence, hint="")


class Texts:
    """One language. Names in capitals are sentences and tables of them; functions put figures in."""

    LANGUAGE = "en"
    LANGUAGE_NAME = "English"

    # The way of a clip, as its progress is told

    STAGES: Mapping[Stage, str] = {
        "fetching": "fetching",
        "listening": "listening",
        "watching": "watching",
        "reading": "reading",
        "comparing": "comparing",
    }
    WAITING = "Waiting for its turn."

    # The choices of `by`, as people say them, and the modalities and methods as they are named in answers

    BY: Mapping[By, str] = {"all": "everything", "audio": "sound", "video": "look", "lyrics": "words"}
    MODALITY: Mapping[Modality, str] = {"audio": "sound", "video": "look", "lyrics": "words"}
    METHODS: Mapping[Method, str] = {
        "standard": "sound, look and words, weighed",
        "joint": "sound, look and words, learnt together",
        "paper": "the autoencoder",
        "pca": "principal components",
        "raw": "raw features (not trained yet)",
    }

    # Commands

    SIMILAR = "Find the clips that are most like this one"
    SIMILAR_MENU = _MENU
    CLUSTER = "Which group a clip belongs to; without a clip, all groups"
    LIBRARY = "What this community's library holds"
    HELP = "What I can do, and how to ask"
    OPTION_CLIP = "A title from this community's library, or a link"
    OPTION_COUNT = "How many clips to name (5 if you don't say)"
    OPTION_BY = "What to compare by (everything if you don't say)"

    # Answers

    UNTITLED = "(untitled)"
    ALONE = "It is the first of its kind here: paste more links and ask again."
    NO_CLUSTER = "That clip has no group yet: groups need a few more clips."
    NO_CLUSTERS = "There are no groups yet: paste a few more links first."
    NOTHING_YET = "The library is empty. Paste a link to a music video to begin."
    NEWEST = "Newest"
    CLUSTERS_TITLE = "Groups of clips"
    LIBRARY_TITLE = "This community's library"
    NO_LINK = "I find no link to a clip in that message."

    def progress(self, stage: Stage) -> str:
        """The stages in order, the present one in bold."""
        return " → ".join(f"**{name}**" if key == stage else name for key, name in self.STAGES.items())

    def compared_by(self, by: By) -> str:
        """Said where an answer does not compare by everything."""
        return "" if by == "all" else f"Compared by {self.MODALITY[by]} alone."

    def group(self, size: int) -> str:
        """The size of a cluster."""
        return "1 clip" if size == 1 else f"{size} clips"

    def more(self, count: int) -> str:
        """Said where a list is cut."""
        return f"… and {count} more"

    def links_left_out(self, count: int) -> str:
        """Said where a message has more links than are taken at once."""
        return f"{count} more {'link was' if count == 1 else 'links were'} left out: paste fewer at a time."

    def facts(self, count: int, status: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What `/library` says in figures: the community's clips, and of `ClipSim.status` what concerns everyone."""
        shown = [("Clips here", str(count))]
        if method := status.get("method"):
            shown.append(("Compared by", self.METHODS.get(method, str(method))))
        if waiting := _waiting(status):
            shown.append(("Links being worked on", str(waiting)))
        return shown

    def number(self, value: float) -> str:
        """A similarity, with two digits."""
        return f"{value:.2f}".replace("-", "−")

    # What the library says of a clip: its sentences are English, another language translates those it knows

    def note(self, sentence: str) -> str:
        """What a clip lacks ("It has no lyrics.")."""
        return sentence

    def notice(self, sentence: str) -> str:
        """What an answer says of the library's state."""
        return sentence

    def why(self, sentence: str) -> str:
        """Why two clips go together."""
        return sentence

    # Help

    HELP_TITLE = "clipsim: what goes with this clip?"
    HELP_LINES: tuple[tuple[str, str], ...] = (
        ("/similar clip count by", "the clips most like one, by everything, sound, look or words"),
        ("/cluster clip", "the group a clip belongs to; without a clip, all groups"),
        ("/library", "how many clips there are, the newest, and what is being worked on"),
        (_MENU, "press a message with a link for long (or with the right button), then Apps"),
    )
    HELP_PASTE = (
        "Paste a link to a music video. I listen to it, watch it and read its words, and answer with the clips here "
        "that are most like it and the group it belongs to."
    )
    HELP_NO_CONTENT = (
        "I am not allowed to read messages here, so pasted links go unseen. Use the commands, the message menu "
        f"“{_MENU}”, or mention me in the message with the link."
    )
    HELP_PRIVATE = "Each community sees its own clips only."

    # Errors: the sentence is the error's own; the way out is said for somebody in a chat, not at a terminal.

    ERRORS: Mapping[str, str] = {code: kind.sentence for code, kind in BY_CODE.items()}
    HINTS: Mapping[str, str] = {
        "unknown-link": "Paste a YouTube link to one video, or pick a title from the list.",
        "unknown-clip": "Paste its link first, or pick a title from the list.",
        "empty": "Paste links to a few music videos first.",
        "not-media": "",
        "too-long": "Pick a shorter one.",
        "too-large": "Pick a shorter one.",
        "geo": "Look for another upload.",
        "nothing-to-hear": "Silence and a black picture count as missing: pick another clip.",
        "encode-timeout": "Try a shorter clip.",
        "worker-died": "Try again.",
        "fetch-timeout": "Try again later.",
        "disk-full": _ASK,
    } | dict.fromkeys(_FOR_OPERATORS, _ASK)
    STALE_COMMAND = "That command has changed. Wait a minute, reload Discord and try again."

    def problem(self, error: ClipSimError) -> str:
        """The error's sentence and what somebody in a chat can do about it."""
        kind = BY_CODE.get(error.code, ClipSimError)
        advice = self.HINTS.get(error.code, error.advice) if error.advice == kind.hint else error.advice
        sentence = self.ERRORS["unexpected"] if error.code == "unexpected" else error.message  # details are for the log
        return f"{sentence} {advice}".strip()


def _waiting(status: Mapping[str, Any]) -> int:
    """How many links are under way."""
    jobs = status.get("jobs") or {}
    return sum(jobs.get(state, 0) for state in ("queued", "fetching", "encoding"))
