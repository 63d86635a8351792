"""Make the virtual environment: `python tools/setup_venv.py .venv [EXTRA …]`. Standard library only; safe to repeat.

PyTorch comes first and alone. On Linux the ordinary index serves its CUDA build with some gigabytes of libraries; a
machine without an NVIDIA driver gets the small CPU build instead, where PyTorch's own index can be reached. Whatever
is installed after that finds torch in place. pip's settings (proxy, mirror, certificates) hold throughout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script
from tools.requirements import requirements  # noqa: E402

OLDEST = (3, 11)  # as pyproject.toml's requires-python
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own; another one: TORCH_INDEX=URL
PATIENCE = 3.0  # seconds to wait for that index before the ordinary one is used
TORCH = ("torch", "torchvision")  # before all else
TAIL = 25  # lines of pip's log to show when it fails
WIDTH = 100  # characters of the progress line
TOLD = ("Collecting ", "Downloading ", "Building ", "Installing ")  # what of pip's output is progress


def main(arguments: list[str]) -> int:
    """Set up the environment named first, with the extras named after it."""
    if sys.version_info < OLDEST:
        return _fail("Python {}.{} or newer is needed; this is {}.".format(*OLDEST, sys.version.split()[0]))
    if not arguments:
        return _fail("usage: python tools/setup_venv.py FOLDER [EXTRA …]")
    venv, extras = Path(arguments[0]).absolute(), arguments[1:]
    python = venv / "bin" / "python"
    began = time.monotonic()

    if not _runs(python):
        print(f"clipsim: making {venv.name} with Python {sys.version.split()[0]} ({sys.executable})", flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True, check=False)
        if made.returncode or not _runs(python):
            print(made.stdout + made.stderr, file=sys.stderr)
            return _fail(
                "this Python cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)."
            )

    index, why = torch_index()
    print(f"clipsim: [1/2] PyTorch ({why})", flush=True)
    where = ["--extra-index-url", index] if index else []
    if not _pip(python, venv, [*where, *requirements(*TORCH)]):
        return 1
    package = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    print("clipsim: [2/2] clipsim and what it needs", flush=True)
    if not _pip(python, venv, ["--editable", package]):
        return 1
    print(f"clipsim: {venv.name} is ready ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


def torch_index() -> tuple[str | None, str]:
    """The index to offer pip for PyTorch besides its ordinary one (None: none), and the reason in words."""
    named = os.environ.get("TORCH_INDEX")
    if named:
        return named, f"from TORCH_INDEX={named}"
    if sys.platform != "linux":
        return None, "from pip's index"
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        return None, "NVIDIA driver found: the CUDA build from pip's index"
    try:
        with urllib.request.urlopen(f"{CPU_INDEX}/torch/", timeout=PATIENCE):  # noqa: S310 - a constant https address
            return CPU_INDEX, "no NVIDIA driver: the CPU build from PyTorch's index"
    except (OSError, urllib.error.URLError):
        return None, "PyTorch's index is out of reach: whatever pip's index serves"


def _runs(python: Path) -> bool:
    """Whether the environment's interpreter and its pip start (its Python may have been upgraded away)."""
    try:
        return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _pip(python: Path, venv: Path, what: list[str]) -> bool:
    """Run `pip install`, show one moving line of progress (a terminal) or the downloads (a log), and keep the rest."""
    log = venv / "setup.log"
    command = [str(python), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command += ["--constraint", str(ROOT / "constraints.txt"), *what]
    lines: list[str] = []
    moving = sys.stdout.isatty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line)
            told = line.strip()
            if moving and told.startswith(TOLD):
                print(f"\r\x1b[2K  {told[: WIDTH - 3]}", end="", flush=True)
            elif told.startswith("Downloading ") and "MB" in told and not moving:
                print(f"  {told[:WIDTH]}", flush=True)
    if moving:
        print("\r\x1b[2K", end="", flush=True)
    with log.open("a", encoding="utf-8") as kept:
        kept.write(f"$ {' '.join(command)}\n{''.join(lines)}\n")
    if pip.returncode:
        print("".join(lines[-TAIL:]), file=sys.stderr)
        _fail(f"pip could not install it (all it said: {log}). Check the network or pip's settings, and try again.")
    return pip.returncode == 0


def _fail(message: str) -> int:
    print(f"clipsim: {message}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
