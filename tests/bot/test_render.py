"""What strangers write (titles, tags, reasons) can neither ping, format nor overflow; checked by another parser."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import replace

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot import pages, render
from bot.listing import Entry, Listing
from bot.text import ENGLISH as text
from bot.text import LANGUAGES
from bot.views import clusters as clusters_view
from bot.views import library as library_view
from bot.views import similar
from bot.views import surprise as surprise_view
from clipsim.errors import BY_CODE, ClipSimError, NetworkDown, Private, UnknownClip
from clipsim.model import Answer, Clip, Cluster, Clustering, Match, Pair, Surprise, Vote
from tests.doubles.discord import rules
from tests.doubles.sim import Job

COMMONMARK = MarkdownIt("commonmark").enable("strikethrough")
PIECES = [
    *("**", "__", "~~", "||", "`", "```", "\\", "\n", "\n# ", "\n> ", "\n- ", "\n1. ", "-# ", "* ", "[", "]", "(", ")"),
    *(
        "](https://evil.example)",
        "[x](https://evil.example)",
        "https://evil.example",
        "<https://evil.example>",
        "http://a_b_c",
    ),
    *(
        "@everyone",
        "@here",
        "<@123456789012345678>",
        "<@&123456789012345678>",
        "<#123456789012345678>",
        "<t:0:R>",
        "</x:1>",
    ),
    *(
        "<a:b:1>",
        "<id:browse>",
        "&lt;b&gt;",
        "\u200b",
        "\u202e",
        "\u2066",
        "\ufeff",
        "\x00",
        "\x1b[31m",
        "\u2028",
        "\u3164",
    ),
    *("e" + "\u0301" * 40, "👩‍👩‍👧", "🏴", "\ud800", "ﷺ", "word ", " ", "a" * 200, "日本語" * 60),
]
hostile = st.one_of(
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=25).map("".join),
    st.text(alphabet=st.characters(), max_size=300),
)
urls = st.one_of(
    st.none(),
    st.just("https://www.youtube.com/watch?v=dQw4w9WgXcQ"),
    st.sampled_from(
        [
            "javascript:alert(1)",
            "https://a.example/(x))) [y](https://evil.example)",
            "https://user:pw@a.example/",
            "https://",
            "ftp://a.example",
            "http://[::1",
            "https://a.example/" + "x" * 3000,
            "https://a.example/\n> q",
            "https://a.example/`*_~|<>\\\"'",
        ]
    ),
    hostile,
)


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    return Clip(
        draw(st.sampled_from(["a" * 11, "b" * 11, "c" * 11])),
        draw(hostile),
        artist=draw(st.one_of(st.none(), hostile)),
        url=draw(urls),
        thumbnail=draw(urls),
        notes=tuple(draw(st.lists(hostile, max_size=2))),
    )


clusters = st.builds(
    Cluster,
    st.integers(),
    hostile,
    st.integers(0, 10**9),
    st.lists(clips(), max_size=3).map(lambda some: tuple(some * 4)),
)
similarities = st.floats()
matches = st.builds(
    Match,
    st.integers(1, 10),
    clips(),
    similarities,
    st.dictionaries(st.sampled_from(["audio", "video", "lyrics"]), similarities),
    st.none(),
    hostile,
)
answers = st.builds(
    Answer,
    clips(),
    st.just("raw"),
    st.lists(matches, max_size=10).map(tuple),
    st.one_of(st.none(), clusters),
    st.one_of(st.none(), hostile),
)


def units(value: str | None) -> int:
    return len((value or "").encode("utf-16-le")) // 2  # raises where a lone surrogate would break the request


def assert_within_limits(embed: discord.Embed, total: int = 6000) -> None:
    raw = embed.to_dict()
    assert units(raw.get("title")) <= 256
    assert units(raw.get("description")) <= 4096
    assert units(raw.get("footer", {}).get("text")) <= 2048
    assert "fields" not in raw
    assert units(raw.get("title")) + units(raw.get("description")) + units(raw.get("footer", {}).get("text")) <= total
    for address in (raw.get("url"), raw.get("thumbnail", {}).get("url")):
        assert address is None or re.match(r"https?://[^\s]+$", address)


def assert_harmless(line: str) -> None:
    """Every mark of Discord's is behind an odd number of backslashes, and no mention is left."""
    for mark in re.finditer(r"[*_~`|<>]", line):
        before = re.search(r"\\*$", line[: mark.start()])
        assert before is not None
        assert len(before.group()) % 2 == 1, line
    assert not re.search(r"@(everyone|here)", line)
    assert "://" not in line
    assert "[" not in line
    assert "]" not in line
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in line)
    assert all(unicodedata.category(char) != "Cf" for char in line.replace("@\u200b", ""))


