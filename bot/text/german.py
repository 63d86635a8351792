"""What the bot says, in German. Every public name of `Texts` is said anew here; a test holds the two together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.text import german_facts
from bot.text.english import Texts, Told, _waiting
from bot.text.german_replies import GermanReplies
from clipsim.errors import BY_CODE, ClipSimError
from clipsim.model import By, Method, Modality, Stage

_MENU = "Ähnliche Clips finden"
_ASK = "Wer diesen Bot betreibt, findet mehr in seinem Protokoll."


class German(GermanReplies, Texts):
    """Deutsch, mit Du."""

    LANGUAGE = "de"
    LANGUAGE_NAME = "Deutsch"

    STAGES: Mapping[Stage, str] = {
        "fetching": "holen",
        "listening": "hören",
        "reading": "lesen",
        "watching": "sehen",
        "comparing": "vergleichen",
    }
    WAITING = "Wartet, bis er an der Reihe ist."

    BY: Mapping[By, str] = {"all": "alles", "audio": "Klang", "video": "Bild", "lyrics": "Text"}
    MODALITY: Mapping[Modality, str] = {"audio": "Klang", "video": "Bild", "lyrics": "Text"}
    METHODS: Mapping[Method, str] = {
        "standard": "Klang, Bild und Text, gewichtet",
        "joint": "Klang, Bild und Text, gemeinsam gelernt",
        "paper": "der Autoencoder",
        "pca": "Hauptkomponenten",
        "raw": "Rohmerkmale (noch nicht trainiert)",
    }

    SIMILAR = "Die Clips finden, die diesem am ähnlichsten sind"
    SIMILAR_MENU = _MENU
    CLUSTER = "Zu welcher Gruppe ein Clip gehört; ohne Clip alle Gruppen"
    LIBRARY = "Was die Sammlung dieser Community enthält"
    HELP = "Was ich kann, und wie man fragt"
    OPTION_CLIP = "Ein Titel aus der Sammlung dieser Community, oder ein Link"
    OPTION_COUNT = "Wie viele Clips genannt werden (5, wenn niemand etwas anderes sagt)"
    OPTION_BY = "Was verglichen wird (alles, wenn du nichts sagst)"

    UNTITLED = "(ohne Titel)"
    ALONE = "Das ist der erste seiner Art hier: Poste mehr Links und frag noch einmal."
    NO_CLUSTER = "Dieser Clip hat noch keine Gruppe: Dafür braucht es ein paar Clips mehr."
    NO_CLUSTERS = "Es gibt noch keine Gruppen: Poste zuerst ein paar Links."
    NOTHING_YET = "Die Sammlung ist leer. Poste einen Link zu einem Musikvideo, um anzufangen."
    NEWEST = "Neueste"
    CLUSTERS_TITLE = "Gruppen von Clips"
    LIBRARY_TITLE = "Die Sammlung dieser Community"
    NO_LINK = "In dieser Nachricht finde ich keinen Link zu einem Clip."

    def progress(self, stage: Stage) -> str:
        """The stages in order, the present one in bold."""
        return " → ".join(f"**{name}**" if key == stage else name for key, name in self.STAGES.items())

    def compared_by(self, by: By) -> str:
        """Said where an answer does not compare by everything."""
        return "" if by == "all" else f"Verglichen nur nach: {self.MODALITY[by]}."

    def group(self, size: int) -> str:
        """The size of a cluster."""
        return "1 Clip" if size == 1 else f"{size} Clips"

    def more(self, count: int) -> str:
        """Said where a list is cut."""
        return f"… und {count} mehr"

    def links_left_out(self, count: int) -> str:
        """Said where a message has more links than are taken at once."""
        left = "Ein weiterer Link blieb" if count == 1 else f"{count} weitere Links blieben"
        return f"{left} liegen: Poste weniger auf einmal."

    def facts(self, count: int, status: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What `/library` says in figures."""
        shown = [("Clips hier", str(count))]
        if method := status.get("method"):
            shown.append(("Verglichen nach", self.METHODS.get(method, str(method))))
        if waiting := _waiting(status):
            shown.append(("Links in Arbeit", str(waiting)))
        return shown

    def again(self, moment: str) -> str:
        """Said below an error that waiting may mend."""
        return f"Ich versuche es {moment} noch einmal."

    def waiting_for_youtube(self, moment: str) -> str:
        """Said of a link whose clip may not be fetched yet."""
        return f"Wartet auf YouTube: An die Reihe kommt er {moment}."

    def youtube_refuses(self, problem: str, moment: str) -> str:
        """Said to whoever looks after the server, when YouTube begins to refuse."""
        return (
            f"{problem} Neue Links werden angenommen und warten; {moment} frage ich YouTube wieder. Wer diesen Bot "
            "betreibt, findet in der Anleitung unter „YouTube“, was hilft."
        )

    def number(self, value: float) -> str:
        """A similarity, with two digits."""
        return f"{value:.2f}".replace("-", "−").replace(".", ",")

    def note(self, sentence: str) -> str:
        """What a clip lacks."""
        return german_facts.note(sentence)

    def notice(self, sentence: str) -> str:
        """What an answer says of the library's state."""
        return german_facts.notice(sentence)

    def why(self, sentence: str) -> str:
        """Why two clips go together."""
        return german_facts.why(sentence)

    SETTINGS = "Ansehen und ändern, wie ich mich auf diesem Server verhalte (nur für Verwalter)"
    SETTINGS_TITLE = "Einstellungen dieses Servers"
    SETTINGS_FOOTER = "Jede Änderung gilt sofort."
    SETTING: Mapping[str, str] = {
        "channels": "Wo ich auf Links achte",
        "answer": "Wo ich antworte",
        "may_add": "Wer Clips hinzufügen darf",
        "count": "Clips in einer Antwort",
        "per_user": "Neue Clips am Tag, je Mitglied",
        "per_guild": "Neue Clips am Tag, alle zusammen",
        "playlist": "Clips einer Playlist",
        "language": "Sprache der Antworten",
        "shared": "Gemeinsame Sammlung",
        "most": "Nennen, wer am meisten hinzufügt",
    }
    ANSWERS: Mapping[str, str] = {
        "channel": "im Kanal",
        "thread": "in einem Thread",
        "private": "privat",
        "quiet": "still, mit einer Reaktion",
    }
    ANSWERS_MORE: Mapping[str, str] = {
        "channel": "Als Antwort unter der Nachricht mit dem Link",
        "thread": "Ein eigener Thread für jede Nachricht mit Links",
        "private": "Eine Direktnachricht an den, der den Link gepostet hat",
        "quiet": "👀, dann ✅; die Antwort gibt es im Nachrichtenmenü",
    }
    MAY_ADD: Mapping[str, str] = {
        "everyone": "alle",
        "role": "eine Rolle und Verwalter",
        "managers": "nur Verwalter",
    }
    ALL_CHANNELS = "in allen Kanälen, die ich lesen kann"
    NO_LIMIT = "keine Grenze"
    NOT_OFFERED = "wird nie angeboten"
    NO_ROLE = "noch keine Rolle gewählt, also nur Verwalter"
    AUTOMATIC = "die des Servers auf Discord"
    SWITCH: Mapping[bool, str] = {True: "an", False: "aus"}
    PICK_CHANNELS = "Kanäle, auf die ich achte (keiner: alle)"
    PICK_ANSWER = "Wo ich antworte"
    PICK_MAY_ADD = "Wer Clips hinzufügen darf"
    PICK_ROLE = "Die Rolle, die Clips hinzufügen darf"
    NUMBERS = "Zahlen …"
    NUMBERS_TITLE = "Zahlen"
    SERVERS_ONLY = "Das gibt es nur auf Servern."
    MANAGERS_ONLY = "Das kann nur, wer diesen Server verwalten darf."
    SHARE_ASK = (
        "Der gemeinsamen Sammlung beitreten? Alle auf den Servern, die dabei sind, sehen dann die Clips dieses Servers "
        "mit Titeln, Gruppen und Daumen (nie, wer sie gepostet hat), und ihr seht ihre. Der Server kann jederzeit "
        "austreten; seine Clips nimmt er mit."
    )
    SHARE_YES = "Beitreten"
    SHARE_DONE = "Dieser Server gehört jetzt zur gemeinsamen Sammlung."

    def between(self, name: str, least: int, most: int) -> str:
        """Said where a number cannot be used."""
        return f"{self.SETTING[name]}: bitte eine ganze Zahl von {least} bis {most}."

    def may_not_add(self, role: str | None) -> str:
        """Said to somebody who may not add clips."""
        who = f"wer die Rolle {role} hat" if role else "wer diesen Server verwaltet"
        return f"Clips hinzufügen darf hier nur, {who}. Clips, die schon da sind, sind für alle da."

    def daily_limit(self, limit: int, free: str, everybody: bool) -> str:
        """Said where a day's clips are used up."""
        whose = "Dieser Server nimmt am Tag" if everybody else "Du kannst am Tag"
        what = f"{'einen neuen Clip' if limit == 1 else f'{limit} neue Clips'}{'' if everybody else ' hinzufügen'}"
        return f"{whose} {what}, und das ist erreicht. Wieder {free}."

    THREAD = "Ähnliche Clips"
    MONTHS: tuple[str, ...] = (
        *("Januar", "Februar", "März", "April", "Mai", "Juni"),
        *("Juli", "August", "September", "Oktober", "November", "Dezember"),
    )

    def posted(self, who: str, when: datetime, now: datetime, link: str | None) -> str:
        """Said of a clip that has been posted before."""
        moment = self._moment(when, now)
        moment = f"[{moment}]({link})" if link else moment
        return f"Schon gepostet{f' von {who}' if who else ''} {moment}."

    def _moment(self, when: datetime, now: datetime) -> str:
        if now - when < timedelta(days=1):
            return "im Lauf des letzten Tages"
        if now - when < timedelta(days=25):
            return f"am {when.day}. {self.MONTHS[when.month - 1]}"
        return f"im {self.MONTHS[when.month - 1]}" + (f" {when.year}" if when.year != now.year else "")

    LINK_REMOVED = "Der Link ist nicht mehr in der Nachricht, darum habe ich ihn gelassen."

    FORGET = "Einen Clip vergessen, oder alles, was du hinzugefügt hast"
    OPTION_FORGET = "Der Clip, der vergessen werden soll: ein Titel oder ein Link"
    OPTION_EVERYTHING = "Alles, was du hier hinzugefügt hast (in einer Direktnachricht: überall)"
    FORGET_WHAT = "Nenne einen Clip, oder wähle `everything`."
    NOT_YOURS = "Das kann nur, wer den Clip gepostet hat oder diesen Server verwaltet."
    NOTHING_OF_YOURS = "Von dir gibt es hier nichts."
    FORGET_YES = "Alles vergessen"
    FORGET_KEPT = "Nichts wurde vergessen."
    KEEP = "Behalten"

    def forgotten(self, name: str) -> str:
        """Said when a clip was forgotten."""
        return f"Vergessen: {name}."

    def forget_ask(self, counts: Mapping[str, int], everywhere: bool) -> str:
        """Asked before everything of somebody's is forgotten."""
        where = "überall" if everywhere else "auf diesem Server"
        what = self._belongings(counts)
        return f"Alles vergessen, was du {where} hinzugefügt hast? Das sind {what}. Es lässt sich nicht zurückholen."

    def forgot_all(self, counts: Mapping[str, int]) -> str:
        """Said when everything of somebody's was forgotten."""
        return f"Vergessen: {self._belongings(counts)}."

    def _belongings(self, counts: Mapping[str, int]) -> str:
        clips, votes, waiting = (counts.get(name, 0) for name in ("clips", "votes", "waiting"))
        parts = [self.group(clips), f"{votes} Daumen"]
        return ", ".join([*parts, *([f"{waiting} in Arbeit"] if waiting else [])])

    NO_THANKS = "Nein, danke"
    PLAYLIST_DECLINED = "Nicht hinzugefügt."
    PLAYLIST_LISTING = "Ich sehe mir die Playlist an …"
    PLAYLIST_CANCEL = "Abbrechen"
    PLAYLIST_PRIVATELY = "Es hat begonnen; wie weit es ist, sage ich dir in einer Direktnachricht."
    PLAYLIST_KNOWN = "Alle ihre Clips sind schon da."

    def playlist_offer(self, most: int) -> str:
        """Asked under a link to a playlist."""
        return f"Das ist eine Playlist. Soll ich ihre Clips hinzufügen (höchstens {most})?"

    def playlist_add(self, most: int) -> str:
        """The button that adds them."""
        return f"Bis zu {most} hinzufügen"

    def playlist_progress(self, done: int, failed: int, total: int) -> str:
        """How far the clips of a playlist are."""
        return f"{done} von {total} hinzugefügt" + (f", {failed} gescheitert" if failed else "")

    def playlist_done(self, done: int, failed: int, total: int, cancelled: bool) -> str:
        """The end of a playlist."""
        head = "Abgebrochen" if cancelled else "Fertig"
        return f"{head}: {self.playlist_progress(done, failed, total)}."

    def playlist_left(self, taken: int, total: int) -> str:
        """Said where a playlist is longer than what is taken of it."""
        return f"Die ersten {taken} von {total}."

    HELP_TITLE = "clipsim: Was passt zu diesem Clip?"
    HELP_LINES: tuple[tuple[str, str], ...] = (
        ("/similar clip count by", "die ähnlichsten Clips, nach allem, Klang, Bild oder Text"),
        ("/cluster clip", "die Gruppe, zu der ein Clip gehört, und wo sie liegt; ohne Clip alle Gruppen"),
        ("/playlist clip count", "eine Liste, in der jeder Clip dem davor ähnelt"),
        ("/path start end", "von einem Clip zum anderen in kleinen Schritten"),
        ("/mix add less", "was manchen Clips ähnelt und anderen nicht"),
        ("/find words", "Titel, Interpreten, Tags, Liedtexte, und was sie bedeuten"),
        ("/surprise", "ein guter Clip, der selten empfohlen wird"),
        ("/map", "alle Clips als Bild, die Gruppen mit ihren Namen"),
        ("/library", "wie viele Clips es gibt, die neuesten, was doppelt ist, und Links, die scheiterten"),
        ("/forget clip", "ein Clip, den du gepostet hast, ist hier weg; oder alles, was du hinzugefügt hast"),
        ("/settings", "für Verwalter: wo ich achte und antworte, wer hinzufügen darf, Grenzen, Sprache"),
        (_MENU, "eine Nachricht mit Link lange drücken (oder mit rechts anklicken), dann Apps"),
    )
    HELP_PASTE = (
        "Poste einen Link zu einem Musikvideo. Ich höre es an, sehe es an, lese seinen Text und antworte mit den Clips "
        "von hier, die ihm am ähnlichsten sind, und mit der Gruppe, zu der es gehört."
    )
    HELP_NO_CONTENT = (
        "Ich darf hier keine Nachrichten lesen, darum sehe ich gepostete Links nicht. Nimm die Befehle, das "
        f"Nachrichtenmenü „{_MENU}“, oder erwähne mich in der Nachricht mit dem Link."
    )
    HELP_PRIVATE = "Jede Community sieht nur ihre eigenen Clips."

    ERRORS: Mapping[str, str] = {
        "error": "Etwas ist schiefgegangen.",
        "source": "Der Clip ließ sich nicht holen.",
        "unknown-link": "Das ist kein Link zu einem Clip, den ich holen kann.",
        "host-not-allowed": "Links zu dieser Adresse sind hier nicht erlaubt.",
        "file-missing": "Eine solche Datei gibt es nicht.",
        "not-media": "Das ist keine Musik und kein Video, das ich lesen kann.",
        "too-short": "Der Clip ist zu kurz, um etwas zu hören oder zu sehen.",
        "nothing-to-hear": "Der Clip hat weder Ton noch Bild noch Text zum Vergleichen.",
        "too-long": "Der Clip ist zu lang.",
        "too-large": "Der Clip ist zu groß zum Herunterladen.",
        "private": "Dieses Video ist privat.",
        "removed": "Dieses Video gibt es nicht, oder es wurde entfernt.",
        "geo": "Dieses Video ist in dem Land gesperrt, in dem dieser Server steht.",
        "age": "Dieses Video hat eine Altersbeschränkung.",
        "members": "Dieses Video ist nur für zahlende Mitglieder.",
        "live": "Das ist eine Live-Übertragung.",
        "upcoming": "Dieses Video hatte noch keine Premiere.",
        "no-streams": "Von diesem Video lässt sich nichts herunterladen.",
        "bot-check": "YouTube will von diesem Server einen Beweis, dass er kein Bot ist.",
        "rate-limit": "YouTube bittet diesen Server, langsamer zu machen.",
        "paused": "YouTube hat diesen Server gebeten, langsamer zu machen, darum wird gerade nichts geholt.",
        "no-job": "An diesem Link wird nicht (mehr) gearbeitet.",
        "cancelled": "Dieser Link wurde abgebrochen.",
        "network": "Die Quelle war nicht zu erreichen.",
        "fetch-timeout": "Das Herunterladen dauerte zu lange und wurde abgebrochen.",
        "fetch-failed": "Der Clip ließ sich nicht holen.",
        "weights": "Die Gewichte eines Modells ließen sich nicht laden.",
        "weights-unavailable": "Die Gewichte eines Modells waren nirgends zu bekommen.",
        "wrong-digest": "Eine heruntergeladene Datei ist nicht die erwartete (ihr SHA-256 weicht ab).",
        "encoder": "Der Clip ließ sich nicht verarbeiten.",
        "worker-died": "Der Prozess, der den Clip verarbeitet hat, ist abgestürzt.",
        "encode-timeout": "Die Verarbeitung dauerte zu lange und wurde abgebrochen.",
        "library": "Mit der Sammlung stimmt etwas nicht.",
        "locked": "Die Sammlung gehört gerade einem anderen Prozess.",
        "other-encoders": "Die Sammlung wurde mit anderen Modellen angelegt.",
        "corrupt": "Die Sammlung lässt sich nicht lesen.",
        "disk-full": "Auf der Festplatte ist kein Platz mehr.",
        "not-writable": "In den Ordner der Sammlung lässt sich nicht schreiben.",
        "backup": "Das ist keine Sicherung, die clipsim angelegt hat.",
        "unknown-clip": "Diesen Clip gibt es in der Sammlung nicht.",
        "empty": "Dafür hat die Sammlung zu wenige Clips.",
        "not-trained": "Diese Methode ist auf dieser Sammlung noch nicht trainiert.",
        "missing-modality": "Danach lässt sich dieser Clip nicht vergleichen: Es fehlt ihm.",
        "setting": "Eine Einstellung hat einen Wert, der nicht geht.",
        "index": "Der Index ist nicht erreichbar oder nicht lesbar.",
        "unexpected": "Etwas Unerwartetes ist schiefgegangen.",
        "not-permitted": "Das darfst du hier nicht.",
        "daily-limit": "Für heute ist es genug.",
        "empty-playlist": "In dieser Playlist ist kein Video, das ich holen kann.",
    }
    HINTS: Mapping[str, str] = {
        "source": "",
        "unknown-link": "Poste einen YouTube-Link zu einem Video, oder wähle einen Titel aus der Liste.",
        "host-not-allowed": "Wer clipsim betreibt, kann sie mit CLIPSIM_ALLOWED_HOSTS erlauben.",
        "file-missing": "",
        "not-media": "",
        "too-short": "Ein Clip braucht mindestens eine Sekunde.",
        "nothing-to-hear": "Stille und ein schwarzes Bild zählen nicht: Nimm einen anderen Clip.",
        "too-long": "Nimm einen kürzeren.",
        "too-large": "Nimm einen kürzeren.",
        "private": "Bitte den Besitzer, es zu veröffentlichen, oder nimm ein anderes.",
        "removed": "Prüfe den Link.",
        "geo": "Such nach einem anderen Upload.",
        "age": "Wer clipsim betreibt, kann mit CLIPSIM_COOKIES eine Cookies-Datei angeben.",
        "members": "Nimm einen anderen Upload.",
        "live": "Versuch es noch einmal, wenn sie vorbei ist.",
        "upcoming": "Versuch es nach der Premiere noch einmal.",
        "bot-check": "Warte eine Weile; wer clipsim betreibt, kann CLIPSIM_COOKIES oder CLIPSIM_PROXY setzen.",
        "rate-limit": "Versuch es in einer Stunde noch einmal.",
        "paused": "Es geht von selbst weiter.",
        "no-job": "Poste ihn noch einmal, damit daran gearbeitet wird.",
        "cancelled": "Poste ihn noch einmal, damit er hinzugefügt wird.",
        "network": "Versuch es später noch einmal.",
        "fetch-timeout": "Versuch es später noch einmal.",
        "encoder": "Versuch es noch einmal; wenn es wieder scheitert, melde den Clip.",
        "worker-died": "Versuch es noch einmal.",
        "encode-timeout": "Versuch es mit einem kürzeren Clip.",
        "disk-full": _ASK,
        "unknown-clip": "Poste zuerst seinen Link, oder wähle einen Titel aus der Liste.",
        "empty": "Poste zuerst ein paar Links zu Musikvideos.",
        "missing-modality": "Vergleiche stattdessen nach allem.",
        "not-permitted": "Frag jemanden, der es verwaltet.",
        "daily-limit": "Versuch es morgen noch einmal.",
        "empty-playlist": "Prüfe, ob sie öffentlich ist.",
    } | {code: _ASK for code, hint in Texts.HINTS.items() if hint == Texts.HINTS["error"]}
    STALE_COMMAND = "Dieser Befehl hat sich geändert. Warte eine Minute, lade Discord neu und versuch es noch einmal."

    def problem(self, error: ClipSimError) -> str:
        """The error's sentence and what somebody in a chat can do about it.

        A sentence of the library's that says more than its code is translated where it is known.
        """
        if isinstance(error, Told):
            return error.message
        kind = BY_CODE.get(error.code, ClipSimError)
        own = None if error.message == kind.sentence else german_facts.message(error.message)
        sentence = own or self.ERRORS.get(error.code, error.message)
        advice = self.HINTS.get(error.code, "") if error.advice or error.advice == kind.hint else ""
        return f"{sentence} {advice}".strip()
