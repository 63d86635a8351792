"""The catalogues: each language says everything, keeps Discord's limits, and knows what the library says."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import discord
import pytest
from discord import app_commands

from bot.client import Bot
from bot.text import ENGLISH, GERMAN, LANGUAGES, Texts, Told, for_locale, german_facts
from bot.text.commands import Translator
from bot.text.english_replies import Replies
from clipsim import ClipSim, explain, language, settings, surprises
from clipsim.errors import BY_CODE, NotTrained, TooLong, UnexpectedError, UnknownClip
from clipsim.model import Clip, Label
from clipsim.sources import lyrics
from tests import libraries
from tests.conftest import ROOT
from tests.doubles.sim import SimDouble

OTHERS = [texts for texts in LANGUAGES.values() if texts is not ENGLISH]
NAMES = [name for part in (Texts, Replies) for name in vars(part) if not name.startswith("_")]


@pytest.mark.parametrize("texts", OTHERS, ids=lambda texts: texts.LANGUAGE)
def test_every_name_is_said_in_every_language(texts: Texts) -> None:
    said = {name for part in type(texts).__mro__ if part not in (Texts, Replies, object) for name in vars(part)}
    assert [name for name in NAMES if name not in said] == []
    assert [name for name in said if not name.startswith("_") and name not in NAMES] == []


@pytest.mark.parametrize("texts", OTHERS, ids=lambda texts: texts.LANGUAGE)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_the_same_thing_in_every_language(texts: Texts, name: str) -> None:
    english, other = getattr(Texts, name), getattr(type(texts), name)
    assert type(english) is type(other) or isinstance(english, Mapping)
    if isinstance(english, str):
        assert other != english, "not translated"
        assert re.findall(r"`[^`]+`|CLIPSIM_\w+|/\w+", other) == re.findall(r"`[^`]+`|CLIPSIM_\w+|/\w+", english)
    elif callable(english):
        assert list(inspect.signature(english).parameters) == list(inspect.signature(other).parameters)
    elif isinstance(english, Mapping):
        assert set(english) <= set(other)
        assert all(isinstance(said, type(english[key])) for key, said in other.items() if key in english)
    else:
        assert len(english) == len(other)


@pytest.mark.parametrize("texts", LANGUAGES.values(), ids=lambda texts: texts.LANGUAGE)
def test_every_error_has_its_sentence_and_nobody_is_sent_to_a_terminal(texts: Texts) -> None:
    assert set(texts.ERRORS) == set(BY_CODE)
    assert set(texts.HINTS) <= set(BY_CODE)
    for code, kind in BY_CODE.items():
        said = texts.problem(kind())
        assert said.startswith(texts.ERRORS[code]), code
        assert not re.search(r"clipsim (add|audit|backup|demo|models|reencode|restore|train)|pip |--", said), code


def test_german_has_a_way_out_wherever_english_has_one() -> None:
    for code, kind in BY_CODE.items():
        advice = [texts.problem(kind()).removeprefix(texts.ERRORS[code]) for texts in (ENGLISH, GERMAN)]
        assert bool(advice[0]) == bool(advice[1]) or code in ("file-missing", "source"), code


def test_what_an_error_says_beyond_its_code_is_said_in_german_too() -> None:
    assert GERMAN.problem(UnknownClip("There is no clip “a {b}” in the library.")).startswith(
        "In der Sammlung gibt es keinen Clip „a {b}“. Poste"
    )
    long = TooLong("That clip lasts over 31 minutes; the limit is 20 minutes.")
    assert GERMAN.problem(long) == "Der Clip dauert 31 Minuten; erlaubt sind 20 Minuten. Nimm einen kürzeren."
    assert GERMAN.problem(NotTrained("something else", hint="")) == GERMAN.ERRORS["not-trained"]
    assert GERMAN.problem(Told("unknown-link", GERMAN.NO_LINK)) == GERMAN.NO_LINK
    assert "geheim" not in GERMAN.problem(UnexpectedError("geheim"))


def _raised(*folders: str) -> Iterator[str]:
    """Every sentence in the library's source that an error of a pasted link may say, figures put in."""
    for folder in folders:
        for file in sorted(Path(ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args and (sentence := _text(node.args[0])):
                    yield sentence


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return ""


def test_the_sentences_that_german_knows_are_the_librarys() -> None:
    """A pattern that no source makes any more is dead; one that is written here only is made up."""
    source = "\n".join(file.read_text(encoding="utf-8") for file in sorted(Path(ROOT / "clipsim").rglob("*.py")))
    plain = re.sub(r'"\s*\n\s*f?"', "", source)
    for table in (german_facts._NOTES, german_facts._MESSAGES, german_facts._NOTICES):
        for pattern, _ in table:
            pieces = [piece for piece in re.split(r"\(.*?\)\)?\??", pattern.replace("\\.", ".")) if len(piece) > 8]
            assert pieces
            for piece in pieces:
                piece = piece.replace("\\(", "(").replace("\\)", ")")
                assert piece in plain or _loose(piece, plain), (pattern, piece)


def _loose(piece: str, source: str) -> bool:
    """Whether a sentence is there in two halves (`_too_few`, `Its captions could not be fetched: {why}.`)."""
    words = piece.split(" ")
    return any(
        " ".join(words[:n]) in source and " ".join(words[n:]).rstrip(".") in source for n in range(1, len(words))
    )


@pytest.mark.parametrize(
    "sentence",
    [
        *dict.fromkeys(
            s for s in _raised("clipsim/workers") if s.startswith(("It ", "Its ")) and s.endswith(".")
        ),
        *(lyrics.INSTRUMENTAL, lyrics.UNHEARD, lyrics.FEW_WORDS),
        *("It has no captions.", "Its captions cannot be read.", "Its captions are in a form that cannot be read."),
        *(f"The words are in {name}, which the text encoder does not read." for name in language.NAMES.values()),
        f"The words are in {language.name('xx')}, which the text encoder does not read.",
    ],
)  # fmt: skip
def test_every_note_of_the_library_is_said_in_german(sentence: str) -> None:
    said = GERMAN.note(sentence)
    assert said != sentence
    assert "{" not in said
    assert not re.search(r"\b(its|the|has|words)\b", said, re.IGNORECASE)


def test_what_is_not_known_stays_as_it_is() -> None:
    for say in (GERMAN.note, GERMAN.notice, GERMAN.why):
        assert say("Something new {0}.") == "Something new {0}."
    assert GERMAN.why("Both dance.") == "Both dance."


def clip(**known: Any) -> Clip:
    return Clip("a" * 11, "T", modalities=("audio", "video", "lyrics"), **known)


def labels(*names: str) -> tuple[Label, ...]:
    return tuple(Label(name, 0.9) for name in names)


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        (
            {"artist": "Simon and Garfunkel", "genre": "folk"},
            "Beide sind von Simon and Garfunkel und sind folk.",
        ),
        (
            {"tags": labels("rock", "guitar", "loud"), "tempo": 120.0},
            "Beide tragen die Tags rock, guitar und loud und haben etwa 120 bpm.",
        ),
        ({"classes": labels("dancing")}, "Beide zeigen dancing."),
        ({"words": ("river", "rain"), "language": "de"}, "Beide singen von river und rain und sind auf Deutsch."),
        ({"artist": "A {b}", "album": "C"}, "Beide sind von A {b} und stammen von C."),
    ],
)
def test_why_is_said_in_german(shared: dict[str, Any], said: str) -> None:
    by = {"audio": 0.9, "video": 0.8, "lyrics": 0.7}
    assert GERMAN.why(explain.why(clip(**shared), clip(**shared), by)) == said  # type: ignore[arg-type]


