"""Lines of captions and lyrics without what nobody sings: marks of sound, speakers, credits, requests, links.

Every rule looks at one line alone and takes it only where nothing else is on it: a song that says "subscribe" or
"music" keeps its line. What a speech recogniser writes where it understood nothing ("foreign", "Thank you.", the
credits of films it learned from) is taken out of captions that a machine made, and only there where people sing it too.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from clipsim.sources._metadata import clean

MAX_TEXT = 200_000  # characters kept; an hour of rap is about 60,000
MAX_LINE = 500  # characters of one line; a longer one is wrapped
MOST_REPEATS = 20  # of a line in a row; a recogniser that hangs writes hundreds. The most in 395 real lyrics is 9
STAMPED = 0.5  # share of lines that begin with a time, from which on these are a transcript's and not sung
ENDS = 4  # lines at the beginning and at the end among which a song's makers are named

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>|<\d[\d:.]{2,20}>|\{\\[^{}]{0,200}\}|\\[Nnh]")
_BRACKETS = re.compile(r"\[[^\[\]]{0,80}\]|【[^【】]{0,80}】|［[^［］]{0,80}］")
# What is heard, as captions name it, in the languages that YouTube captions most.
_SOUND = (
    r"music|applause|laugh\w*|giggl\w*|chuckl\w*|cheer\w*|instrumentals?|singing|sings|whistl\w*|clapping|silence|"
    r"inaudible|indistinct|gasps?|sighs?|sobs?|sobbing|grunts?|groans?|crowd|audience|screams?|screaming|vocali[sz]ing|"
    r"humming|hums|beat drops?|guitar|piano|drums?|solo|song ends|chatter|speaking|foreign language|censored|muted|"
    r"beeps?|beeping|bleep|chirping|revving|rumbl\w+|howling|ringing|rings|dinging|dings|chiming|slam\w*|screech\w*|"
    r"wail\w*|clicks?|clicking|vibrat\w+|honking|barking|buzz\w*|crashing|creak\w*|knocking|thud\w*|thunk|stomp\w*|"
    r"gunshots?|footsteps|sirens?|thunder|"
    r"musik|gesang|gelächter|lachen|applaus|beifall|musique|applaudissements|rires|rire|música|musica|músicas|aplausos|"
    r"risas|risos|risate|applausi|muziek|gelach|muzyka|oklaski|brawa|śmiech|müzik|alkış|kahkaha|gülüşmeler|hudba|zene|"
    r"музыка|музика|аплодисменты|смех|оплески|موسيقى|تصفيق|ضحك|موسیقی|संगीत|तालियां|เพลง|เสียงดนตรี|nhạc|"
    r"音楽|音乐|音樂|拍手|掌声|掌聲|笑い|笑声|笑聲|歓声|欢呼声|歡呼聲|음악|박수|웃음|환호|노래"
)
# Who says these speaks to somebody: "(turn up the music)" is sung, "(upbeat music)" is not.
_SPOKEN = r"(?:i|i'm|you|you're|we|me|my|your|our|the|this|that|it|to|don't|can|let|please|no|oh|baby|yeah)"
_PARENS = re.compile(r"[(（]([^()（）]{1,60})[)）]|\*([^*]{1,60})\*")
_IS_SOUND = re.compile(rf"(?<!\w)(?:{_SOUND})(?!\w)", re.IGNORECASE)
_IS_SPOKEN = re.compile(rf"(?<![\w'’])(?:{_SPOKEN})(?![\w'’])", re.IGNORECASE)
_TIMES = re.compile(r"[(（\[]\s*(?:[x×]\s*\d{1,2}|\d{1,2}\s*[x×])\s*[)）\]]", re.IGNORECASE)  # "(x3)": sung three times
_SIGNS = re.compile(r"[♩♪♫♬♭♮♯\U0001f3b5\U0001f3b6\U0001f3bc]+")
_SPEAKER = re.compile(r"^(?:(?:>>+|»|–|—|-)\s*)+(?:[A-Z][A-Z .'\d-]{1,30}:\s*)?|^[A-Z][A-Z .'\d-]{2,30}:\s+")
_HASHES = re.compile(r"^#\s*|\s*#$")
_STAMP = re.compile(r"^\(?\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d{1,3})?\)?(?=\s|$)\s*")
_URL = re.compile(r"(?:https?://|www\.)\S+|(?<!\S)[\w.-]{2,60}\.(?:com|net|org)(?:/\S*)?(?!\S)", re.IGNORECASE)
_WORD = re.compile(r"[\w'’]+")
_EDGES = " \t.!?…,;:-–—¡¿\"'“”*()。！？"  # of a line, when it is looked at as a whole

_CREDIT = re.compile(
    r"(?:closed[ -]?)?(?:caption(?:s|ed|ing)?|subtitle[sd]?|subtitling|transcri(?:bed|ption)s?)"
    r"(?:\s(?:made|provided|created|done|and|sync\w*|correct\w*|translat\w*|resync|precision|[&,])+){0,4}\s?by.{0,120}"
    r"|.{0,80}\bamara\.org\b.{0,80}|.{0,40}\bopensubtitles\b.{0,60}"
    r"|(?:untertitel(?:ung)?|sous-titrage|sous-titres?|legendas|sottotitoli|ondertitel(?:s|ing)|napisy|undertexter|"
    r"tekstet|teksting|tekstning|субтитры|субтитри|altyaz[ıi]|titulky|feliratok)\b\s?(?::|[\w.'-]+\s?){0,2}(?:"
    r"von|vom|der|des|im auftrag|par|réalisés|société|pela|por|feitas|a cura di|creati|ingediend|door|stworzone|"
    r"av|af|сделал\w*|создавал\w*|подогнал\w*|делал\w*|от|m\.?k\.?|\d{4}|vytvořil\w*).{0,100}"
    r"|subt[íi]tulos (?:realizados )?por .{0,100}|редактор субтитров .{0,80}|корректор .{0,60}"
    r"|字幕(?:by|由|製作|制作|提供|志[愿願]者|[:：]).{0,60}|(?:자막|번역)\s?(?:제공|제작|by|[:：]).{0,60}|ترجمة\s.{0,60}",
    re.IGNORECASE,
)
# Named at either end of a text only: in the middle of a song these words may be sung.
_MAKERS = re.compile(
    r"(?:(?:lyrics?|words|music|song|written|composed|produced|arranged|performed|directed|translat(?:ed|ion)|mixed|"
    r"mastered|paroles|letra|musik|text|作词|作曲|編曲|编曲|作詞|詞|曲)\s?(?:(?:and|&|/)\s?\w+\s?)?(?:by\b|[:：])).{0,80}"
    r"|lyrics on screen|official (?:music |lyrics? )?video"
    r"|(?:©|℗|\(c\)|copyright)\s.{0,100}|all rights reserved.{0,40}",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"(?:(?:thank you|thanks)(?: (?:so|very) much| a lot| all| guys| everyone)*(?: for (?:watching|viewing|listening))"
    r"|(?:vielen )?dank(?:e)? f[üu]rs (?:zuschauen|zusehen)|merci d['’]avoir regard[ée](?: cette vidéo)?"
    r"|gracias por ver (?:el |este )?v[íi]deo|(?:muito )?obrigad[oa] por assistir(?:em)?"
    r"|grazie (?:a tutti )?per (?:aver guardato|la visione)(?: il video)?|bedankt voor het kijken"
    r"|dzi[ęe]kuj[ęe] za (?:uwag[ęe]|obejrzenie)|izledi[ğg]iniz i[çc]in te[şs]ekk[üu]r(?:ler| ederim)?"
    r"|спасибо за (?:просмотр|внимание)|подписывайтесь на (?:мой |наш )?канал|продолжение следует"
    r"|abonnez[- ]vous(?: [àa] (?:la|ma|notre) chaîne)?|(?:bitte )?abonnier(?:t|e|en sie) (?:den|meinen) kanal"
    r"|suscr[íi]b(?:ete|anse)(?: al| a mi)? canal|inscreva-se no (?:meu |nosso )?canal"
    r"|iscriv(?:iti|etevi) al (?:mio )?canale"
    r"|ご視聴(?:いただき)?ありがとうございま(?:した|す)|チャンネル登録.{0,20}"
    r"|시청해\s?주셔서 감사합니다|구독.{0,6}좋아요.{0,20}"
    r"|.{0,12}(?:點贊|点赞|點讚).{0,20}(?:訂閱|订阅).{0,30}"
    r"|[谢謝][谢謝](?:大家)?(?:观看|觀看|收看)|شكرا على المشاهدة|اشترك.{0,6}القناة)",
    re.IGNORECASE,
)
# A line is a channel's request where it has one of these and not a word that is not among `_REQUEST`.
_ASKED = re.compile(
    r"\bsubscrib\w*\b.*\b(?:channel|like|button|bell|video|please|comment|share|forget|more|already|watching)\b"
    r"|\b(?:channel|like|button|bell|video|please|comment|share|forget|more|already|watching)\b.*\bsubscrib\w*\b"
    r"|\b(?:subscribe|like) button\b|\bnotification bell\b|\bpost notifications\b|\b(?:for|so much for) watching\b"
    r"|\bcomments? (?:section|below|down below)\b|\b(?:in|below) the (?:comments|description)\b"
    r"|\blike (?:the|this) video\b"
    r"|\bfollow (?:me|us) on (?:instagram|facebook|twitter|tiktok|spotify)\b",
    re.IGNORECASE,
)
_REQUEST_WORDS = (
    "a ah all already also and app at be bell below button bye channel check click comment comments content "
    "description do don't dont down everyone facebook follow for forget get give great guy's guys have haven't "
    "havent helps hey hi hit i i'd i'll if in instagram it know leave let like link links make me more much my "
    "new next notification notifications now of ok okay on our out please post press really remember ring section "
    "see share smash so song spotify subscribe subscribed subscribers subscribing sure thank thanks that the "
    "think this thumbs tiktok time to turn twitter up us very video videos want watching we what you you'd your "
    "youtube"
)
_REQUEST = frozenset(_REQUEST_WORDS.split())
# Of a machine's captions: what its recogniser writes where it understood nothing. Only a whole line of these goes.
_NOISE = frozenset(
    (
        "foreign",
        "thank you",
        "thank you thank you",
        "you",
        "so",
        "is",
        "um",
        "uh",
        "bye",
        "bye bye",
        "music",
        "applause",
    )
)


def tidy(lines: Iterable[str], *, captions: bool = False, automatic: bool = False) -> list[str]:
    """The lines that are sung, each without what is not; empty ones are left out, at most `MAX_TEXT` characters.

    Args:
        lines: as they stand in the file; a long one is wrapped at `MAX_LINE` characters.
        captions: these may name who speaks.
        automatic: a machine wrote them.
    """
    found: list[str] = []
    length = 0
    for raw in lines:
        if length > MAX_TEXT:
            break
        for line in _wrapped(_bare(raw[: MAX_TEXT * 2], captions=captions)):
            if _sung(line, automatic=automatic):
                found.append(line)
                length += len(line)
    return found


def whole(lines: list[str]) -> list[str]:
    """A whole text's lines without a transcript's times, its makers' names at either end, and what hangs."""
    stamped = sum(_STAMP.match(line) is not None for line in lines)
    if stamped > 1 and stamped >= STAMPED * len(lines):
        lines = [rest for line in lines if re.search(r"\w", rest := _STAMP.sub("", line))]
    else:
        lines = [line for line in lines if _STAMP.sub("", line)]
    last = len(lines) - ENDS
    kept: list[str] = []
    repeats = 0
    for index, line in enumerate(lines):
        repeats = repeats + 1 if index and line == lines[index - 1] else 1
        named = (index < ENDS or index >= last) and _MAKERS.fullmatch(line) is not None
        if repeats <= MOST_REPEATS and not named:
            kept.append(line)
    return kept


