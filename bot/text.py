"""Every sentence the bot says, in one place, so that it can be read as a whole and said in another language.

Nothing here knows of Discord's markup except backticks around commands: what comes from strangers (titles, tags,
error details) is put in by `bot.render`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipsim.errors import BY_CODE, ClipSimError
from clipsim.model import By, Method, Modality, Stage

NAME = "clipsim"

# The way of a clip, as its progress is told

STAGES: dict[Stage, str] = {
    "fetching": "fetching",
    "listening": "listening",
    "watching": "watching",
    "reading": "reading",
    "comparing": "comparing",
}
WAITING = "Waiting for its turn."

# The choices of `by`, as people say them, and the modalities as they are named in answers

BY: dict[str, By] = {"everything": "all", "sound": "audio", "look": "video", "words": "lyrics"}
MODALITY: dict[Modality, str] = {"audio": "sound", "video": "look", "lyrics": "words"}

METHODS: dict[Method, str] = {
    "standard": "sound, look and words, weighed",
    "joint": "sound, look and words, learnt together",
    "paper": "the autoencoder",
    "pca": "principal components",
    "raw": "raw features (not trained yet)",
}

# Commands

SIMILAR = "Find the clips that are most like this one"
SIMILAR_MENU = "Find similar clips"
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
HELP_TITLE = "clipsim: what goes with this clip?"
CLUSTERS_TITLE = "Groups of clips"
LIBRARY_TITLE = "This community's library"


def progress(stage: Stage) -> str:
    """The stages in order, the present one in bold."""
    return " → ".join(f"**{name}**" if key == stage else name for key, name in STAGES.items())


def compared_by(by: By) -> str:
    """Said where an answer does not compare by everything."""
    return "" if by == "all" else f"Compared by {MODALITY[by]} alone."


def group(size: int) -> str:
    """The size of a cluster."""
    return "1 clip" if size == 1 else f"{size} clips"


def more(count: int) -> str:
    """Said where a list is cut."""
    return f"… and {count} more"


def links_left_out(count: int) -> str:
    """Said where a message has more links than are taken at once."""
    return f"{count} more {'link was' if count == 1 else 'links were'} left out: paste fewer at a time."


NO_LINK = "I find no link to a clip in that message."


def facts(count: int, status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What `/library` says in figures: the community's clips, and from `ClipSim.status` what concerns everyone."""
    shown = [("Clips here", str(count))]
    if method := status.get("method"):
        shown.append(("Compared by", METHODS.get(method, str(method))))
    jobs = status.get("jobs") or {}
    if waiting := sum(jobs.get(state, 0) for state in ("queued", "fetching", "encoding")):
        shown.append(("Links being worked on", str(waiting)))
    return shown


HELP_LINES: tuple[tuple[str, str], ...] = (
    ("/similar clip count by", "the clips most like one, by everything, sound, look or words"),
    ("/cluster clip", "the group a clip belongs to; without a clip, all groups"),
    ("/library", "how many clips there are, the newest, and what is being worked on"),
    (SIMILAR_MENU, "press a message with a link for long (or with the right button), then Apps"),
)
HELP_PASTE = (
    "Paste a link to a music video. I listen to it, watch it and read its words, and answer with the clips here that "
    "are most like it and the group it belongs to."
)
HELP_NO_CONTENT = (
    "I am not allowed to read messages here, so pasted links go unseen. Use the commands, the message menu "
    f"“{SIMILAR_MENU}”, or mention me in the message with the link."
)
HELP_PRIVATE = "Each community sees its own clips only."

# Errors: the sentence is the error's own; the way out is said for somebody in a chat, not at a terminal.

ASK_OPERATOR = "Whoever runs this bot finds more in its log."
FOR_OPERATORS = (
    *("error", "unexpected", "setting", "no-streams", "fetch-failed", "not-trained"),
    *("weights", "weights-unavailable", "wrong-digest"),
    *("library", "locked", "other-encoders", "corrupt", "not-writable", "backup", "index"),
)
HINTS: dict[str, str] = {
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
    "disk-full": ASK_OPERATOR,
} | dict.fromkeys(FOR_OPERATORS, ASK_OPERATOR)
UNEXPECTED = "Something unexpected went wrong."
STALE_COMMAND = "That command has changed. Wait a minute, reload Discord and try again."


