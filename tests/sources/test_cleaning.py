"""What nobody sings goes; what somebody sings stays, however much it looks like the rest."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest

from clipsim.sources.cleaning import MAX_LINE, MOST_REPEATS, tidy
from clipsim.sources.lyrics import parse_lines, word_count

MARKS = [
    *("[Music]", "[Musik]", "[Musique]", "[Música]", "[музыка]", "[音楽]", "[音乐]", "[음악]", "[Müzik]", "[موسيقى]"),
    *(
        "(Musik)",
        "(Musique)",
        "(música animada)",
        "(аплодисменты)",
        "（拍手）",
        "(笑い)",
        "(박수)",
        "(alkış)",
        "(تصفيق)",
    ),
    *("(upbeat music continues)", "(engine revving)", "(birds chirping)", "(indistinct)", "(song ends)", "*applause*"),
    *("(man sings in foreign language)", "( lighter clicks )", "♪ (music swells) ♪", "[ __ ]", "(x3)", "【笑】"),
]
CREDITS = [
    *(
        "Subtitles by the Amara.org community",
        "Captioned by Media Access Group at WGBH access.wgbh.org",
        "♪ Amara.org ♪",
    ),
    *("Closed Captions provided by: LIQUID ENTERTAINMENT Inc. www.liquident.net", "Transcribed by somebody"),
    *(
        "Subtitle made byZsolt Kodner",
        "Subtitles translated and synced by: a fan",
        "Untertitel der Amara.org-Community",
    ),
    *("Untertitel im Auftrag des ZDF, 2020", "Sous-titres réalisés par la communauté d'Amara.org"),
    *("Sous-titrage Société Radio-Canada", "Subtítulos realizados por la comunidad de Amara.org"),
    *("Legendas pela comunidade Amara.org", "Sottotitoli creati dalla comunità Amara.org", "Altyazı M.K."),
    *("Napisy stworzone przez społeczność Amara.org", "Субтитры сделал DimaTorzok", "字幕由Amara.org社区提供"),
    *("Редактор субтитров А.Семкин Корректор А.Егорова", "자막 제공: 누군가"),
]
REQUESTS = [
    *("Thanks for watching!", "Thank you so much for watching.", "Thanks for watching and please subscribe!"),
    *(
        "Please subscribe to my channel",
        "Don't forget to like, comment and subscribe",
        "Like and subscribe to the channel",
    ),
    *(
        "thanks so much for watching you guys if you guys like the video subscribe to the channel",
        "Link in the description",
    ),
    *("Hit the bell and subscribe", "Follow us on Instagram", "let me know in the comments below"),
    *("Danke fürs Zuschauen!", "Vielen Dank fürs Zuschauen.", "Merci d'avoir regardé cette vidéo !"),
    *("Gracias por ver el video", "¡Suscríbete al canal!", "Obrigado por assistir", "Inscreva-se no canal"),
    *("Спасибо за просмотр!", "Продолжение следует...", "Подписывайтесь на канал", "İzlediğiniz için teşekkürler"),
    *(
        "ご視聴ありがとうございました",
        "チャンネル登録をお願いします",
        "시청해주셔서 감사합니다",
        "请不吝点赞 订阅 转发 打赏支持",
    ),
    *("谢谢大家观看", "Iscriviti al canale", "Abonnez-vous à ma chaîne"),
]
LINKS = ["https://example.org/song?x=1", "www.example.com", "example.com/tour", "amara.org"]
SUNG = [
    *("I subscribe to the theory that you love me", "Music makes the people come together", "music"),
    *("Thank you for the music, the songs I'm singing", "I want to thank you for watching over me"),
    *("(turn the music up)",),
    *("(I love this music)", "(oh yeah)", "(put your money, baby put your money on)", "(American woman)"),
    *("(why, man?)",),
    *("Like and subscribe to my heart", "She never comments on the colour of my eyes", "Ring the bell, ring the bell"),
    *("Written in the stars", "Produced by accident, raised by wolves", "Translated by the rain on your window"),
    *("Lyrics by heart, I know them all", "At 12:03 standing at her front door", "12:03 on the clock"),
    *("Meet me by the website, dot com", "Money, money, money", "Applause, applause, applause"),
    *("Ohne Musik ist alles nichts",),
    *("la la la la la la la", "foreign", "You", "Thank you", "Bye bye Miss American Pie", "My subtitles are missing"),
    *("Follow me down to the river", "I like the way you like the way", "We're watching you", "Crowd around me now"),
]  # fmt: skip


@pytest.mark.parametrize("line", [*MARKS, *CREDITS, *REQUESTS, *LINKS])
def test_what_nobody_sings_goes(line: str) -> None:
    assert parse_lines(f"hello darkness\n{line}\nmy old friend") == ["hello darkness", "my old friend"]


@pytest.mark.parametrize("line", SUNG)
def test_what_somebody_sings_stays(line: str) -> None:
    verses = [f"verse number {word}" for word in ["one", "two", "three", "four", "five"]]
    assert parse_lines("\n".join([*verses, line, *verses])) == [*verses, line, *verses]


def test_marks_inside_a_line_take_nothing_else_with_them() -> None:
    assert tidy(["Mother (bleep) [bleep] come back (oh no)", "little(censored)rain"]) == [
        "Mother come back (oh no)",
        "little rain",
    ]


def test_a_recognisers_noise_goes_from_its_captions_only() -> None:
    lines = ["foreign", "Thank you.", "you", "foreign land", "thank you for the night", "is"]
    assert tidy(lines, automatic=True) == ["foreign land", "thank you for the night"]
    assert tidy(lines) == lines


def test_makers_are_named_at_the_ends_only() -> None:
    verses = [f"verse number {word}" for word in ["one", "two", "three", "four", "five", "six"]]
    makers = ["Lyrics: Somebody", "Written by A. and B.", "作词：某人", "© 2020 A Label"]
    for maker in makers:
        assert parse_lines("\n".join([maker, *verses])) == verses == parse_lines("\n".join([*verses, maker]))
        assert maker in parse_lines("\n".join([*verses, maker, *verses]))


def test_a_transcripts_times_go() -> None:
    text = "0:00\nhello darkness\n0:05\nmy old friend\n1:02:03\nI've come to talk\n"
    assert parse_lines(text) == ["hello darkness", "my old friend", "I've come to talk"]
    assert parse_lines("0:01 hello darkness\n0:05 my old friend\n0:09 again") == [
        "hello darkness",
        "my old friend",
        "again",
    ]


def test_a_line_that_hangs_is_cut_short() -> None:
    assert parse_lines("come on\n" * 500 + "home") == ["come on"] * MOST_REPEATS + ["home"]
    song = ["work it", "harder"] * 100
    assert parse_lines("\n".join(song)) == song


def test_a_long_line_is_wrapped_and_loses_no_word() -> None:
    words = [f"word{number}" for number in range(1000)]
    found = tidy([" ".join(words)])
    assert " ".join(found).split() == words
    assert all(len(line) <= MAX_LINE for line in found)
    assert all(len(line) + len(after.split()[0]) >= MAX_LINE for line, after in pairwise(found))


def test_breaks_that_were_lost_are_two_spaces() -> None:
    assert parse_lines("hello darkness  thanks for watching  my old friend") == ["hello darkness", "my old friend"]


def test_real_captions_keep_nearly_all_their_words(testdata: Path) -> None:
    csv.field_size_limit(2**31 - 1)
    with (testdata / "deck/lyrics.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["lyrics"] for row in csv.DictReader(file) if row["lyrics"].strip()]
    cleaned = ["\n".join(parse_lines(text, automatic=True)) for text in texts]
    before, after = sum(map(word_count, texts)), sum(map(word_count, cleaned))
    assert 0.97 < after / before < 0.995  # by eye, what goes is marks, noise and credits
    for rest in ("[", "applause]", "(upbeat music)", "(crowd cheering)", "(censored)", "liquident.net"):
        assert not any(rest in text.lower() for text in cleaned)