def test_why_without_a_fact_and_a_doubled_tempo() -> None:
    assert GERMAN.why(explain.why(clip(), clip(), {"audio": 0.834})) == "Am nächsten im Klang (0,83)."
    assert GERMAN.why(explain.why(clip(), clip(), {})) == "Sie haben nichts gemeinsam, das einen Namen hat."
    said = GERMAN.why(explain.why(clip(tempo=60.0), clip(tempo=121.0), {"audio": 0.5}))
    assert said == "Beide passen auf einen Takt (60 und 121 bpm)."
    assert all(german_facts.LANGUAGES.get(name) for name in (*explain.LANGUAGES.values(), *language.NAMES.values()))


@pytest.mark.parametrize(
    ("said", "german"),
    [
        (
            "Around “A. b” and “C”, in an order in which each is like the one before (0.83 on average).",
            "Rund um “A. b” und “C”, jeder ähnlich dem davor (im Mittel 0,83).",
        ),
        (
            "From “A” to “B” in 5 steps; the least alike neighbours have 0.40.",
            "Von “A” zu “B” in 5 Schritten; am wenigsten ähnlich sind Nachbarn mit 0,40.",
        ),
        ("Like “A” and “B”, and unlike “C”.", "Ähnlich wie “A” und “B”, und anders als “C”."),
        ("It begins here.", "Hier geht es los."),
        (
            "0.83 like “X” and 0.10 like “Y and. z”. Both are tagged rock.",
            "0,83 zu “X” und 0,10 zu “Y and. z”. Beide tragen die Tags rock.",
        ),
        ("0.83 like “X”. Closest in sound (0.83).", "0,83 zu “X”. Am nächsten im Klang (0,83)."),
        ("title · lyrics: “I am · here” · tag: rock", "Titel · Liedtext: “I am · here” · Tag: rock"),
        ("meaning: sings of a, b", "Sinn: singt von a, b"),
        ("The same artist and title.", "The same artist and title."),
    ],
)
def test_how_a_list_was_chosen_is_said_in_german(said: str, german: str) -> None:
    assert GERMAN.told(said) == german