@given(hostile, st.integers(0, 400))
def test_text_from_strangers_is_harmless_and_cut(value, limit):
    shown = render.safe(value, limit)
    assert units(shown) <= limit
    assert_harmless(shown)


@given(hostile)
def test_another_parser_reads_escaped_text_as_plain_text(value):
    plain = render.clean(value)
    (paragraph,) = [token for token in COMMONMARK.parse(f"x {render.escape(plain)}") if token.type == "inline"]
    kinds = {child.type for child in paragraph.children or ()}
    assert kinds <= {"text", "text_special"}
    read = "".join(child.content for child in paragraph.children or ()).removeprefix("x").replace("\u200b", "")
    assert read.strip() == plain.translate(str.maketrans("[]", "()")).strip()


@given(hostile)
def test_escaped_text_opens_no_block_at_the_start_of_a_line(value):
    tokens = COMMONMARK.parse(render.escape(render.clean(value)))
    assert {token.type for token in tokens} <= {"paragraph_open", "paragraph_close", "inline"}


@given(hostile, urls)
def test_a_link_is_one_link_and_goes_nowhere_else(name, url):
    shown = render.link(text, name, url, 120)
    (paragraph,) = [token for token in COMMONMARK.parse(f"x {shown}") if token.type == "inline"]
    links = [child for child in paragraph.children or () if child.type == "link_open"]
    target = render.address(url)
    assert len(links) == (1 if target else 0)
    if target:
        assert shown.count("](") == 1
        assert re.fullmatch(r"https?://[^\s()<>\[\]\\`\"|*]+", target)
        assert_harmless(shown[1 : shown.index("](")])


@settings(max_examples=60, deadline=None)
@given(answers, st.sampled_from([1, 2, 5]), st.sampled_from(["all", "lyrics"]))
def test_an_answer_keeps_every_limit(found, parts, by):
    embeds = [render.answer(text, found, by=by, budget=render.share(parts))] * parts
    for embed in embeds:
        assert_within_limits(embed, render.share(parts))
    assert units(render.as_text(embeds)) <= 2000


@settings(max_examples=30, deadline=None)
@given(clips(), st.one_of(st.none(), clusters), st.lists(clusters, max_size=3), st.integers(1, 40))
def test_clusters_keep_every_limit(clip, cluster, some, times):
    assert_within_limits(render.cluster(text, clip, cluster))
    assert_within_limits(render.clusters(text, Clustering("k-means (9)", tuple(some * times), {})))