def _bare(raw: str, *, captions: bool) -> str:
    """A line without marks."""
    line = html.unescape(html.unescape(raw))
    line = _TIMES.sub(" ", _TAG.sub(" ", line))
    line = _SIGNS.sub(" ", _PARENS.sub(_sound_or_itself, _BRACKETS.sub(" ", line)))
    if _CREDIT.fullmatch(line.strip(_EDGES)):
        return ""
    line = clean(_URL.sub(" ", line), MAX_TEXT) or ""
    if captions:
        line = _HASHES.sub("", _SPEAKER.sub("", line))
    return line.strip()


def _sound_or_itself(match: re.Match[str]) -> str:
    inside = match.group(1) or match.group(2)
    return " " if _IS_SOUND.search(inside) and not _IS_SPOKEN.search(inside) else match.group()


def _sung(line: str, *, automatic: bool) -> bool:
    if not re.search(r"\w", line) or "-->" in line:
        return False
    bare = line.strip(_EDGES)
    if _THANKS.fullmatch(bare):
        return False
    if _ASKED.search(bare) and all(word.lower().replace("’", "'") in _REQUEST for word in _WORD.findall(bare)):
        return False
    return not (automatic and bare.lower() in _NOISE)


def _wrapped(line: str) -> list[str]:
    """Pieces of at most `MAX_LINE` characters, broken between words; a single longer word is cut."""
    pieces = []
    while len(line) > MAX_LINE:
        cut = line.rfind(" ", 0, MAX_LINE + 1)
        if cut <= 0:
            pieces.append(line[:MAX_LINE])
            line = line.partition(" ")[2]
        else:
            pieces.append(line[:cut])
            line = line[cut + 1 :]
    return [*pieces, line] if line else pieces
