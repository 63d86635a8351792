"""Whole replies besides answers: lists, a group, a surprise, the map, the library. Pure, in the limits of `render`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.listing import Listing, part
from bot.render import DETAIL, _dress, _embed, _source, cut, link, name, safe, similarity
from bot.text import Texts
from clipsim.model import Clip, Cluster, Pair, Surprise

SIZE = 10  # entries on a page
NAMED = 3  # clips that a title names
FAILED = 5  # links that are named
TWICE = 5  # pairs of clips that are named


def listing(texts: Texts, shown: Listing, page: int, clips: Mapping[str, Clip]) -> discord.Embed:
    """One page of a list; `clips` are those of it that are still there, by id."""
    entries = [(place, entry, clips[entry.id]) for place, entry in part(shown, page, SIZE) if entry.id in clips]
    heads = [safe(texts.told(shown.why), 500)] if shown.why else []
    if not shown.entries:
        heads.append(texts.NOTHING_FOUND if shown.kind == "find" else texts.NOTHING_LIKE_IT)
    elif heads:
        heads.append("")
    lists = (
        [_entry(texts, place, clip, entry.similarity, entry.why, *detail) for place, entry, clip in entries]
        for detail in DETAIL
    )
    notes = [texts.page(page + 1) + "." if page else "", texts.notice(shown.notice)]
    return _embed(texts, safe(_title(texts, shown), 256), heads, lists, footer=" ".join(note for note in notes if note))


def _title(texts: Texts, shown: Listing) -> str:
    names = [cut(each, 80) for each in shown.names]
    count = len(shown.seeds)
    if shown.kind == "find":
        return texts.find_title(cut(shown.names[0], 200))
    if shown.kind == "path":
        return texts.path_title(names[0], names[-1])
    if shown.kind == "mix":
        return texts.mix_title(_few(names[:count]), _few(names[count:]))
    return texts.playlist_title(_few(names))


def _few(names: Sequence[str]) -> list[str]:
    return [*names[:NAMED], *(["…"] if len(names) > NAMED else [])]


def _entry(texts: Texts, place: int, clip: Clip, value: float | None, why: str, name_limit: int, why_limit: int) -> str:
    line = f"**{place}** · {link(texts, name(texts, clip), clip.url, name_limit)}"
    if value is not None:
        line += f" · {similarity(texts, value)}"
    return f"{line}\n{safe(texts.told(why), why_limit)}" if why and why_limit else line


def group(texts: Texts, found: Cluster, page: int) -> discord.Embed:
    """One group, the clips nearest to its centre first."""
    members = found.members[page * SIZE : (page + 1) * SIZE]
    heads = [f"**{texts.group(found.size)}**", ""]
    first = page * SIZE + 1
    lists = (
        [
            f"**{place}** · {link(texts, name(texts, clip), clip.url, limit)}"
            for place, clip in enumerate(members, first)
        ]
        for limit, _ in DETAIL
    )
    return _embed(texts, safe(found.label, 256), heads, lists, footer=f"{texts.page(page + 1)}." if page else "")


def surprise(texts: Texts, found: Surprise) -> discord.Embed:
    """A clip, why it, and what is near it."""
    heads = [safe(texts.told(found.why), 600)]
    heads += ["", f"**{texts.NEAR_IT}**"] if found.like else []
    lists = ([f"· {link(texts, name(texts, clip), clip.url, limit)}" for clip in found.like] for limit, _ in DETAIL)
    return _dress(_embed(texts, safe(name(texts, found.clip), 256), heads, lists), found.clip)


def map_page(texts: Texts, clips: int, until: str, picture: str | None) -> discord.Embed:
    """The map; `picture` is the name of the file that is attached, `until` a moment as Discord shows it, or nothing."""
    page = _embed(texts, texts.MAP_TITLE, [texts.map_told(clips, until)])
    return pictured(page, picture)


def pictured(page: discord.Embed, picture: str | None) -> discord.Embed:
    """The same with a picture that is attached under this name."""
    return page.set_image(url=f"attachment://{picture}") if picture else page


def library(
    texts: Texts,
    facts: Sequence[tuple[str, str]],
    newest: Sequence[Clip],
    *,
    alike: Pair | None = None,
    twice: Sequence[Pair] = (),
    added: Sequence[tuple[str, int]] = (),
    jobs: Sequence[Any] = (),
) -> discord.Embed:
    """Facts (what, how many), the newest clips, the two most alike, songs that are there twice, links not yet done.

    `added`: who added most, as Markdown of our own, and how many.
    """
    heads = [f"{safe(what, 80)}: **{safe(value, 120)}**" for what, value in facts]
    if not newest:
        heads.append(texts.NOTHING_YET)
    lists = (
        [
            *_section(texts.NEWEST, _links(texts, newest, limit)),
            *_section(texts.MOST_ALIKE, _alike(texts, alike, limit, why)),
            *_section(texts.DUPLICATES, _twice(texts, twice, limit)),
            *_section(texts.MOST_ADDED, [f"· {who}: {texts.group(count)}" for who, count in added]),
            *_section(texts.JOBS, _jobs(texts, jobs)),
        ]
        for limit, why in DETAIL
    )
    return _embed(texts, texts.LIBRARY_TITLE, heads, lists)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"**{title}**", *lines] if lines else []


def _links(texts: Texts, clips: Sequence[Clip], limit: int) -> list[str]:
    return [f"· {link(texts, name(texts, clip), clip.url, limit)}" for clip in clips]


def _pair(texts: Texts, pair: Pair, limit: int) -> str:
    first, second = (link(texts, name(texts, clip), clip.url, limit) for clip in (pair.first, pair.second))
    return f"· {first} · {second} · {similarity(texts, pair.similarity)}"


def _alike(texts: Texts, pair: Pair | None, limit: int, why: int) -> list[str]:
    if pair is None:
        return []
    return [_pair(texts, pair, limit), *([safe(texts.told(pair.why), why)] if why else [])]


def _twice(texts: Texts, pairs: Sequence[Pair], limit: int) -> list[str]:
    shown = [_pair(texts, pair, limit) for pair in pairs[:TWICE]]
    return [*shown, *([texts.more(len(pairs) - TWICE)] if len(pairs) > TWICE else [])]


def _jobs(texts: Texts, jobs: Sequence[Any]) -> list[str]:
    """How many links are in each state, and the failed ones by name."""
    counts = {state: sum(job.state == state for job in jobs) for state in texts.JOB_STATES}
    told = [f"{said}: **{counts[state]}**" for state, said in texts.JOB_STATES.items() if counts[state]]
    failed = [job_line(texts, job) for job in jobs if job.state == "failed"]
    left = [texts.more(len(failed) - FAILED)] if len(failed) > FAILED else []
    return [*([" · ".join(told)] if told else []), *failed[:FAILED], *left]


def job(texts: Texts, failed: Any) -> discord.Embed:
    """One link that failed."""
    return _embed(texts, "", [job_line(texts, failed), safe(texts.ERRORS.get(failed.error_code or "", ""), 300)])


def job_line(texts: Texts, job: Any) -> str:
    """A link that failed: its code, and when it is tried again."""
    line = f"· {_source(texts, str(job.source))} (`{job.error_code or texts.JOB_STATES['failed']}`)"
    if job.retry_at is not None:
        line += f", {texts.next_try(discord.utils.format_dt(job.retry_at, 'R'))}"
    return line