@pytest.mark.parametrize("times", [0, 1, 2, 7])
@pytest.mark.parametrize("ups", [0, 1, 3])
@pytest.mark.parametrize("others", [0.0, 9.0])
def test_every_surprise_is_explained_in_german(times: int, ups: int, others: float) -> None:
    like = [clip()]
    for leads in (0, 3):
        drawn = surprises.Drawn(0, (1,), 0.83, times, others, leads, ups)
        for near in ([], like):
            said = GERMAN.told(drawn.sentence(near))
            assert not re.search(r"\b(here|though|close|times|once|like|it)\b", said), said


async def test_what_the_library_says_of_lists_is_said_in_german(tmp_path: Path) -> None:
    async with ClipSim.open(settings=libraries.settings(tmp_path), preset=libraries.TINY) as sim:
        libraries.fill(sim._library, 4)
        lists = [
            await sim.playlist("clip-0000", 9),
            await sim.playlist(["clip-0000", "clip-0001", "clip-0002", "clip-0003"], place="here"),
            await sim.playlist("clip-0000", place="here"),
            await sim.path("clip-0000", "clip-0001", 3),
            await sim.path("clip-0000", "clip-0001", 2),
            await sim.mix("clip-0000", "clip-0001"),
        ]
        hits = await sim.search("Title 3", meaning=False)
        said = [sentence for each in lists for sentence in (each.why, *(step.why for step in each.steps))]
        said += [hit.why for hit in hits.hits]
        notices = [notice for each in (*lists, hits) for notice in [each.notice] if notice]
    for sentence in said:
        assert GERMAN.told(sentence) != sentence
        assert not re.search(r"\b(the|like|before|both|title)\b", re.sub("“.*?”", "", GERMAN.told(sentence)).lower())
    assert len(notices) > 3
    for notice in notices:
        assert not re.search(r"\b(only|there|here|clips so far|these)\b", GERMAN.notice(notice).lower())


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        (discord.Locale.german, GERMAN),
        ("de-AT", GERMAN),
        ("DE", GERMAN),
        (discord.Locale.british_english, ENGLISH),
        (discord.Locale.french, ENGLISH),
        (None, ENGLISH),
        ("", ENGLISH),
    ],
)
def test_the_language_follows_the_locale(locale: object, texts: Texts) -> None:
    assert for_locale(locale) is texts


# The commands, as discord.py hands them to Discord


@pytest.fixture
async def commands() -> list[dict[str, Any]]:
    bot = Bot(SimDouble(), settings.load())  # type: ignore[arg-type]
    translator = Translator()
    return [
        await command.get_translated_payload(bot.tree, translator)
        for command in (*bot.tree.get_commands(), *bot.tree.get_commands(type=discord.AppCommandType.message))
    ]


def _each(payload: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    if wanted(payload):
        yield payload
    for part in (*payload.get("options", ()), *payload.get("choices", ())):
        yield from _each(part, wanted)


async def test_descriptions_choices_and_menus_are_in_german_and_fit(commands: list[dict[str, Any]]) -> None:
    seen = 0
    for command in commands:
        for part in _each(command, lambda part: bool(part.get("description"))):
            german = part["description_localizations"]["de"]
            assert 1 <= len(german) <= 100
            assert german != part["description"]
            assert len(part["description"]) <= 100
            seen += 1
        for choice in _each(command, lambda part: "value" in part):
            assert 1 <= len(choice["name_localizations"]["de"]) <= 100
        if command["type"] == discord.AppCommandType.message.value:
            assert command["name_localizations"]["de"] in dict(GERMAN.HELP_LINES)
            assert len(command["name_localizations"]["de"]) <= 32
        else:
            assert not command["name_localizations"]  # people type the same names everywhere
    assert seen >= len(commands)


async def test_a_sentence_that_nobody_translated_stays_english() -> None:
    where = app_commands.TranslationContext(app_commands.TranslationContextLocation.other, None)
    string = app_commands.locale_str("Not in any catalogue")
    assert await Translator().translate(string, discord.Locale.german, where) is None
    known = app_commands.locale_str(ENGLISH.SIMILAR)
    assert await Translator().translate(known, discord.Locale.german, where) == GERMAN.SIMILAR
    assert await Translator().translate(known, discord.Locale.french, where) is None
