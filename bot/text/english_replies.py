"""What the bot says around answers, in English: buttons, playlists, the map, the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clipsim.model import Modality


class Replies:
    """A part of `Texts`."""

    MODALITY: Mapping[Modality, str]

    # Buttons under answers

    MORE = "More"
    PLAY_ALL = "Play all"
    THUMBS = "Thumbs: what goes with it, and what does not"
    THUMB_BACK = "You said so. Pick it again to take it back"
    WALK = "What is like …"
    STALE_BUTTON = "This message is from an earlier version of me: use the command again."
    LISTING_GONE = "I keep a list for a month, and this one is gone: use the command again."

    def pending(self, modalities: Sequence[Modality]) -> str:
        """Said of an early answer, while some of the clip is still being looked at."""
        known = [name for key, name in self.MODALITY.items() if key not in modalities]
        return f"From {' and '.join(known)} so far; I am still watching." if modalities else ""

    def page(self, number: int) -> str:
        """Which page of a list is shown, from 1."""
        return f"Page {number}"

    def play_part(self, first: int, last: int) -> str:
        """A button that plays a part of a list that is too long for one link."""
        return f"Play {first} to {last}"

    def thumbs(self, ups: Sequence[int], downs: Sequence[int]) -> str:
        """What somebody has said of the results, by their ranks."""
        parts = [f"{sign} {', '.join(map(str, ranks))}" for sign, ranks in (("👍", ups), ("👎", downs)) if ranks]
        return f"Your thumbs: {' · '.join(parts)}" if parts else self.THUMBS

    # Groups

    PICK_CLUSTER = "Look into a group …"
    ALL_CLUSTERS = "All groups"
    WHOLE_CLUSTER = "The whole group"
    CLUSTERS_CHANGED = "The groups have changed since: here they are as they are now."

    # What to play

    PLAYLIST = "A playlist around a clip, each like the one before"
    PATH = "From one clip to another in small steps"
    MIX = "What is like some clips and unlike others"
    FIND = "Search titles, artists, tags and lyrics, and what lyrics mean"
    SURPRISE = "A good clip that is rarely recommended, and why"
    MAP = "The library as a picture, with its groups"
    OPTION_LENGTH = "How many clips (10 if you don't say)"
    OPTION_START = "Where to start: a title or a link"
    OPTION_END = "Where to end: a title or a link"
    OPTION_ADD = "What it is to be like: titles or links, with commas between"
    OPTION_LESS = "What it is not to be like: titles or links, with commas between"
    OPTION_WORDS = "A title, an artist, a mood, or a line that is sung"
    ANOTHER = "Another"
    SHORTER = "Shorter"
    LONGER = "Longer"
    TURN_ROUND = "The other way round"
    NOTHING_FOUND = "Nothing here has those words."
    NOTHING_LIKE_IT = "There is nothing else here yet: paste more links first."
    LIKE_IT = "What is like it"
    WATCH = "Watch"
    NEAR_IT = "Near it"

    def playlist_title(self, names: Sequence[str]) -> str:
        """Of a playlist around some clips."""
        return f"Around {', '.join(names)}"

    def path_title(self, start: str, end: str) -> str:
        """Of a path between two clips."""
        return f"From {start} to {end}"

    def mix_title(self, add: Sequence[str], less: Sequence[str]) -> str:
        """Of a mix."""
        return " − ".join((" + ".join(map(self.find_title, add)), *map(self.find_title, less)))

    def find_title(self, words: str) -> str:
        """Of what a search found."""
        return f"“{words}”"

    def too_many(self, most: int) -> str:
        """Said where too many clips are named at once."""
        return f"Name {most} clips at most."

    def told(self, sentences: str) -> str:
        """How a list was chosen, where something was found, why a clip is a surprise: as the library says it."""
        return sentences

    # The map

    MAP_TITLE = "The library, clip by clip"
    MAP_LINK = "Open the map"

    def map_told(self, clips: int, until: str) -> str:
        """Said with the map; `until` is a moment as Discord shows it, or nothing where there is no link."""
        told = f"{'1 clip' if clips == 1 else f'{clips} clips'}: near is alike."
        return f"{told} The link shows this library to whoever has it, and ends {until}." if until else told

    # The library

    MOST_ALIKE = "Most alike"
    DUPLICATES = "The same song twice"
    MOST_ADDED = "Who added most"
    JOBS = "Links that are not done"
    JOB_STATES: Mapping[str, str] = {
        "queued": "waiting",
        "fetching": "being fetched",
        "encoding": "being listened to and watched",
        "failed": "failed",
    }
    PICK_JOB = "A link that failed …"
    RETRY = "Try again"
    DROP = "Drop"
    RETRY_ALL = "Try all failed again"
    DROP_ALL = "Drop all failed"
    NOT_YOUR_JOB = "Only whoever posted that link, or somebody who manages this server, can do that."
    JOB_GONE = "That link is done with meanwhile."

    def next_try(self, moment: str) -> str:
        """When a failed link is tried again by itself; a moment as Discord shows it."""
        return f"tried again {moment}"

    def retried(self, count: int) -> str:
        """Said when failed links are tried again."""
        return "It is tried again now." if count == 1 else f"{count} links are tried again now."

    def dropped(self, count: int) -> str:
        """Said when failed links were dropped."""
        return "Dropped." if count == 1 else f"{count} links dropped."
