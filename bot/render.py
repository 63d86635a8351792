"""Results to embeds: pure functions, no Discord connection, no clock. What they say is in `bot.text`, in any language.

Discord's limits hold by construction: every text is cut to its field's limit at a word boundary, and what is left of
the 6000 characters of a message is counted down. Titles, tags and words come from strangers: they can neither ping nor
format (`safe`), and only http(s) addresses become links (`address`).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from urllib.parse import quote, urlsplit

import discord

from bot.text import Texts, Told
from clipsim.errors import ClipSimError
from clipsim.model import Answer, By, Clip, Cluster, Clustering, Match, Modality, Stage

TITLE = 256  # characters, as all of these: Discord's limits of an embed
DESCRIPTION = 4096
FOOTER = 2048
TOTAL = 6000  # over all embeds of one message
CONTENT = 2000  # of a message without embeds
CHOICE = 100  # of an autocomplete choice
EMBEDS = 10  # per message
URL = 512  # longest address that is shown as a link
SOURCE = 100  # the same of a link that was pasted: a canonical one has half of that
SENTENCE = 320  # characters of an error

ACCENT = discord.Colour(0x5B8DEF)
TROUBLE = discord.Colour(0xC8553D)
WORKING = discord.Colour(0x8A919E)  # of what is not done yet
ICONS: dict[Modality, str] = {"audio": "🎧", "video": "👁️", "lyrics": "📝"}

# How much is said about each result: (characters of its name, characters of why); the first that fits is taken.
DETAIL = ((160, 320), (110, 160), (80, 0), (40, 0))
MEMBERS = 10  # of a cluster that are named
CLUSTERS = 50  # that are named
READ = 2000  # characters of a stranger's text that are looked at
MARKS = 3  # combining marks in a row; more is not writing but a trick

_MARKUP = re.compile(r"([\\*_~`|<>&])")
_STARTS = re.compile(r"^(\s*)(?:([-+#=])|(\d{1,9})([.)]))")
_BRACKETS = str.maketrans("[]", "()")  # Discord reads brackets even behind backslashes, so they are not left to chance
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters that look like nothing


# Text from strangers


def units(value: str) -> int:
    """Length in UTF-16 units: never less than what Discord counts."""
    return len(value.encode("utf-16-le", "surrogatepass")) // 2


def clean(value: str | None) -> str:
    """One line of visible text: no line breaks, control, zero-width or direction marks, no towers of accents."""
    value = (value or "")[:READ]
    if value.isascii() and value.isprintable():
        return " ".join(value.split())
    kept: list[str] = []
    marks = 0
    for char in value:
        category = unicodedata.category(char)
        if category in ("Cc", "Zl", "Zp", "Zs"):
            kept.append(" ")
        elif category in ("Cf", "Cs", "Co", "Cn") or char in _BLANKS:
            continue
        elif category in ("Mn", "Me"):
            marks += 1
            if marks <= MARKS:
                kept.append(char)
            continue
        else:
            kept.append(char)
        marks = 0
    return " ".join("".join(kept).split())


def cut(value: str, limit: int) -> str:
    """At most `limit` characters, cut at a word boundary where one is near, with an ellipsis."""
    if units(value) <= limit:
        return value
    if limit < 2:
        return "…"[:limit]
    room, end = limit - 1, 0
    for end, char in enumerate(value):  # noqa: B007 - the position is what is wanted
        room -= 1 if ord(char) < 0x10000 else 2
        if room < 0:
            break
    head = value[:end]
    if not value[end].isspace() and (space := head.rfind(" ")) > end // 2:
        head = head[:space]
    return head.rstrip() + "…"


def escape(value: str) -> str:
    """Cleaned text as Markdown that reads exactly so: nothing formats, links, mentions or pings."""
    value = _MARKUP.sub(r"\\\1", value.translate(_BRACKETS))
    value = _STARTS.sub(lambda m: f"{m[1]}\\{m[2]}" if m[2] else f"{m[1]}{m[3]}\\{m[4]}", value)
    value = value.replace("://", ":\\/\\/")  # an address in a title is no link
    return discord.utils.escape_mentions(value)


def safe(value: str | None, limit: int) -> str:
    """Any text as harmless Markdown of at most `limit` characters."""
    plain, room = clean(value), limit
    while units(shown := escape(cut(plain, room))) > limit:
        room -= max(1, (units(shown) - limit) // 2)
    return shown


def address(url: str | None) -> str | None:
    """The address if it is plain http(s) and short enough, with everything that could end a link percent-encoded."""
    if not url or len(url) > URL:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.username is not None
        or not re.fullmatch(r"[\w.:-]+", host)
    ):
        return None
    try:
        shown = quote(url, safe="%/:?#@!$&',;=~+-._")
    except UnicodeEncodeError:
        return None
    return shown if len(shown) <= URL else None


def link(texts: Texts, name: str | None, url: str | None, limit: int) -> str:
    """`[name](url)`, or the name alone where there is no address that may be shown."""
    shown = safe(name, limit) or texts.UNTITLED
    target = address(url)
    return f"[{shown}]({target})" if target else shown


# Small parts


def name(texts: Texts, clip: Clip) -> str:
    """Artist and title, the artist once: plain text, to be escaped where it is shown."""
    title, artist = clean(clip.title), clean(clip.artist)
    if not title:
        return artist or texts.UNTITLED
    return title if not artist or artist.casefold() in title.casefold() else f"{artist} – {title}"


def choice(texts: Texts, clip: Clip) -> str:
    """The clip as an autocomplete choice: plain text of 1 to 100 characters."""
    return cut(name(texts, clip), CHOICE)


def similarity(texts: Texts, value: float) -> str:
    """A cosine with two digits."""
    return texts.number(value) if math.isfinite(value) else "–"


def _line(texts: Texts, match: Match, name_limit: int, why_limit: int) -> str:
    shown = link(texts, name(texts, match.clip), match.clip.url, name_limit)
    line = f"**{match.rank}** · {shown} · {similarity(texts, match.similarity)}"
    if not why_limit:
        return line
    by = " · ".join(f"{icon} {similarity(texts, match.by[name])}" for name, icon in ICONS.items() if name in match.by)
    why = safe(texts.why(match.why), why_limit)
    return "\n".join(part for part in (line, " — ".join(part for part in (by, why) if part)) if part)


def _fit(texts: Texts, heads: Sequence[str], lists: Iterable[Sequence[str]], limit: int, left_out: int) -> str:
    """Heads and the most detailed of `lists` that fits; the briefest one is cut by whole entries.

    `left_out` entries are not in the lists at all.
    """
    entries: list[str] = []
    for chosen in lists:
        entries = [*chosen, texts.more(left_out)] if left_out else list(chosen)
        shown = "\n".join((*heads, *entries))
        if units(shown) <= limit:
            return shown
    shown = "\n".join(heads)
    if left_out:
        entries.pop()
    for count, entry in enumerate(entries):
        tail = texts.more(len(entries) - count + left_out)
        if units(shown) + units(entry) + units(tail) + 2 > limit:
            return f"{shown}\n{tail}" if units(shown) + units(tail) + 1 <= limit else shown
        shown = f"{shown}\n{entry}" if shown else entry
    return shown


def _embed(
    texts: Texts,
    title: str,
    heads: Sequence[str],
    lists: Iterable[Sequence[str]] = (),
    *,
    footer: str = "",
    left_out: int = 0,
    budget: int = TOTAL,
) -> discord.Embed:
    """An embed whose texts together have at most `budget` characters; `title` is Markdown within its limit already."""
    footer = cut(clean(footer), min(FOOTER, budget // 4))
    room = min(DESCRIPTION, budget - units(title) - units(footer))
    embed = discord.Embed(
        colour=ACCENT, title=title or None, description=_fit(texts, heads, lists, room, left_out) or None
    )
    if footer:
        embed.set_footer(text=footer)
    return embed


def share(parts: int) -> int:
    """The characters that each of `parts` embeds of one message may have."""
    return TOTAL // max(1, parts)


# Whole replies


def answer(
    texts: Texts, found: Answer, *, by: By = "all", budget: int = TOTAL, first: str = "", page: int = 0
) -> discord.Embed:
    """The clip, its cluster, and the clips most like it, each with a link, its similarity and why.

    `first` is Markdown of our own that is said before all that: when the clip was posted first. `page`, from 0, is
    named from the second on. An early answer says what it does not know yet, and is not `finished`.
    """
    heads = [first] if first else []
    if found.pending:
        heads.append(f"⏳ {texts.pending(found.pending)}")
    if found.cluster:
        heads.append(f"**{safe(found.cluster.label, 120)}** · {texts.group(found.cluster.size)}")
    if compared := texts.compared_by(by):
        heads.append(compared)
    if not found.results:
        heads.append(texts.ALONE)
    elif heads:
        heads.append("")
    notes = (texts.notice(found.notice or ""), *map(texts.note, found.query.notes))
    if page:
        notes = (f"{texts.page(page + 1)}.", *notes)
    embed = _embed(
        texts,
        safe(name(texts, found.query), min(TITLE, budget // 4)),
        heads,
        ([_line(texts, match, *detail) for match in found.results] for detail in DETAIL),
        footer=" ".join(note for note in notes if note),
        budget=budget,
    )
    if found.pending:
        embed.colour = WORKING
    return _dress(embed, found.query)


def _dress(embed: discord.Embed, clip: Clip) -> discord.Embed:
    embed.url = address(clip.url)
    if thumbnail := address(clip.thumbnail):
        embed.set_thumbnail(url=thumbnail)
    return embed


def progress(texts: Texts, source: str, stage: Stage | None) -> discord.Embed:
    """What is being done with a link right now; None while it waits for its turn."""
    said = texts.progress(stage) if stage else texts.WAITING
    embed = _embed(texts, "", [_source(texts, source), said], budget=share(EMBEDS))
    embed.colour = WORKING
    return embed


def waiting(texts: Texts, source: str, until: datetime) -> discord.Embed:
    """A link that may not be fetched yet, and about when it may."""
    said = texts.waiting_for_youtube(moment(until))
    embed = _embed(texts, "", [_source(texts, source), said], budget=share(EMBEDS))
    embed.colour = WORKING
    return embed


def moment(when: datetime) -> str:
    """A time as each reader's own client tells it: "in 5 minutes"."""
    return discord.utils.format_dt(when, "R")


