"""Languages are told, and the lines that can be read are found."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from clipsim import language
from clipsim.sources.lyrics import parse_lines

SONGS = {  # plain sentences in the manner of songs
    "en": "I walk alone tonight along the river\nand nobody knows my name\nthe lights of town are burning low",
    "de": "Ich gehe heute Nacht allein am Fluss entlang\nund niemand kennt meinen Namen\ndie Lichter brennen leise",
    "es": "Camino solo esta noche por la orilla del río\ny nadie sabe mi nombre\nlas luces se apagan despacio",
    "fr": "Je marche seul ce soir le long de la rivière\net personne ne connaît mon nom\nles lumières s'éteignent",
    "pt": "Eu ando sozinho esta noite na beira do rio\ne ninguém sabe o meu nome\nas luzes da cidade se apagam",
    "it": "Cammino da solo stanotte lungo il fiume\ne nessuno conosce il mio nome\nle luci si spengono piano",
    "ru": "Я иду один сегодня ночью вдоль реки\nи никто не знает моего имени\nогни горят тихо",
    "ko": "오늘 밤 나 혼자 강가를 걷네\n아무도 내 이름을 모르네\n불빛이 천천히 꺼져가",
    "ja": "今夜ひとりで川沿いを歩く\n誰も私の名前を知らない\n明かりがゆっくり消えていく",
    "zh": "今晚我独自走在河边\n没有人知道我的名字\n灯光慢慢地熄灭了",
    "tr": "Bu gece nehir boyunca yalnız yürüyorum\nve kimse adımı bilmiyor\nışıklar yavaşça sönüyor",
    "ar": "أمشي وحيدا الليلة على ضفة النهر\nولا أحد يعرف اسمي\nوالأضواء تنطفئ ببطء",
}
ENGLISH = "Come a little closer now, I need you here tonight\nWe can dance until the morning and forget about the time"


@pytest.mark.parametrize("code", SONGS)
def test_languages_are_told(code: str) -> None:
    assert language.detect(SONGS[code]) == code
    assert language.detect(SONGS[code].upper()) == code


@pytest.mark.parametrize(
    "text", ["", "la la la la la la la la la la", "yeah", "1 2 3", "♪", "\ud800", "Je ne regrette rien"]
)
def test_what_tells_nothing(text: str) -> None:
    assert language.detect(text) is None


@pytest.mark.parametrize("code", [code for code in SONGS if code != "en"])
def test_words_in_another_language_are_not_read(code: str) -> None:
    assert language.readable(SONGS[code], ["en"]) == ("", code)
    assert language.readable(SONGS[code], ["en"], said=code) == ("", code)
    assert language.readable(SONGS[code], ["de", code]) == (SONGS[code], None)
    assert language.readable(SONGS[code], []) == (SONGS[code], None)


@pytest.mark.parametrize("code", [code for code in SONGS if code != "en"])
def test_the_english_verse_of_a_mixed_song_stays(code: str) -> None:
    found, other = language.readable(f"{SONGS[code]}\n{ENGLISH}\n{SONGS[code]}", ["en"])
    assert found == ENGLISH
    assert other == code


@pytest.mark.parametrize(
    "text",
    [
        SONGS["en"],
        "la la la la\nna na na na hey hey hey goodbye",
        "Skrr skrr, pull up in the whip, drip drip\nshawty bad, I ain't cappin', no cap, brr brr brr",
        "Doo bee da\ndoo bee da\nshoo bop sha wadda wadda yippity boom de boom",
        "Hey ya\n" * 30,
    ],
)
@pytest.mark.parametrize("said", [None, "en", "en-GB"])
def test_english_however_odd_is_read(text: str, said: str | None) -> None:
    assert language.readable(text, ["en"], said=said) == (text, None)


def test_what_somebody_said_counts_where_words_do_not_tell() -> None:
    assert language.readable("Je ne regrette rien", ["en"], said="fr") == ("", "fr")
    assert language.readable("Je ne regrette rien", ["en"])[1] is None
    assert language.readable(SONGS["en"], ["en"], said="de") == (SONGS["en"], None)  # a wrong label


def test_names() -> None:
    assert language.name("ko") == "Korean"
    assert language.name("pt-BR") == "Portuguese"
    assert language.name("xx") == "another language"


def test_no_real_english_lyrics_are_taken_for_another_language(testdata: Path) -> None:
    csv.field_size_limit(2**31 - 1)
    with (testdata / "deck/lyrics.csv").open(encoding="utf-8", newline="") as file:
        texts = ["\n".join(parse_lines(row["lyrics"], automatic=True)) for row in csv.DictReader(file)]
    texts = [text for text in texts if text]
    assert len(texts) > 380
    for text in texts:
        assert language.detect(text) in ("en", None)
        assert language.readable(text, ["en"]) == (text, None)
