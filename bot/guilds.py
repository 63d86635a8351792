"""What each guild has chosen: typed values with defaults. A stored value that makes no sense counts as not chosen.

All of them are read at start and kept in memory, so that asking takes no time; a change is in the library before it
counts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import discord

from bot.text import LANGUAGES, Texts, for_locale
from clipsim.model import JSON

if TYPE_CHECKING:
    from clipsim.core import ClipSim

log = logging.getLogger(__name__)

Answer = Literal["channel", "thread", "private", "quiet"]
MayAdd = Literal["everyone", "role", "managers"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
MAY_ADD: tuple[MayAdd, ...] = get_args(MayAdd)
AUTOMATIC = "auto"  # the language that the guild prefers on Discord
BOUNDS: Mapping[str, tuple[int, int]] = {  # of the figures that are typed in
    "count": (1, 10),
    "per_user": (0, 10_000),
    "per_guild": (0, 100_000),
    "playlist": (0, 200),
}
CHANNELS = 25  # that can be chosen: what Discord's select takes


@dataclass(frozen=True, slots=True)
class Guild:
    """The choices of one guild."""

    channels: tuple[int, ...] = ()  # whose links are answered; none: all channels
    answer: Answer = "channel"  # where; quiet: by a reaction, and the answer is there on demand
    count: int = 5  # clips in an answer
    may_add: MayAdd = "everyone"
    role: int | None = None  # who may add where that is a role
    per_user: int = 0  # links a day (0: no limit)
    per_guild: int = 0
    playlist: int = 50  # clips of one playlist (0: playlists are not offered)
    shared: bool = False  # the guild's clips are in the shared library
    language: str = AUTOMATIC
    most: bool = False  # `/library` names who added most

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Guild:
        """From the library; what is missing or makes no sense is the default."""
        known = {field.name: stored[field.name] for field in fields(cls) if field.name in stored}
        if "channels" in known:
            known["channels"] = _ids(known["channels"])
        return cls(**{name: value for name, value in known.items() if _sound(name, value)})

    def stored(self) -> JSON:
        """As JSON can say it; `shared` is kept by the library itself."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def watches(self, channel: int, parent: int | None = None) -> bool:
        """Whether links are answered in a channel, or in a thread of `parent`."""
        return not self.channels or channel in self.channels or parent in self.channels

    def texts(self, preferred: object) -> Texts:
        """What is said in ordinary messages; `preferred` is the guild's language on Discord."""
        return for_locale(preferred if self.language == AUTOMATIC else self.language)


def _ids(value: Any) -> Any:
    """A list of ids, as a tuple; anything else as it is."""
    return tuple(value[:CHANNELS]) if isinstance(value, list | tuple) and all(map(_id, value)) else value


def _id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 63


def _sound(name: str, value: Any) -> bool:
    """Whether a value can be that of the choice of this name."""
    if name == "channels":
        return isinstance(value, tuple)
    if name in BOUNDS:
        least, most = BOUNDS[name]
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    if name in ("shared", "most"):
        return isinstance(value, bool)
    if name == "role":
        return value is None or _id(value)
    if name == "language":
        return value == AUTOMATIC or value in LANGUAGES
    return value in (ANSWERS if name == "answer" else MAY_ADD)


class Guilds:
    """The choices of all guilds, by the guild's id."""

    def __init__(self, sim: ClipSim) -> None:
        self._sim = sim
        self._known: dict[str, Guild] = {}

    async def load(self) -> None:
        """Read them all: once, before the first event."""
        self._known = {community: Guild.read(stored) for community, stored in (await self._sim.preferences()).items()}

    def of(self, guild: int | None) -> Guild:
        """What a guild has chosen; the defaults in direct messages."""
        return self._known.get(str(guild), DEFAULT)

    async def change(self, guild: int, **values: Any) -> Guild:
        """Keep new choices. A value that cannot be one raises ValueError, and nothing is changed.

        Raises:
            ValueError; ClipSimError: the library could not keep it.
        """
        for name, value in values.items():
            if not _sound(name, value):
                raise ValueError(f"{name} cannot be {value!r}")
        community, before = str(guild), self.of(guild)
        chosen = replace(before, **values)
        if chosen.shared != before.shared:
            await self._sim.share(community, chosen.shared)
        await self._sim.set_preferences(community, chosen.stored())
        self._known[community] = chosen
        log.info("guild=%d chose %s", guild, values)
        return chosen

    def forget(self, community: str) -> None:
        """A guild is gone with all that it has chosen."""
        self._known.pop(community, None)


DEFAULT = Guild()


def community(guild_id: int | None, user_id: int) -> str:
    """Whose library: a guild's own, or in direct messages one's own."""
    return str(guild_id) if guild_id is not None else f"dm-{user_id}"


def may_manage(interaction: discord.Interaction[Any]) -> bool:
    """Whether whoever presses or asks manages the guild, as Discord says with each interaction."""
    return interaction.guild_id is not None and interaction.permissions.manage_guild


def may_add(chosen: Guild, member: discord.abc.User, permissions: discord.Permissions) -> bool:
    """Whether somebody may add clips to a guild's library."""
    if chosen.may_add == "everyone" or permissions.manage_guild or permissions.administrator:
        return True
    roles = {role.id for role in getattr(member, "roles", ())}
    return chosen.may_add == "role" and chosen.role in roles
