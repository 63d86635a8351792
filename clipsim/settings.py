"""Every setting: one name, one default, one line of documentation. Read from the environment and from `.env`.

The table in README.md and `.env.example` are written from here (`python -m clipsim.settings README.md .env.example`),
and a test keeps them equal.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clipsim.errors import InvalidSetting

MIB = 1024 * 1024


class Settings(BaseSettings):
    """The settings of one process. Each is an environment variable: `CLIPSIM_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="CLIPSIM_", env_file=".env", env_ignore_empty=True, extra="ignore")

    discord_token: SecretStr | None = Field(
        None, validation_alias="DISCORD_TOKEN", description="the bot's token; without it only the web page is served"
    )
    data: Path = Field(
        Path(platformdirs.user_data_dir("clipsim", appauthor=False)), description="folder of the library"
    )
    cache: Path = Field(
        Path(platformdirs.user_cache_dir("clipsim", appauthor=False)), description="folder of the models' weights"
    )
    preset: Literal["standard", "paper", "small", "clap"] = Field(
        "standard",
        description="the encoders: `standard`, `small` (lighter words), `clap` (a second ear) or `paper` (the deck's)",
    )
    clap: Path | None = Field(None, description="folder of `laion/larger_clap_music`, for preset `clap`")
    web_host: str = Field("127.0.0.1", description="address of the web page; loopback unless you change it")
    web_port: int = Field(8080, ge=0, le=65535, description="port of the web page (0: any free one)")
    web_url: str | None = Field(
        None,
        description="public address of the page (`https://clips.example/`); `/map` then has a link that shows one map",
    )
    workers: int = Field(
        max(1, (os.cpu_count() or 2) // 2), ge=1, description="processes that encode clips (half the cores)"
    )
    backend: Literal["local", "ray"] = Field("local", description="where clips are encoded: `local` or a `ray` cluster")
    chroma: str | None = Field(
        None, description="address of a Chroma server (`http://host:port`); empty: embedded in the data folder"
    )
    database: str | None = Field(
        None, repr=False, description="SQLAlchemy address of the library; empty: SQLite in the data folder"
    )
    allowed_hosts: str = Field(
        "", description="hosts besides YouTube whose links are fetched, comma-separated; may be private addresses"
    )
    cookies: Path | None = Field(None, description="cookies file for yt-dlp (age-restricted videos, bot checks)")
    proxy: str | None = Field(None, repr=False, description="proxy for yt-dlp, such as `socks5://host:port`")
    youtube_per_hour: int | None = Field(
        None, ge=0, description="videos an hour to fetch from YouTube at most (300, with cookies 2000); 0: no limit"
    )
    max_duration: float = Field(1200.0, gt=0, description="longest clip to accept, in seconds")
    max_bytes: int = Field(200 * MIB, gt=0, description="largest download of one clip, in bytes")
    fetch_timeout: float = Field(300.0, gt=0, description="seconds after which a fetch is stopped")
    encode_timeout: float = Field(900.0, gt=0, description="seconds after which encoding one clip is stopped")
    min_train: int = Field(
        64, ge=4, description="clips needed before the fusion is trained; until then raw features answer"
    )
    per_artist: int = Field(2, ge=0, description="results per artist at most (0: no limit)")
    message_content: bool = Field(
        True, description="ask Discord for the message-content intent, so that pasted links are seen"
    )
    shards: str = Field(
        "off",
        pattern=r"^(off|auto|[1-9]\d{0,3})$",
        description="connections to Discord: `off` (one), `auto`, or a number",
    )
    forget_after: float = Field(
        7.0, ge=0, description="days after which what is kept of a server is forgotten that removed the bot"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="how much is logged")
    log_format: Literal["text", "json"] = Field("text", description="lines of `text`, or of `json` for a log collector")

    @field_validator("data", "cache", "clap", "cookies")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("web_url")
    @classmethod
    def _address(cls, address: str | None) -> str | None:
        if not address:
            return None
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("an address such as https://clips.example/ is needed")
        return address if address.endswith("/") else f"{address}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The extra hosts that links may name, in lower case."""
        return tuple(host for part in self.allowed_hosts.split(",") if (host := part.strip().lower()))

    @property
    def database_url(self) -> str:
        """The library's SQLAlchemy address."""
        return self.database or f"sqlite:///{self.data / 'library.sqlite'}"


def load(**overrides: object) -> Settings:
    """The settings from the environment and `.env`; `overrides` win where they are not None.

    Raises:
        InvalidSetting: a value cannot be used; the message names the variable.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = variable(str(first["loc"][0])) if first["loc"] else "a setting"
        raise InvalidSetting(f"{name}: {first['msg']} (it is {first.get('input')!r}).") from None


def variable(field: str) -> str:
    """The environment variable of a field."""
    return "DISCORD_TOKEN" if field.lower() == "discord_token" else f"CLIPSIM_{field.upper()}"


@lru_cache(maxsize=1)
def rows() -> tuple[tuple[str, str, str], ...]:
    """(variable, default as shown, description) of every setting, in order."""
    return tuple(
        (variable(name), _shown(name, info.default), info.description or "")
        for name, info in Settings.model_fields.items()
    )


def _shown(name: str, default: object) -> str:
    if name in ("data", "cache"):  # differs from machine to machine
        return f"the user's {name} folder"
    if name == "workers":
        return "half the cores"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return "" if default is None else str(default)


def readme_table() -> str:
    """The settings as a Markdown table."""
    lines = ["| setting | default | what it is |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {f'`{shown}`' if shown and ' ' not in shown else shown} | {text} |"
        for name, shown, text in rows()
    ]
    return "\n".join(lines)


def env_example() -> str:
    """The text of `.env.example`: one line for each setting, commented out, with its default."""
    lines = ["# Copy to .env and uncomment what you change. `NAME=value  # what it is`"]
    for name, shown, text in rows():
        value = shown if shown and " " not in shown else "''"  # quoted: else the comment would be the value
        lines.append(f"#{name}={value}  # {text}")
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- settings: begin (generated) -->", "<!-- settings: end -->"


def _write(readme: Path, env: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    readme.write_text(f"{head}{BEGIN}\n{readme_table()}\n{END}{tail}", encoding="utf-8")
    env.write_text(env_example(), encoding="utf-8")


if __name__ == "__main__":
    import sys

    _write(Path(sys.argv[1]), Path(sys.argv[2]))
