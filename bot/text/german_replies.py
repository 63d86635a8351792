"""What the bot says around answers, in German: buttons, playlists, the map, the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.text import german_facts
from bot.text.english_replies import Replies
from clipsim.model import Modality


class GermanReplies(Replies):
    """A part of `German`."""

    MORE = "Mehr"
    PLAY_ALL = "Alle abspielen"
    THUMBS = "Daumen: was dazu passt, und was nicht"
    THUMB_BACK = "Das hast du gesagt. Noch einmal wählen nimmt es zurück"
    WALK = "Was ähnelt …"
    STALE_BUTTON = "Diese Nachricht stammt von einer früheren Fassung von mir: Nimm den Befehl noch einmal."
    LISTING_GONE = "Eine Liste behalte ich einen Monat, und diese ist weg: Nimm den Befehl noch einmal."

    def pending(self, modalities: Sequence[Modality]) -> str:
        """Said of an early answer."""
        known = [name for key, name in self.MODALITY.items() if key not in modalities]
        return f"Bisher nach {' und '.join(known)}; ich sehe noch zu." if modalities else ""

    def page(self, number: int) -> str:
        """Which page of a list is shown."""
        return f"Seite {number}"

    def play_part(self, first: int, last: int) -> str:
        """A button that plays a part of a long list."""
        return f"{first} bis {last} abspielen"

    def thumbs(self, ups: Sequence[int], downs: Sequence[int]) -> str:
        """What somebody has said of the results."""
        parts = [f"{sign} {', '.join(map(str, ranks))}" for sign, ranks in (("👍", ups), ("👎", downs)) if ranks]
        return f"Deine Daumen: {' · '.join(parts)}" if parts else self.THUMBS

    PICK_CLUSTER = "In eine Gruppe sehen …"
    ALL_CLUSTERS = "Alle Gruppen"
    WHOLE_CLUSTER = "Die ganze Gruppe"
    CLUSTERS_CHANGED = "Die Gruppen haben sich geändert: Hier sind sie, wie sie jetzt sind."

    PLAYLIST = "Eine Playlist um einen Clip, jeder ähnlich dem davor"
    PATH = "Von einem Clip zum anderen in kleinen Schritten"
    MIX = "Was manchen Clips ähnelt und anderen nicht"
    FIND = "Titel, Interpreten, Tags und Liedtexte durchsuchen, auch nach dem Sinn"
    SURPRISE = "Ein guter Clip, der selten empfohlen wird, und warum"
    MAP = "Die Sammlung als Bild, mit ihren Gruppen"
    OPTION_LENGTH = "Wie viele Clips (10, wenn du nichts sagst)"
    OPTION_START = "Wo es losgeht: ein Titel oder ein Link"
    OPTION_END = "Wo es endet: ein Titel oder ein Link"
    OPTION_ADD = "Wem es ähneln soll: Titel oder Links, mit Kommas dazwischen"
    OPTION_LESS = "Wem es nicht ähneln soll: Titel oder Links, mit Kommas dazwischen"
    OPTION_WORDS = "Ein Titel, ein Interpret, eine Stimmung, oder eine gesungene Zeile"
    ANOTHER = "Noch eine"
    SHORTER = "Kürzer"
    LONGER = "Länger"
    TURN_ROUND = "Andersherum"
    NOTHING_FOUND = "Diese Wörter hat hier nichts."
    NOTHING_LIKE_IT = "Sonst ist hier noch nichts: Poste zuerst mehr Links."
    LIKE_IT = "Was ihm ähnelt"
    WATCH = "Ansehen"
    NEAR_IT = "In seiner Nähe"

    def playlist_title(self, names: Sequence[str]) -> str:
        """Of a playlist around some clips."""
        return f"Rund um {', '.join(names)}"

    def path_title(self, start: str, end: str) -> str:
        """Of a path between two clips."""
        return f"Von {start} zu {end}"

    def mix_title(self, add: Sequence[str], less: Sequence[str]) -> str:
        """Of a mix."""
        return " − ".join((" + ".join(map(self.find_title, add)), *map(self.find_title, less)))

    def find_title(self, words: str) -> str:
        """Of what a search found."""
        return f"„{words}“"

    def too_many(self, most: int) -> str:
        """Said where too many clips are named at once."""
        return f"Nenne höchstens {most} Clips."

    def told(self, sentences: str) -> str:
        """How a list was chosen, where something was found, why a clip is a surprise."""
        return german_facts.told(sentences)

    MAP_TITLE = "Die Sammlung, Clip für Clip"
    MAP_LINK = "Karte öffnen"

    def map_told(self, clips: int, until: str) -> str:
        """Said with the map."""
        told = f"{'1 Clip' if clips == 1 else f'{clips} Clips'}: Nah ist ähnlich."
        return f"{told} Der Link zeigt diese Sammlung jedem, der ihn hat, und endet {until}." if until else told

    MOST_ALIKE = "Am ähnlichsten"
    DUPLICATES = "Zweimal derselbe Song"
    MOST_ADDED = "Wer am meisten hinzugefügt hat"
    JOBS = "Links, die noch offen sind"
    JOB_STATES: Mapping[str, str] = {
        "queued": "wartet",
        "fetching": "wird geholt",
        "encoding": "wird gehört und gesehen",
        "failed": "gescheitert",
    }
    PICK_JOB = "Ein Link, der gescheitert ist …"
    RETRY = "Noch einmal"
    DROP = "Verwerfen"
    RETRY_ALL = "Alle gescheiterten noch einmal"
    DROP_ALL = "Alle gescheiterten verwerfen"
    NOT_YOUR_JOB = "Das kann nur, wer den Link gepostet hat oder diesen Server verwaltet."
    JOB_GONE = "Dieser Link ist inzwischen erledigt."

    def next_try(self, moment: str) -> str:
        """When a failed link is tried again by itself."""
        return f"noch einmal {moment}"

    def retried(self, count: int) -> str:
        """Said when failed links are tried again."""
        return "Er wird jetzt noch einmal versucht." if count == 1 else f"{count} Links werden noch einmal versucht."

    def dropped(self, count: int) -> str:
        """Said when failed links were dropped."""
        return "Verworfen." if count == 1 else f"{count} Links verworfen."