def finished(embed: discord.Embed) -> bool:
    """Whether an embed shows how a link ended, rather than how far it is."""
    return embed.colour != WORKING


def withdrawn(texts: Texts, source: str) -> discord.Embed:
    """A link that its message no longer has, before anything was done with it."""
    return _embed(texts, "", [_source(texts, source), texts.LINK_REMOVED], budget=share(EMBEDS))


def _source(texts: Texts, url: str) -> str:
    """A link as a link, without what every link begins with: Discord shows no link whose text is an address itself."""
    shown = url.removeprefix("https://").removeprefix("http://").removeprefix("www.")
    return link(texts, shown, url if len(url) <= SOURCE else None, 90)


def problem(texts: Texts, error: ClipSimError, code: str | None = None) -> str:
    """The error as one line of Markdown, with its code."""
    own = isinstance(error, Told)  # says nothing of strangers, and may name a moment or a role as Discord does
    sentence = cut(error.message, SENTENCE) if own else safe(texts.problem(error), SENTENCE)
    return f"{sentence} (`{code or error.code}`)"


def failure(
    texts: Texts, source: str, error: ClipSimError, code: str | None = None, again: datetime | None = None
) -> discord.Embed:
    """A link that could not be answered, and why; `again` is when it is tried once more."""
    heads = [_source(texts, source), problem(texts, error, code)]
    heads += [texts.again(moment(again))] if again else []
    embed = _embed(texts, "", heads, budget=share(EMBEDS))
    embed.colour = TROUBLE
    return embed


