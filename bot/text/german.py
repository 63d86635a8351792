"""What the bot says, in German. Every public name of `Texts` is said anew here; a test holds the two together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.text import german_facts
from bot.text.english import Texts, Told, _waiting
from clipsim.errors import BY_CODE, ClipSimError
from clipsim.model import By, Method, Modality, Stage

_MENU = "Ähnliche Clips finden"
_ASK = "Wer diesen Bot betreibt, findet mehr in seinem Protokoll."


class German(Texts):
    """Deutsch, mit Du."""

    LANGUAGE = "de"
    LANGUAGE_NAME = "Deutsch"

    STAGES: Mapping[Stage, str] = {
        "fetching": "holen",
        "listening": "hören",
        "watching": "sehen",
        "reading": "lesen",
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
    OPTION_COUNT = "Wie viele Clips genannt werden (5, wenn du nichts sagst)"
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

    HELP_TITLE = "clipsim: Was passt zu diesem Clip?"
    HELP_LINES: tuple[tuple[str, str], ...] = (
        ("/similar clip count by", "die ähnlichsten Clips, nach allem, Klang, Bild oder Text"),
        ("/cluster clip", "die Gruppe, zu der ein Clip gehört; ohne Clip alle Gruppen"),
        ("/library", "wie viele Clips es gibt, die neuesten, und was in Arbeit ist"),
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
        "network": "Versuch es später noch einmal.",
        "fetch-timeout": "Versuch es später noch einmal.",
        "encoder": "Versuch es noch einmal; wenn es wieder scheitert, melde den Clip.",
        "worker-died": "Versuch es noch einmal.",
        "encode-timeout": "Versuch es mit einem kürzeren Clip.",
        "disk-full": _ASK,
        "unknown-clip": "Poste zuerst seinen Link, oder wähle einen Titel aus der Liste.",
        "empty": "Poste zuerst ein paar Links zu Musikvideos.",
        "missing-modality": "Vergleiche stattdessen nach allem.",
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