@settings(max_examples=60, deadline=None)
@given(st.lists(clips(), max_size=10), st.lists(st.tuples(hostile, hostile), max_size=4))
def test_the_library_keeps_every_limit(newest, facts):
    pair = Pair(newest[0], newest[-1], 0.9, "Both are “x”.") if newest else None
    failed = [Job(n, f"https://{clip.title}", "", None, {}, "failed", "network") for n, clip in enumerate(newest)]
    for texts in LANGUAGES.values():
        page = pages.library(
            texts, facts, newest, alike=pair, twice=[pair] * 9 if pair else [], added=[("<@1>", 3)], jobs=failed
        )
        assert_within_limits(page)
        for job in failed:
            assert_within_limits(pages.job(texts, job))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(clips(), min_size=1, max_size=12), hostile, hostile, st.sampled_from(["playlist", "path", "mix", "find"])
)
def test_lists_keep_every_limit_whatever_is_in_them(some, why, notice, kind):
    entries = tuple(Entry(str(n), n and 0.5, why) for n, _ in enumerate(some))
    ids = tuple(entry.id for entry in entries)
    names = tuple(render.name(text, clip) for clip in some)
    listing = Listing(kind, entries, ids, ids[:1], (*names, *names[:1]), 10, why, notice)
    listing = Listing.read(json.loads(json.dumps(listing.stored())))
    for texts in LANGUAGES.values():
        for page in (0, 1):
            assert_within_limits(pages.listing(texts, listing, page, dict(zip(ids, some, strict=True))))
        assert_within_limits(pages.surprise(texts, Surprise(some[0], why, 1, tuple(some[:2]))))
        assert_within_limits(pages.group(texts, Cluster(1, why, 12, tuple(some)), 0))


@settings(max_examples=60, deadline=None)
@given(st.lists(clips(), min_size=1, max_size=12), hostile)
def test_parts_keep_every_limit_whatever_they_name(some, words):
    some = [replace(clip, id=f"clip{number:07}") for number, clip in enumerate(some)]
    matches = tuple(Match(rank, clip, 0.5, {}, None, words) for rank, clip in enumerate(some[1:10], 1))
    page = similar.Page(similar.Asked(2**64 - 1, some[0].id, "lyrics", 10, 49), Answer(some[0], "raw", matches), True)
    votes = {match.clip.id: Vote(some[0].id, match.clip.id, True, "1") for match in matches}
    found = Clustering("k-means", tuple(Cluster(n, words, 1, tuple(some)) for n in range(1, 40)), {})
    for texts in LANGUAGES.values():
        views = [
            similar.view(texts, page, votes),
            similar.several(texts, some),
            clusters_view.choose(texts, found, 1, 1),
        ]
        views.append(clusters_view.of_clip(texts, some[0], Cluster(9, words, 1, tuple(some)), 2**64 - 1))
        views.append(surprise_view.view(texts, Surprise(some[0], "", 0, tuple(some)), 1))
        failed = [Job(n, f"https://{words}", "", None, {}, "failed", words) for n in range(30)]
        views.append(library_view.view(texts, failed, some, 2**64 - 1))
        for view in views:
            rules.message({"content": "x", "components": view.to_components()}, 0)


def test_an_early_answer_says_what_it_does_not_know_yet_and_is_not_finished():
    early = Answer(Clip("a" * 11, "Title"), "raw", (), pending=("video",))
    assert not render.finished(render.answer(text, early))
    assert text.pending(("video",)) in render.answer(text, early).description
    assert text.pending(("video",)) == "From sound and words so far; I am still watching."
    assert render.finished(render.answer(text, replace(early, pending=())))
    assert "Bisher nach Klang und Text" in render.answer(LANGUAGES["de"], early).description


@given(hostile, hostile, hostile)
def test_progress_and_failure_keep_every_limit(source, message, hint):
    for embed in (
        render.progress(text, source, None),
        render.progress(text, source, "listening"),
        render.failure(text, source, ClipSimError(message, hint=hint)),
    ):
        assert_within_limits(embed, render.share(10))
    assert units(render.problem(text, ClipSimError(message, hint=hint))) <= 2000


@given(clips())
def test_an_autocomplete_choice_has_1_to_100_visible_characters(clip):
    shown = render.choice(text, clip)
    assert 1 <= units(shown) <= 100
    assert shown == " ".join(shown.split())


@given(hostile, st.integers(1, 200))
def test_cutting_keeps_a_beginning_and_says_so(value, limit):
    plain = render.clean(value)
    shown = render.cut(plain, limit)
    assert units(shown) <= limit
    assert shown == plain or (shown.endswith("…") and plain.startswith(shown[:-1]))