def problem(error: ClipSimError) -> str:
    """The error's sentence and what somebody in a chat can do about it."""
    kind = BY_CODE.get(error.code, ClipSimError)
    advice = HINTS.get(error.code, error.advice) if error.advice == kind.hint else error.advice
    sentence = UNEXPECTED if error.code == "unexpected" else error.message  # its details are for the log
    return f"{sentence} {advice}".strip()


# To the operator, at start and in the log

PERMISSIONS = (
    "view_channel",
    "send_messages",
    "send_messages_in_threads",
    "embed_links",
    "attach_files",
    "read_message_history",
)


def token_help(permissions: int) -> str:
    """How to get a token; `permissions` is the number that the invite link asks for."""
    return f"""\
DISCORD_TOKEN is not set, so only the web page is served. To have the bot as well:
  1. Open https://discord.com/developers/applications and press “New Application”.
  2. Under “Bot”, press “Reset Token” and copy the token.
  3. On the same page, switch on “Message Content Intent” (without it, pasted links go unseen; commands still work).
  4. Open this link, with your application's id in place of APPLICATION_ID, and choose your server:
     {invite("APPLICATION_ID", permissions)}
  5. Start again with DISCORD_TOKEN=… in the environment or in a file named .env."""


def invite(application: int | str, permissions: int) -> str:
    """The link that adds the bot to a server."""
    return (
        f"https://discord.com/oauth2/authorize?client_id={application}"
        f"&scope=bot+applications.commands&permissions={permissions}"
    )


def page_at(address: str) -> str:
    """Where the web page is."""
    return f"The web page is at {address}"


REFUSED = "Discord refuses DISCORD_TOKEN: copy it again from https://discord.com/developers/applications, under “Bot”."
NO_CONTENT_INTENT = (
    "Discord does not grant the message-content intent, so pasted links go unseen; commands and the message menu work. "
    "Switch it on at https://discord.com/developers/applications, under “Bot”, or set CLIPSIM_MESSAGE_CONTENT=false."
)


def closed(code: int) -> str:
    """The gateway closed for good."""
    return (
        f"Discord closed the connection for good (code {code}): see the gateway close codes in Discord's documentation."
    )


def port_in_use(host: str, port: int) -> str:
    """Another program listens where the web page should."""
    return (
        f"Port {port} of {host} is in use by another program: stop it, or set CLIPSIM_WEB_PORT (0 takes any free one)."
    )


def cannot_listen(host: str, port: int, reason: str) -> str:
    """The web page's address cannot be used."""
    return (
        f"The web page cannot be served at {host}, port {port} ({reason}): check CLIPSIM_WEB_HOST and CLIPSIM_WEB_PORT."
    )


# Waiting, trying again, and YouTube that refuses. A `moment` is a time, as Discord shows it to each reader.


def again(moment: str) -> str:
    """Said below an error that waiting may mend."""
    return f"I try again {moment}."


def waiting_for_youtube(moment: str) -> str:
    """Said of a link whose clip may not be fetched yet."""
    return f"Waiting for YouTube: its turn comes {moment}."


def youtube_refuses(problem: str, moment: str) -> str:
    """Said to who runs the bot or the server, when YouTube begins to refuse; `problem` is the error's sentence."""
    return (
        f"{problem} New links are taken and wait; I ask YouTube again {moment}. Whoever runs this bot finds what helps "
        "in its documentation, under “YouTube”."
    )


def youtube_pauses(problem: str, until: str, waiting: int) -> str:
    """The same on the web page, with the time of day."""
    links = "No link waits." if waiting == 0 else "1 link waits." if waiting == 1 else f"{waiting} links wait."
    return f"{problem} YouTube is asked again at about {until} UTC. {links}"
