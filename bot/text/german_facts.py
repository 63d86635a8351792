"""What the library says of clips, in German: its sentences are English, and come from the few patterns that stand here.

A sentence that is not known stays as it is. `clipsim.explain`, `clipsim.workers.stages` and `clipsim.sources` make
them; tests look there for every one. Names, tags and words are put back untouched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LANGUAGES = {
    "Arabic": "Arabisch", "Bengali": "Bengalisch", "Bulgarian": "Bulgarisch", "Catalan": "Katalanisch",
    "Chinese": "Chinesisch", "Croatian": "Kroatisch", "Czech": "Tschechisch", "Danish": "Dänisch",
    "Dutch": "Niederländisch", "English": "Englisch", "Estonian": "Estnisch", "Finnish": "Finnisch",
    "French": "Französisch", "German": "Deutsch", "Greek": "Griechisch", "Hebrew": "Hebräisch", "Hindi": "Hindi",
    "Hungarian": "Ungarisch", "Icelandic": "Isländisch", "Indonesian": "Indonesisch", "Italian": "Italienisch",
    "Japanese": "Japanisch", "Korean": "Koreanisch", "Latin": "Latein", "Latvian": "Lettisch",
    "Lithuanian": "Litauisch", "Malay": "Malaiisch", "Norwegian": "Norwegisch", "Persian": "Persisch",
    "Polish": "Polnisch", "Portuguese": "Portugiesisch", "Punjabi": "Panjabi", "Romanian": "Rumänisch",
    "Russian": "Russisch", "Serbian": "Serbisch", "Slovak": "Slowakisch", "Slovenian": "Slowenisch",
    "Spanish": "Spanisch", "Swahili": "Suaheli", "Swedish": "Schwedisch", "Tagalog": "Tagalog", "Tamil": "Tamil",
    "Telugu": "Telugu", "Thai": "Thailändisch", "Turkish": "Türkisch", "Ukrainian": "Ukrainisch", "Urdu": "Urdu",
    "Vietnamese": "Vietnamesisch", "another language": "einer anderen Sprache",
}  # fmt: skip
_SENSES = {"sound": "im Klang", "look": "im Bild", "words": "im Text"}

# Whole sentences on what a clip lacks; a pattern's groups are put in where the braces are.
_NOTES: tuple[tuple[str, str], ...] = (
    (r"It has no sound\.", "Der Clip hat keinen Ton."),
    (r"Its sound is silence\.", "Sein Ton ist Stille."),
    (r"It has no picture\.", "Der Clip hat kein Bild."),
    (r"Its picture is black\.", "Sein Bild ist schwarz."),
    (r"It has no lyrics\.", "Der Clip hat keinen Text."),
    (r"It has no captions\.", "Der Clip hat keine Untertitel."),
    (r"Its lyrics are too short\.", "Sein Text ist zu kurz."),
    (r"Its captions cannot be read\.", "Seine Untertitel sind nicht lesbar."),
    (r"Its captions are in a form that cannot be read\.", "Seine Untertitel haben ein Format, das nicht lesbar ist."),
    (r"Its captions could not be fetched: the source asks to slow down\.",
     "Seine Untertitel waren nicht zu bekommen: Die Quelle bittet um Langsamkeit."),
    (r"Its captions could not be fetched: the download failed\.",
     "Seine Untertitel waren nicht zu bekommen: Das Herunterladen ist gescheitert."),
    (r"No words: it seems to be an instrumental\.", "Kein Text: Es ist wohl ein Instrumentalstück."),
    (r"Its lyrics have hardly any words\.", "Sein Text hat kaum Wörter."),
    (r"Its captions have no words: an instrumental, or singing that no machine understood\.",
     "In seinen Untertiteln steht kein Wort: ein Instrumentalstück, oder Gesang, den keine Maschine verstanden hat."),
    (r"The (\w+) vector was damaged and is gone: encode the clip again\.",
     "Der Vektor {0} war beschädigt und ist weg: Der Clip muss neu verarbeitet werden."),
    (r"That file has no sound\.", "Die Datei hat keinen Ton."),
    (r"That file has no video\.", "Die Datei hat kein Bild."),
    (r"The sound of that file cannot be decoded\.", "Der Ton lässt sich nicht dekodieren."),
    (r"The video of that file cannot be decoded\.", "Das Bild lässt sich nicht dekodieren."),
)  # fmt: skip
_UNREAD = re.compile(r"The words are in (.+), which the text encoder does not read\.")

_NOTICES: tuple[tuple[str, str], ...] = (
    (r"Only one clip so far: answers come from raw features; the fusion is trained when there are (\d+)\.",
     "Bisher nur ein Clip: Die Antworten beruhen auf Rohmerkmalen; ab {0} wird gelernt."),
    (r"Only (\d+) clips so far: answers come from raw features; the fusion is trained when there are (\d+)\.",
     "Bisher nur {0} Clips: Die Antworten beruhen auf Rohmerkmalen; ab {1} wird gelernt."),
    (r"The fusion \((\w+)\) is being trained; until then raw features answer\.",
     "Das Modell ({0}) wird gerade trainiert; bis dahin antworten Rohmerkmale."),
    (r"One of these was played here not long ago: there are too few others\.",
     "Einer davon lief hier erst vor Kurzem: Es gibt zu wenige andere."),
    (r"(\d+) of these were played here not long ago: there are too few others\.",
     "{0} davon liefen hier erst vor Kurzem: Es gibt zu wenige andere."),
    (r"There (?:is|are) (no clip|only one clip|only \d+ clips) for it here\.", "Dafür gibt es hier {0}."),
    (r"Some that follow each other are by one artist: there are too few others\.",
     "Manche, die aufeinander folgen, sind von einem Interpreten: Es gibt zu wenige andere."),
    (r"Lyrics were not searched by what they mean: (.+)\.", "Nach dem Sinn der Liedtexte wurde diesmal nicht gesucht."),
)  # fmt: skip

# How a list was chosen, and why a clip is a surprise. What is quoted is put back as it is.
_TOLD: tuple[tuple[str, str], ...] = (
    (r"It begins here\.", "Hier geht es los."),
    (r"Around (.+), in an order in which each is like the one before\.",
     "Rund um {0}, jeder ähnlich dem davor."),
    (r"Around (.+), in an order in which each is like the one before \((-?\d\.\d\d) on average\)\.",
     "Rund um {0}, jeder ähnlich dem davor (im Mittel {1})."),
    (r"From (“.+”) to (“.+”) in one step(?:; the least alike neighbours have (-?\d\.\d\d))?\.",
     "Von {0} zu {1} in einem Schritt."),
    (r"From (“.+”) to (“.+”) in (\d+) steps\.", "Von {0} zu {1} in {2} Schritten."),
    (r"From (“.+”) to (“.+”) in (\d+) steps; the least alike neighbours have (-?\d\.\d\d)\.",
     "Von {0} zu {1} in {2} Schritten; am wenigsten ähnlich sind Nachbarn mit {3}."),
    (r"Like (“.+”), and unlike (“.+”)\.", "Ähnlich wie {0}, und anders als {1}."),
    (r"Like (“.+”)\.", "Ähnlich wie {0}."),
)  # fmt: skip
_WORDS = {"once": "einmal", "twice": "zweimal", "no clip": "keinen Clip", "only one clip": "nur einen Clip"}
_COUNTED = ((re.compile(r"(\d+) times"), r"\1-mal"), (re.compile(r"only (\d+) clips"), r"nur \1 Clips"))
_RARE: tuple[tuple[str, str], ...] = (
    (r"Recommended (once|twice|\d+ times) here so far, half of the clips (once|twice|\d+ times) or more",
     "Hier bisher {0} empfohlen, die Hälfte der Clips {1} oder öfter"),
    (r"Recommended only (once|twice|\d+ times) here so far", "Hier bisher nur {0} empfohlen"),
    (r"Never recommended here so far", "Hier noch nie empfohlen"),
    (r"No other clip leads to it", "Kein anderer Clip führt zu ihm"),
)  # fmt: skip
_GOOD: tuple[tuple[str, str], ...] = (
    (r"somebody likes it", "jemand mag ihn"),
    (r"(\d+) people like it", "{0} Leute mögen ihn"),
    (r"it is close to (“.*”) \((-?\d\.\d\d)\)", "er ist nah bei {0} ({1})"),
)  # fmt: skip
_SAID = re.compile(r"(-?\d\.\d\d) like (“.*?”)(?=, -?\d|\.| and -?\d)")
_MIXED = re.compile(rf"{_SAID.pattern}(?: and {_SAID.pattern})?\. (.*)", re.DOTALL)
_KINDS = "title|artist|lyrics|tag|genre|album|action|keyword|word|meaning"
_HIT = re.compile(rf"({_KINDS})(: .*)?")
_HITS = re.compile(rf" · (?=(?:{_KINDS})(?::| ·|$))")
_FOUND_IN = {
    "title": "Titel", "artist": "Interpret", "lyrics": "Liedtext", "tag": "Tag", "genre": "Genre", "album": "Album",
    "action": "Bild", "keyword": "Stichwort", "word": "Wort", "meaning": "Sinn",
}  # fmt: skip

# Messages of errors that say more than their code does
_MESSAGES: tuple[tuple[str, str], ...] = (
    (r"There is no clip “(.*)” in the library\.", "In der Sammlung gibt es keinen Clip „{0}“."),
    (r"That clip lasts (?:over )?([\d:]+) (minutes|seconds|min|h); the limit is ([\d:]+) (minutes|seconds|min|h)\.",
     "Der Clip dauert {0} {1}; erlaubt sind {2} {3}."),
    (r"That clip is (\d+) MiB or more; the limit is (\d+) MiB\.",
     "Der Clip hat {0} MiB oder mehr; erlaubt sind {1} MiB."),
    (r"That is a YouTube link, but not to one video\.",
     "Das ist ein YouTube-Link, aber nicht zu einem einzelnen Video."),
    (r"There are no clips to group yet\.", "Es gibt noch keine Clips, die sich gruppieren ließen."),
    (r"There are no clips to draw yet\.", "Es gibt noch keine Clips, die sich zeichnen ließen."),
    (r"“(.*)” has no place among the others yet\.", "„{0}“ hat noch keinen Platz unter den anderen."),
    (r"This link ended the process (\d+) times\.", "Dieser Link hat das Programm {0}-mal beendet."),
    (r"Fetching took longer than (\d+) s and was stopped\.",
     "Das Herunterladen dauerte länger als {0} s und wurde abgebrochen."),
)  # fmt: skip
_UNITS = {"minutes": "Minuten", "seconds": "Sekunden"}

# The facts that two clips share, as `clipsim.explain` puts them after "Both"
_FACTS: tuple[tuple[str, str], ...] = (
    ("are by ", "sind von {}"),
    ("are from ", "stammen von {}"),
    ("are tagged ", "tragen die Tags {}"),
    ("are in ", "sind auf {}"),
    ("play at about ", "haben etwa {}"),
    ("fit one beat ", "passen auf einen Takt {}"),
    ("show ", "zeigen {}"),
    ("sing of ", "singen von {}"),
    ("are ", "sind {}"),  # a genre: the last, because the others begin with it too
)
_LISTS = ("are tagged ", "show ", "sing of ", "fit one beat ")  # whose "and" is ours
_NEXT = re.compile(rf"(?:, | and )(?={'|'.join(map(re.escape, (start for start, _ in _FACTS)))})")
_CLOSEST = re.compile(r"Closest in (sound|look|words) \((-?\d\.\d\d)\)\.")


def note(sentence: str) -> str:
    """A sentence on what a clip lacks."""
    if found := _UNREAD.fullmatch(sentence):
        return f"Der Text ist auf {LANGUAGES.get(found[1], found[1])}, was nicht gelesen werden kann."
    return _translated(sentence, _NOTES) or sentence


def notice(sentence: str) -> str:
    """What is said of the library's state, in one sentence or several."""
    whole = _translated(sentence, _NOTICES)
    return whole or " ".join(_translated(each, _NOTICES) or each for each in re.split(r"(?<=\.) (?=[A-Z])", sentence))