def test_cutting_prefers_the_end_of_a_word():
    assert render.cut("never going to give you up", 20) == "never going to give…"
    assert render.cut("never", 5) == "never"
    assert render.cut("x" * 50, 10) == "x" * 9 + "…"
    assert render.cut("😀" * 5, 5) == "😀😀…"


def test_a_title_is_shown_as_it_reads():
    clip = Clip("a" * 11, "Song [Official Video] (4K) – 50% *live*", artist="A_b")
    assert render.safe(render.name(text, clip), 256) == "A\\_b – Song (Official Video) (4K) – 50% \\*live\\*"
    assert render.name(text, Clip("a" * 11, "Rick Astley - Never", artist="Rick Astley")) == "Rick Astley - Never"
    assert render.name(text, Clip("a" * 11, "\u200b\u3164", artist=None)) == text.UNTITLED


def test_an_answer_shows_the_parts_in_order():
    def clip(n: int, **more: object) -> Clip:
        return Clip(f"id{n:09d}", f"Title {n}", url=f"https://youtu.be/id{n:09d}", **more)  # type: ignore[arg-type]

    results = tuple(
        Match(n, clip(n), 1 - n / 10, {"lyrics": 0.1, "audio": 0.5}, None, f"Reason {n}.") for n in range(1, 6)
    )
    cluster = Cluster(3, "slow piano", 12)
    notice = "Not trained yet."
    embed = render.answer(
        text, Answer(clip(0, notes=("The video is black.",)), "raw", results, cluster, notice), by="audio"
    )
    assert embed.description is not None
    lines = embed.description.split("\n")
    assert lines[:3] == ["**slow piano** · 12 clips", "Compared by sound alone.", ""]
    assert lines[3] == "**1** · [Title 1](https://youtu.be/id000000001) · 0.90"
    assert lines[4] == "🎧 0.50 · 📝 0.10 — Reason 1."
    assert embed.footer.text == "Not trained yet. The video is black."


def test_less_is_said_about_each_result_rather_than_fewer_results():
    results = tuple(
        Match(n, Clip(f"id{n:09d}", "T" * 200, url="https://youtu.be/" + "x" * 11), 0.5, {}, None, "why " * 100)
        for n in range(1, 6)
    )
    for parts in (1, 2, 5):
        embed = render.answer(text, Answer(Clip("q" * 11, "Q"), "raw", results), budget=render.share(parts))
        assert all(f"**{rank}** · " in (embed.description or "") for rank in range(1, 6))


def test_a_long_list_of_clusters_says_how_many_are_missing():
    many = tuple(Cluster(n, "label " * 10, 5) for n in range(200))
    embed = render.clusters(text, Clustering("k", many, {}))
    last = (embed.description or "").rsplit("\n", 1)[1]
    shown = (embed.description or "").count("clips")
    assert last == text.more(200 - shown)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.834, "0.83"), (-0.2, "−0.20"), (math.nan, "–"), (math.inf, "–"), (1, "1.00")]
)
def test_similarity_has_two_digits(value, shown):
    assert render.similarity(text, value) == shown


def test_errors_are_said_for_somebody_in_a_chat():
    assert render.problem(text, Private()) == (
        "That video is private. Ask its owner to publish it, or pick another. (`private`)"
    )
    assert "clipsim add" not in render.problem(text, UnknownClip())
    assert "own hint" in render.problem(text, UnknownClip(hint="own hint"))
    assert render.problem(text, NetworkDown(), "unexpected-1").endswith("(`unexpected-1`)")


def test_no_sentence_sends_somebody_in_a_chat_to_a_terminal():
    for code, kind in BY_CODE.items():
        said = text.problem(kind())
        assert not re.search(r"clipsim (add|audit|backup|demo|models|reencode|restore|train)", said), code
        assert "pip " not in said, code
        assert "--" not in said, code


def test_every_hint_is_for_an_error_that_exists():
    assert set(text.HINTS) <= set(BY_CODE)