def cluster(texts: Texts, clip: Clip, found: Cluster | None, *, budget: int = TOTAL) -> discord.Embed:
    """The cluster of one clip, and who else is in it."""
    title = safe(name(texts, clip), min(TITLE, budget // 4))
    if found is None:
        return _dress(_embed(texts, title, [texts.NO_CLUSTER], budget=budget), clip)
    others = [member for member in found.members if member.id != clip.id][:MEMBERS]
    heads = [f"**{safe(found.label, 120)}** · {texts.group(found.size)}", ""]
    left_out = max(0, found.size - 1 - len(others))
    return _dress(_embed(texts, title, heads, _clips(texts, others), left_out=left_out, budget=budget), clip)


def _clips(texts: Texts, clips: Sequence[Clip]) -> Iterator[list[str]]:
    """A line for each clip, in each detail."""
    return ([f"· {link(texts, name(texts, clip), clip.url, limit)}" for clip in clips] for limit, _ in DETAIL)


def clusters(texts: Texts, found: Clustering, first: str = "") -> discord.Embed:
    """All clusters, largest first, each with its label, size and the clips nearest to its centre.

    `first` is a sentence of our own that is said before.
    """
    if not found.clusters:
        return _embed(texts, texts.CLUSTERS_TITLE, [texts.NO_CLUSTERS])
    ordered = sorted(found.clusters, key=lambda item: (-item.size, item.id))
    shown = ordered[:CLUSTERS]
    lists = (
        [
            f"**{safe(item.label, 80)}** · {texts.group(item.size)}"
            + "".join(f"\n· {link(texts, name(texts, clip), clip.url, limit)}" for clip in item.members[:named])
            for item in shown
        ]
        for limit, named in ((110, 2), (80, 1), (40, 0))
    )
    heads = [first, ""] if first else []
    return _embed(texts, texts.CLUSTERS_TITLE, heads, lists, footer=found.method, left_out=len(ordered) - len(shown))


def help_page(texts: Texts, *, reads_messages: bool) -> discord.Embed:
    """What the bot can do; and that it cannot read messages, where that is so."""
    heads = [texts.HELP_PASTE if reads_messages else f"⚠️ {texts.HELP_NO_CONTENT}", ""]
    lines = [f"`{command}`: {what}" for command, what in texts.HELP_LINES]
    return _embed(texts, texts.HELP_TITLE, heads, [lines], footer=texts.HELP_PRIVATE)


def as_text(embeds: Sequence[discord.Embed]) -> str:
    """The same as a message without embeds, for channels where the bot may not embed: whole lines, at most 2000."""
    lines: list[str] = []
    for embed in embeds:
        head = f"**{embed.title}**" if embed.title else ""
        lines += [
            line for line in (head, *(embed.description or "").split("\n"), escape(embed.footer.text or "")) if line
        ]
    shown = ""
    for line in lines:
        if units(shown) + units(line) + 1 > CONTENT:
            break
        shown = f"{shown}\n{line}" if shown else line
    return shown
