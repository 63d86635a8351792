"""What is missing on this machine, and how to mend it: `clipsim doctor`. Looks; changes nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from datetime import date
from importlib import metadata
from pathlib import Path

from clipsim.errors import ClipSimError
from clipsim.model import Health
from clipsim.settings import MIB, Settings

FREE_SPACE = 2048 * MIB  # bytes: weights, a library of some thousand clips, one download
MEMORY = 3072 * MIB  # bytes: one worker with its encoders
YTDLP_AGE = 90  # days: YouTube changes monthly, and yt-dlp follows
PACKAGES = ("torch", "torchvision", "librosa", "transformers", "av", "chromadb", "yt-dlp", "discord.py")


def examine(settings: Settings) -> list[Health]:
    """Every check, in the order in which a person would mend things. Never raises."""
    rows: list[Health] = []
    for check in (_python, _packages, _ytdlp, _deno, _folder, _space, _memory, _weights, _owner, _chroma, _discord):
        rows.extend(_guarded(check, settings))
    return rows


def _guarded(check: Callable[[Settings], Iterable[Health]], settings: Settings) -> list[Health]:
    try:
        return list(check(settings))
    except Exception as error:
        return [Health(check.__name__.strip("_"), False, f"could not be checked ({type(error).__name__}: {error})")]


def _python(settings: Settings) -> Iterable[Health]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Health(
        "python", sys.version_info >= (3, 11), version, "" if sys.version_info >= (3, 11) else "Use 3.11 or newer."
    )


def _packages(settings: Settings) -> Iterable[Health]:
    missing = []
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    mend = f"Run: pip install {' '.join(missing)}" if missing else ""
    yield Health("packages", not missing, "missing: " + ", ".join(missing) if missing else ", ".join(found), mend)


def _ytdlp(settings: Settings) -> Iterable[Health]:
    version = metadata.version("yt-dlp")
    year, month, day = (int(part) for part in version.split(".")[:3])
    age = (date.today() - date(year, month, day)).days
    mend = "" if age <= YTDLP_AGE else "Run: pip install -U 'yt-dlp[default]'"
    yield Health("yt-dlp", age <= YTDLP_AGE, f"{version}, {age} days old", mend)


def _deno(settings: Settings) -> Iterable[Health]:
    path = shutil.which("deno", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    yield Health("deno", path is not None, path or "not found", "" if path else "Run: pip install deno")


def _folder(settings: Settings) -> Iterable[Health]:
    for name, folder in (("data folder", settings.data), ("weights folder", settings.cache)):
        nearest = _nearest(folder)
        well = os.access(nearest, os.W_OK | os.X_OK)
        yield Health(name, well, str(folder), "" if well else f"Make {nearest} writable, or name another folder.")


def _space(settings: Settings) -> Iterable[Health]:
    free = shutil.disk_usage(_nearest(settings.data)).free
    well = free >= FREE_SPACE
    yield Health("disk", well, f"{free / MIB / 1024:.1f} GiB free", "" if well else "Free some space.")


def _memory(settings: Settings) -> Iterable[Health]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    need = MEMORY * settings.workers
    well = total >= need
    mend = "" if well else "Lower CLIPSIM_WORKERS, or use CLIPSIM_PRESET=small."
    detail = f"{total / MIB / 1024:.1f} GiB, {settings.workers} worker(s) want {need / MIB / 1024:.0f}"
    yield Health("memory", well, detail, mend)


def _weights(settings: Settings) -> Iterable[Health]:
    from clipsim import weights
    from clipsim.encoders import PRESETS

    wanted = PRESETS[settings.preset].weights
    for row in weights.status():
        if row.name in wanted:
            yield Health(f"weights {row.name}", row.ok, row.detail, "" if row.ok else "Run: clipsim models pull")
    if any(part.encoder == "clap" for part in PRESETS[settings.preset].parts):
        from clipsim.encoders import clap

        problem = clap.missing(settings.clap)
        yield Health("weights clap", problem is None, problem or str(settings.clap), clap.HINT if problem else "")


def _owner(settings: Settings) -> Iterable[Health]:
    if not settings.data.exists():
        yield Health("library", True, "none yet")
        return
    from clipsim.owner import Owner

    try:
        with Owner.acquire(settings.data):
            pass
    except ClipSimError as error:
        yield Health("library", True, f"in use: {error.message}")
        return
    yield Health("library", True, "free to use" if (settings.data / "library.sqlite").exists() else "none yet")


def _chroma(settings: Settings) -> Iterable[Health]:
    if not settings.chroma:
        yield Health("index", True, "embedded in the data folder")
        return
    from urllib.request import urlopen

    try:
        with urlopen(f"{settings.chroma.rstrip('/')}/api/v2/heartbeat", timeout=5):  # noqa: S310 (the operator's own)
            yield Health("index", True, f"Chroma answers at {settings.chroma}")
    except (OSError, ValueError) as error:
        yield Health("index", False, f"no Chroma at {settings.chroma} ({error})", "Start it, or unset CLIPSIM_CHROMA.")


def _discord(settings: Settings) -> Iterable[Health]:
    there = settings.discord_token is not None
    detail = "DISCORD_TOKEN is set" if there else "no DISCORD_TOKEN: only the web page is served"
    yield Health("discord", True, detail, "" if there else "README.md says how to get one.")


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