def told(sentence: str) -> str:
    """How a list was chosen, where something was found, why a clip is a surprise, or what two clips share."""
    if said := _translated(sentence, _TOLD):
        said = said.replace("” and “", "” und “").replace("” and others", "” und andere")
        return re.sub(r"(?<=\d)\.(?=\d\d(?:\)|\.$))", ",", said)
    if mixed := _MIXED.fullmatch(sentence):
        first, name, second, other, fact = mixed.groups()
        parts = [f"{first.replace('.', ',')} zu {name}"]
        parts += [f"{second.replace('.', ',')} zu {other}"] if other else []
        return f"{_series(parts)}. {why(fact)}"
    if rare := _surprise(sentence):
        return rare
    hits = [_HIT.fullmatch(part) for part in _HITS.split(sentence)]
    if sentence and all(hits):
        return " · ".join(_hit(hit) for hit in hits if hit)
    return why(sentence)


def _surprise(sentence: str) -> str | None:
    rare, _, good = sentence.removesuffix(".").partition(", though ")
    said = _translated(rare, _RARE)
    if said is None:
        return None
    facts = [_translated(fact, _GOOD) for fact in re.split(r" and (?=it is close to )", good)] if good else []
    if None in facts:
        return None
    good = re.sub(r"\((-?\d)\.(\d\d)\)$", r"(\1,\2)", _series([fact for fact in facts if fact])) if facts else ""
    return f"{said}, aber {good}." if good else f"{said}."


