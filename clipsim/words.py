"""What lyrics speak of, in a few words."""

from __future__ import annotations

import re
from collections import Counter

from clipsim.titles import fold

MOST_WORDS = 10  # of one clip's lyrics
SHORTEST_WORD = 3  # letters; of Korean, whose letters are syllables, 2
LONGEST_WORD = 24
LONGEST_LYRICS = 50_000  # characters that are looked at


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What songs repeat and mean nothing by, in any language; folded.
FILLERS = _set(
    "oh ooh ohh ah ahh uh huh hey yeah yea yeh yah ya na nah la lala da doo whoa woah wow hmm mmm ay aye eh ha "
    "haha gonna wanna gotta cause cuz til till em ain ain't aint don't dont can't cant won't i'm im i'll i've i'd "
    "you're youre you'll you've it's its that's thats there's what's let's he's she's we're they're isn't didn't "
    "doesn't couldn't wouldn't wasn't got get gets getting know like just let make makes come came comes goes "
    "going gone say said says tell told want wants need thing things way really right yes one two still never "
    "ever chorus verse "
)
# Words that only tie others together, by language; English is scikit-learn's list.
STOP = {
    "de": _set(
        "der die das und ich nicht ist ein eine einen einem einer mir mich dich dir du sie wir ihr den dem des "
        "auf mit von zu zum zur für im in es er so wie was wenn aber auch noch nur schon doch hat habe haben bin "
        "bist sind war sein mein dein alles hier da kein keine mehr man nach aus bei bis oder denn dann wird kann "
    ),
    "es": _set(
        "que de no la el en los las un una por con para se me te mi tu su lo le es soy eres son fue ser estoy "
        "está como más pero si ya yo él ella nos del al todo toda cuando donde qué quién porque sin sobre hay muy "
        "así tan solo también nada voy vas va tus mis este esta eso esto "
    ),
    "fr": _set(
        "que de la le les un une des et est pas je tu il elle nous vous ils on dans pour sur avec qui quoi mais "
        "ou où donc car ne se ce cette ces mon ma mes ton ta tes son sa ses au aux du en y plus tout tous toute "
        "comme si moi toi lui sans être suis es sont était fait rien bien quand jamais toujours c'est j'ai "
    ),
    "it": _set(
        "che di la il le lo gli un una uno per con non mi ti si ci vi ma come più se io tu lui lei noi voi loro "
        "mio mia tuo tua suo sua è sono sei era del della dei delle al alla nel nella da in su tutto tutti cosa "
        "quando dove perché senza anche ancora solo questo questa quello quella ho hai ha "
    ),
    "nl": _set(
        "de het een en ik je jij niet is dat die dit van voor met op in aan te ze zij we wij me mij mijn jou jouw "
        "zo als maar ook nog wel naar bij uit dan er hier daar wat wie waar kan moet heb hebt heeft ben bent was "
        "zijn geen "
    ),
    "pl": _set(
        "nie to się na jest że do co jak ja ty my wy mnie mi cię ci tak już tylko ale za po od bez dla czy ten ta "
        "te tego tej ich jego jej być był była są mam masz jeszcze gdy kiedy gdzie "
    ),
    "pt": _set(
        "que de não nao o a os as um uma e é eu tu ele ela você voce nós se me te mi meu minha teu tua seu sua "
        "por pra para com em no na nos nas do da dos das mais mas como quando onde sem só so já tudo nada ser sou "
        "está tá vai vou tem foi esse essa isso este esta muito bem aqui lá "
    ),
    "ru": _set(
        "я ты он она мы вы они не что это как так и в на с но а по за к у же от из бы о то все всё мне меня мой "
        "моя тебя тебе твой для если когда где кто нет да уже только ещё еще был была быть есть его её их "
    ),
    "sv": _set(
        "och jag det att en är på som inte har du vi dig mig min din så den ett för med av om men när var kan ska "
        "till han hon de dom från här där vad allt bara nu aldrig alla över upp "
    ),
    "tr": _set(
        "bir ve bu da de ne ben sen biz siz o için gibi daha çok her şey mi mu var yok ama ki ile beni seni bana "
        "sana benim senin kadar sonra hiç "
    ),
}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# Scripts that put no spaces between words: a run of them is a sentence, not a word.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def words(lyrics: str, language: str | None = None) -> tuple[str, ...]:
    """What lyrics speak of: up to ten words, most telling first: sung often, and not mere grammar or "yeah".

    Knows the stop words of eleven languages; without `language` (BCP 47) those of all of them are left out. Text
    without spaces between words (Chinese, Japanese, Thai …) gives none.
    """
    stop = _stop_words(language)
    count: Counter[str] = Counter()  # keeps the order of first sight, which breaks ties
    for found in _WORD.findall(lyrics[:LONGEST_LYRICS].casefold()):
        word = found.replace("’", "'").removesuffix("'s")
        shortest = SHORTEST_WORD - ("가" <= word[0] <= "힣")
        if shortest <= len(word) <= LONGEST_WORD and word not in stop and fold(word) not in stop:
            count[word] += 0 if _UNSPACED.search(word) else 1
    return tuple(word for word, times in count.most_common(MOST_WORDS) if times)


def _stop_words(language: str | None) -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    code = (language or "").split("-")[0].lower()
    if code == "en":
        return ENGLISH_STOP_WORDS | FILLERS
    known = [STOP[code]] if code in STOP else list(STOP.values())
    return ENGLISH_STOP_WORDS | FILLERS | frozenset().union(*known)  # songs in every language borrow English words
