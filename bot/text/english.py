"""What the bot says, in English; and the names that a catalogue in another language has to have.

Nothing here knows of Discord's markup except backticks around commands: what comes from strangers (titles, tags,
error details) is put in by `bot.render`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.text.english_replies import Replies
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


class Texts(Replies):
    """One language. Names in capitals are sentences and tables of them; functions put figures in."""

    LANGUAGE = "en"
    LANGUAGE_NAME = "English"

    # The way of a clip, as its progress is told

    STAGES: Mapping[Stage, str] = {
        "fetching": "fetching",
        "listening": "listening",
        "reading": "reading",
        "watching": "watching",
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
    OPTION_COUNT = "How many clips to name (5 if nobody says otherwise)"
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

    # Waiting, and trying again; a `moment` is a time as Discord shows it to each reader

    def again(self, moment: str) -> str:
        """Said below an error that waiting may mend."""
        return f"I try again {moment}."

    def waiting_for_youtube(self, moment: str) -> str:
        """Said of a link whose clip may not be fetched yet."""
        return f"Waiting for YouTube: its turn comes {moment}."

    def youtube_refuses(self, problem: str, moment: str) -> str:
        """Said to whoever looks after the server, when YouTube begins to refuse; `problem` is the error's sentence."""
        return (
            f"{problem} New links are taken and wait; I ask YouTube again {moment}. Whoever runs this bot finds what "
            "helps in its documentation, under “YouTube”."
        )

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

    # Settings of a guild

    SETTINGS = "See and change how I behave in this server (managers only)"
    SETTINGS_TITLE = "Settings of this server"
    SETTINGS_FOOTER = "Every change counts at once."
    SETTING: Mapping[str, str] = {
        "channels": "Where I watch for links",
        "answer": "Where I answer",
        "may_add": "Who may add clips",
        "count": "Clips in an answer",
        "per_user": "New clips a day, each member",
        "per_guild": "New clips a day, all together",
        "playlist": "Clips of one playlist",
        "language": "Language of replies",
        "shared": "Shared library",
        "most": "Naming who added most",
    }
    ANSWERS: Mapping[str, str] = {
        "channel": "in the channel",
        "thread": "in a thread",
        "private": "privately",
        "quiet": "quietly, by a reaction",
    }
    ANSWERS_MORE: Mapping[str, str] = {
        "channel": "A reply under the message with the link",
        "thread": "A thread of its own for each message with links",
        "private": "A direct message to whoever posted the link",
        "quiet": "👀, then ✅; the answer is in the message menu",
    }
    MAY_ADD: Mapping[str, str] = {
        "everyone": "everyone",
        "role": "a role and managers",
        "managers": "managers only",
    }
    ALL_CHANNELS = "in all channels that I can read"
    NO_LIMIT = "no limit"
    NOT_OFFERED = "never offered"
    NO_ROLE = "no role chosen yet, so only managers"
    AUTOMATIC = "the server's on Discord"
    SWITCH: Mapping[bool, str] = {True: "on", False: "off"}
    PICK_CHANNELS = "Channels to watch (none: all)"
    PICK_ANSWER = "Where to answer"
    PICK_MAY_ADD = "Who may add clips"
    PICK_ROLE = "The role that may add clips"
    NUMBERS = "Numbers…"
    NUMBERS_TITLE = "Numbers"
    SERVERS_ONLY = "That is for servers only."
    MANAGERS_ONLY = "Only those who may manage this server can do that."
    SHARE_ASK = (
        "Join the shared library? Everybody in the servers that joined will see this server's clips, with titles, "
        "groups and thumbs (never who posted them), and you will see theirs. You can leave at any time; the clips of "
        "this server leave with it."
    )
    SHARE_YES = "Join"
    SHARE_DONE = "This server is in the shared library now."

    def between(self, name: str, least: int, most: int) -> str:
        """Said where a number cannot be used; `name` is one of `SETTING`."""
        return f"{self.SETTING[name]}: a whole number from {least} to {most}, please."

    # Who may add, and how much

    def may_not_add(self, role: str | None) -> str:
        """Said to somebody who may not add clips; `role` is a mention of the role that may, if there is one."""
        who = f"members with the role {role}" if role else "those who manage this server"
        return f"Only {who} may add clips here. Clips that are here already are for everyone."

    def daily_limit(self, limit: int, free: str, everybody: bool) -> str:
        """Said where a day's clips are used up; `free` is a moment as Discord shows it."""
        whose = "This server takes" if everybody else "You can add"
        return f"{whose} {limit} new {'clip' if limit == 1 else 'clips'} a day, and that is reached. Again {free}."

    # Manners

    THREAD = "Clips like this"
    MONTHS: tuple[str, ...] = (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    )

    def posted(self, who: str, when: datetime, now: datetime, link: str | None) -> str:
        """Said of a clip that has been posted before: a mention of who did, and a link to it, where they are known."""
        moment = self._moment(when, now)
        moment = f"[{moment}]({link})" if link else moment
        return f"Posted {f'by {who} ' if who else ''}{moment}."

    def _moment(self, when: datetime, now: datetime) -> str:
        if now - when < timedelta(days=1):
            return "in the last day"
        if now - when < timedelta(days=25):
            return f"on {when.day} {self.MONTHS[when.month - 1]}"
        return f"in {self.MONTHS[when.month - 1]}" + (f" {when.year}" if when.year != now.year else "")

    LINK_REMOVED = "The link was taken out of the message, so I left it."

    # Forgetting

    FORGET = "Forget a clip, or everything that you added"
    OPTION_FORGET = "The clip to forget: a title or a link"
    OPTION_EVERYTHING = "Everything that you added here (in a direct message: everywhere)"
    FORGET_WHAT = "Name a clip, or choose `everything`."
    NOT_YOURS = "Only whoever posted that clip, or somebody who manages this server, can have it forgotten."
    NOTHING_OF_YOURS = "There is nothing of yours here."
    FORGET_YES = "Forget it all"
    FORGET_KEPT = "Nothing was forgotten."
    KEEP = "Keep it"

    def forgotten(self, name: str) -> str:
        """Said when a clip was forgotten."""
        return f"Forgotten: {name}."

    def forget_ask(self, counts: Mapping[str, int], everywhere: bool) -> str:
        """Asked before everything of somebody's is forgotten."""
        where = "everywhere" if everywhere else "in this server"
        return f"Forget everything that you added {where}? That is {self._belongings(counts)}. It cannot be undone."

    def forgot_all(self, counts: Mapping[str, int]) -> str:
        """Said when everything of somebody's was forgotten."""
        return f"Forgotten: {self._belongings(counts)}."

    def _belongings(self, counts: Mapping[str, int]) -> str:
        clips, votes, waiting = (counts.get(name, 0) for name in ("clips", "votes", "waiting"))
        parts = [self.group(clips), "1 thumb" if votes == 1 else f"{votes} thumbs"]
        return ", ".join([*parts, *([f"{waiting} waiting" if waiting != 1 else "1 waiting"] if waiting else [])])

    # Playlists

    NO_THANKS = "No, thanks"
    PLAYLIST_DECLINED = "Not added."
    PLAYLIST_LISTING = "Looking at the playlist …"
    PLAYLIST_CANCEL = "Cancel"
    PLAYLIST_PRIVATELY = "It has begun; how far it is, I tell you in a direct message."
    PLAYLIST_KNOWN = "All of its clips are here already."

    def playlist_offer(self, most: int) -> str:
        """Asked under a link to a playlist."""
        return f"That is a playlist. Shall I add its clips ({most} at most)?"

    def playlist_add(self, most: int) -> str:
        """The button that adds them."""
        return f"Add up to {most}"

    def playlist_progress(self, done: int, failed: int, total: int) -> str:
        """How far the clips of a playlist are."""
        return f"{done} of {total} added" + (f", {failed} failed" if failed else "")

    def playlist_done(self, done: int, failed: int, total: int, cancelled: bool) -> str:
        """The end of a playlist."""
        head = "Cancelled" if cancelled else "Done"
        return f"{head}: {self.playlist_progress(done, failed, total)}."

    def playlist_left(self, taken: int, total: int) -> str:
        """Said where a playlist is longer than what is taken of it."""
        return f"Its first {taken} of {total}."

    # Help

    HELP_TITLE = "clipsim: what goes with this clip?"
    HELP_LINES: tuple[tuple[str, str], ...] = (
        ("/similar clip count by", "the clips most like one, by everything, sound, look or words"),
        ("/cluster clip", "the group a clip belongs to, and where that lies; without a clip, all groups"),
        ("/playlist clip count", "a list in which each clip is like the one before"),
        ("/path start end", "from one clip to another in small steps"),
        ("/mix add less", "what is like some clips and unlike others"),
        ("/find words", "titles, artists, tags, lyrics, and what lyrics mean"),
        ("/surprise", "a good clip that is rarely recommended"),
        ("/map", "all clips as a picture, the groups with their names"),
        ("/library", "how many clips there are, the newest, what is there twice, and links that failed"),
        ("/forget clip", "a clip that you posted is gone from here; or everything that you added"),
        ("/settings", "for managers: where I watch and answer, who may add, limits, language"),
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