def _hit(hit: re.Match[str]) -> str:
    rest = (hit[2] or "").replace(": sings of ", ": singt von ", 1) if hit[1] == "meaning" else hit[2] or ""
    return f"{_FOUND_IN[hit[1]]}{rest}"


def message(sentence: str) -> str | None:
    """An error's own sentence; None where it is none of those known."""
    start = "That clip has nothing to compare: "
    if sentence.startswith(start):
        reasons = re.split(r"(?<=\.) (?=[A-Z])", sentence.removeprefix(start))
        return "An diesem Clip gibt es nichts zu vergleichen. " + " ".join(map(note, reasons))
    return _translated(sentence, _MESSAGES)


def why(sentence: str) -> str:
    """A sentence on what two clips share, or in what they are closest."""
    if sentence == "They share nothing that can be named.":
        return "Sie haben nichts gemeinsam, das einen Namen hat."
    if closest := _CLOSEST.fullmatch(sentence):
        return f"Am nächsten {_SENSES[closest[1]]} ({closest[2].replace('.', ',')})."
    if not (sentence.startswith("Both ") and sentence.endswith(".")):
        return sentence
    facts = [_fact(each) for each in _NEXT.split(sentence[len("Both ") : -1])]
    return sentence if None in facts else f"Beide {_series([fact for fact in facts if fact])}."


def _fact(text: str) -> str | None:
    for start, german in _FACTS:
        if text.startswith(start):
            rest = text.removeprefix(start)
            if start in _LISTS:
                rest = re.sub(r" and (?!.* and )", " und ", rest)
            elif start == "are in ":
                rest = LANGUAGES.get(rest, rest)
            return german.replace("{}", rest)
    return None


def _translated(sentence: str, table: Sequence[tuple[str, str]]) -> str | None:
    for pattern, german in table:
        if found := re.fullmatch(pattern, sentence, re.DOTALL):
            return german.format(*map(_word, found.groups()))
    return None


def _word(group: str | None) -> str | None:
    for counted, german in _COUNTED:
        if group and counted.fullmatch(group):
            return counted.sub(german, group)
    return (_UNITS | _WORDS).get(group or "", group)


def _series(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} und {parts[-1]}"
