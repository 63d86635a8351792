"""What a stranger meets first: declarations, set-up, container files, and what is (not) in the repository."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from clipsim import settings
from tests.conftest import ROOT
from tools import setup_venv

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
# Declared, and never imported by our own code: why each is needed all the same.
NOT_IMPORTED = {
    "deno": "a program that yt-dlp starts",
    "safetensors": "transformers reads weights with it",
    "psycopg": "SQLAlchemy imports it when CLIPSIM_DATABASE names it",
    "faiss-cpu": "an extra: what the benchmark of questions compares with",
    "usearch": "the same",
    "essentia": "an extra: what the benchmark of sound compares with",
}
HEAVY = {"torch", "torchvision", "transformers", "chromadb", "librosa", "numba", "sklearn", "matplotlib", "scipy", "av"}


def declared() -> dict[str, Requirement]:
    extras = [line for name, lines in PROJECT["optional-dependencies"].items() if name != "dev" for line in lines]
    found = [Requirement(line) for line in PROJECT["dependencies"] + extras]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def constraints() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def tracked() -> list[Path]:
    """The repository's files: those git knows, or all where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def imports(package: str) -> Iterator[tuple[str, Path]]:
    """Top-level modules that a package of ours imports, late imports included."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((alias.name.split(".")[0], path) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0], path


def foreign() -> dict[str, Path]:
    """Third-party modules and a file of ours that imports each."""
    ours = set(sys.stdlib_module_names) | {"clipsim", "bot", "__future__"}
    return {name: path for package in ("clipsim", "bot") for name, path in imports(package) if name not in ours}


# The package


def test_scripts_resolve() -> None:
    for target in PROJECT["scripts"].values():
        module, function = target.split(":")
        assert callable(getattr(import_module(module), function)), target


def test_extras_are_those_documented() -> None:
    assert set(PROJECT["optional-dependencies"]) == {"ray", "postgres", "openvino", "bench", "dev"}


def test_every_import_is_declared() -> None:
    providers = packages_distributions()
    for module, path in foreign().items():
        names = {canonicalize_name(name) for name in providers.get(module, [module])}
        assert names & set(declared()), f"{path.relative_to(ROOT)} imports {module}: declare {sorted(names)}"


def test_every_dependency_is_imported_or_explained() -> None:
    providers = packages_distributions()
    used = {canonicalize_name(name) for module in foreign() for name in providers.get(module, [module])}
    assert set(declared()) - used == set(NOT_IMPORTED)


def test_every_dependency_says_why_it_is_here() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    body = text.split("\ndependencies = [", 1)[1].split("\n]\n", 1)[0]
    for line in body.splitlines():
        if line.strip().startswith('"'):
            assert "#" in line, line


def test_help_is_light() -> None:
    """`clipsim --help` must be quick: nothing heavy is imported for it."""
    code = "import sys; sys.argv[1:] = ['--help']; from clipsim.cli import app; app(standalone_mode=False)"
    code += "; print('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    loaded = {name.split(".")[0] for name in done.stdout.split("MODULES", 1)[1].split()}
    assert not loaded & HEAVY


# Versions


def test_constraints_are_exact_except_what_must_stay_fresh() -> None:
    loose = {name for name, requirement in constraints().items() if not str(requirement.specifier).startswith("==")}
    assert loose == {"yt-dlp", "certifi"}
    assert constraints()["yt-dlp"].specifier == declared()["yt-dlp"].specifier
    assert str(constraints()["torch"].specifier) == "==2.13.0"  # no local part: the CPU and CUDA builds both fit


def test_constraints_fit_what_is_declared() -> None:
    pins = constraints()
    for name, requirement in declared().items():
        if exact := re.fullmatch(r"==(.+)", str(pins[name].specifier)):
            assert requirement.specifier.contains(exact[1]), f"{requirement} does not allow {pins[name]}"


def test_constraints_cover_all_that_is_installed_for_clipsim() -> None:
    pins, seen = constraints(), set()
    fresh = {"yt-dlp-ejs"}  # goes with the exact yt-dlp it was released for

    def walk(requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            return
        seen.add(key)
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            return  # another platform's
        assert name in pins or name in fresh, f"constraints.txt lacks {name}"
        for need in map(Requirement, needs):
            extras = requirement.extras or {""}
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                walk(need)

    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]:
        walk(Requirement(line))
    assert len(seen) > 80


# Set-up


def test_make_lists_its_targets() -> None:
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("run", "test", "lint", "types", "bench", "demo", "clean"):
        assert re.search(rf"^make {target} +\S", done.stdout, re.MULTILINE), target


def test_make_without_a_python_says_what_is_needed(tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # as a Python 2 or 3.8 answers the question for its version
    old.chmod(0o755)
    done = subprocess.run(
        [make, "-s", "test", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_oldest_python_is_the_declared_one() -> None:
    assert PROJECT["requires-python"] == ">={}.{}".format(*setup_venv.OLDEST)


def test_setup_prefers_the_index_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_INDEX", "https://example.invalid/whl")
    assert setup_venv.torch_index()[0] == "https://example.invalid/whl"


def test_setup_goes_on_without_pytorch_s_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    monkeypatch.setattr(setup_venv, "CPU_INDEX", "http://127.0.0.1:9")  # discard port: refused
    index, why = setup_venv.torch_index()
    assert index is None and why


@pytest.mark.parametrize(("code", "well"), [(0, True), (1, False)])
def test_setup_keeps_what_pip_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, well: bool) -> None:
    pip = tmp_path / "python"
    pip.write_text(f"#!/bin/sh\necho Collecting things\necho 'Downloading big.whl (10.1 MB)'\necho done\nexit {code}\n")
    pip.chmod(0o755)
    assert setup_venv._pip(pip, tmp_path, ["things"]) is well
    shown = capsys.readouterr()
    assert "Downloading big.whl" in shown.out and ("setup.log" in shown.err) is not well
    log = (tmp_path / "setup.log").read_text()
    assert "--constraint" in log and "done" in log


def test_requirements_are_read_from_pyproject() -> None:
    command = [sys.executable, "tools/requirements.py"]
    every = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert every == PROJECT["dependencies"]
    two = subprocess.run([*command, "torch", "yt-dlp"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [Requirement(line).name for line in two.stdout.splitlines()] == ["torch", "yt-dlp"]
    assert subprocess.run([*command, "nonsense"], cwd=ROOT, capture_output=True, check=False).returncode == 1


def test_ci_is_an_executable_script() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", script], check=True)


# Containers


def test_dockerfile_is_clean() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed (extra: dev)")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_dockerfile_copies_what_is_there_and_sent() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    sent = [line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for name in line.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists() and name in sent, name


def test_dockerfile_names_real_settings() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    names = set(re.findall(r"\b(?:CLIPSIM_|DISCORD_)\w+", text))
    assert names and names <= {name for name, _, _ in settings.rows()}
    assert re.search(r"^USER 10001", text, re.MULTILINE) and "HEALTHCHECK" in text and "/healthz" in text


def test_compose_names_real_settings_and_stays_on_loopback() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    bot, chroma = compose["services"]["bot"], compose["services"]["chroma"]
    assert set(bot["environment"]) <= {name for name, _, _ in settings.rows()}
    assert all(port.startswith("127.0.0.1:") for port in bot["ports"]) and "ports" not in chroma
    assert bot["read_only"] and bot["restart"] == chroma["restart"] == "unless-stopped"
    assert "profiles" not in bot and chroma["profiles"] == ["scale"]
    mounts = {mount.split(":")[0] for service in (bot, chroma) for mount in service["volumes"]}
    assert mounts == set(compose["volumes"])


def test_compose_s_chroma_is_our_chroma() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    version = compose["services"]["chroma"]["image"].rsplit(":", 1)[1]
    assert str(constraints()["chromadb"].specifier) == f"=={version}"
    assert "http://chroma:8000" in compose["services"]["bot"]["environment"]["CLIPSIM_CHROMA"]


# The repository

# In pieces, so that this file does not name them itself.
FORBIDDEN = [
    "/" + "work/",
    "/" + "root/",
    "/" + "Users/",
    "pypi" + ".org",
    "python" + "hosted.org",
    "debian" + ".org",
    "npmjs" + ".org",
    "npmjs" + ".com",
]
TEST_DATA = re.compile("(?<![a-z])shared" + "/")
MAY_NAME_TEST_DATA = ("tests/", "benchmarks/", ".ci/run")


def test_no_file_names_a_developer_s_machine() -> None:
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        name = str(path.relative_to(ROOT))
        found += [f"{name}: {word}" for word in FORBIDDEN if word in text]
        if TEST_DATA.search(text) and not name.startswith(MAY_NAME_TEST_DATA):
            found.append(f"{name}: the folder of test data")
    assert not found, "\n".join(found)


RECORDINGS = {".mp4", ".webm", ".mp3", ".ogg", ".wav", ".npz", ".safetensors", ".pt", ".pkl"}
OURS = {"clipsim/fusion/prior.npz"}  # means and scales that benchmarks/prior.py measured: no recording, no weights


def test_no_file_is_large_or_a_recording() -> None:
    for path in tracked():
        assert path.stat().st_size < 600_000, path
        assert path.suffix not in RECORDINGS or str(path.relative_to(ROOT)) in OURS, path
