"""Settings: where they come from, what wins, what is refused, and that their documentation is equal to the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from clipsim import settings
from clipsim.errors import InvalidSetting
from tests.conftest import ROOT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder whose .env is read, and no setting in the environment."""
    for name, _, _ in settings.rows():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(settings.Settings.model_config, "env_file", ".env")
    return tmp_path


def test_readme_table_is_the_code_s() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    written = text.split(settings.BEGIN, 1)[1].split(settings.END, 1)[0].strip()
    assert written == settings.readme_table(), "run: python -m clipsim.settings README.md .env.example"


def test_env_example_is_the_code_s() -> None:
    written = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert written == settings.env_example(), "run: python -m clipsim.settings README.md .env.example"


def test_the_command_that_writes_them(tmp_path: Path) -> None:
    readme, env = tmp_path / "README.md", tmp_path / "env"
    readme.write_text(f"before\n{settings.BEGIN}\nstale\n{settings.END}\nafter\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "clipsim.settings", readme, env], cwd=ROOT, check=True)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n") and "stale" not in text
    assert settings.readme_table() in text and env.read_text(encoding="utf-8") == settings.env_example()


def test_every_setting_has_one_line_of_documentation() -> None:
    for name, _, text in settings.rows():
        assert text and "\n" not in text, name
    lines = settings.env_example().splitlines()[1:]
    assert [line[1:].split("=", 1)[0] for line in lines] == [name for name, _, _ in settings.rows()]


def test_env_example_uncommented_changes_nothing(here: Path) -> None:
    before = settings.load()
    lines = settings.env_example().splitlines()[1:]
    (here / ".env").write_text("".join(f"{line[1:]}\n" for line in lines), encoding="utf-8")
    assert set(dotenv_values(here / ".env")) == {name for name, _, _ in settings.rows()}
    assert settings.load() == before


def test_defaults(here: Path) -> None:
    found = settings.load()
    assert (found.preset, found.backend, found.web_host, found.web_port) == ("standard", "local", "127.0.0.1", 8080)
    assert found.min_train == 64 and found.per_artist == 2 and found.workers >= 1
    assert found.discord_token is None and found.hosts == ()
    assert found.data.is_absolute() and found.cache.name == "clipsim"
    assert found.database_url == f"sqlite:///{found.data / 'library.sqlite'}"


def test_environment_beats_env_file_and_overrides_beat_both(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".env").write_text("CLIPSIM_WORKERS=3\nCLIPSIM_WEB_PORT=9000\nCLIPSIM_PER_ARTIST=7\n", encoding="utf-8")
    monkeypatch.setenv("CLIPSIM_WEB_PORT", "9001")
    monkeypatch.setenv("CLIPSIM_PER_ARTIST", "5")
    found = settings.load(per_artist=1, workers=None)
    assert (found.workers, found.web_port, found.per_artist) == (3, 9001, 1)


def test_an_empty_variable_is_not_set(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSIM_CHROMA", "")
    monkeypatch.setenv("CLIPSIM_WORKERS", "")
    monkeypatch.setenv("DISCORD_TOKEN", "")
    found = settings.load()
    assert found.chroma is None and found.workers >= 1 and found.discord_token is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIPSIM_WEB_PORT", "eighty"),
        ("CLIPSIM_WEB_PORT", "65536"),
        ("CLIPSIM_WORKERS", "0"),
        ("CLIPSIM_PRESET", "best"),
        ("CLIPSIM_BACKEND", "slurm"),
        ("CLIPSIM_MAX_DURATION", "-1"),
        ("CLIPSIM_MIN_TRAIN", "3"),
        ("CLIPSIM_PER_ARTIST", "-1"),
        ("CLIPSIM_MESSAGE_CONTENT", "perhaps"),
        ("CLIPSIM_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_bad_value_names_its_variable(here: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting) as caught:
        settings.load()
    message = str(caught.value)
    assert name in message and value in message and "\n" not in message


def test_secrets_stay_out_of_logs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "hush-token")
    monkeypatch.setenv("CLIPSIM_DATABASE", "postgresql+psycopg://me:hush-database@db/clipsim")
    monkeypatch.setenv("CLIPSIM_PROXY", "socks5://me:hush-proxy@proxy:1080")
    found = settings.load()
    assert "hush" not in repr(found) + str(found)
    assert found.discord_token is not None and found.discord_token.get_secret_value() == "hush-token"
    assert found.database_url.endswith("hush-database@db/clipsim") and found.proxy is not None


def test_a_token_can_be_handed_over_in_code(here: Path) -> None:
    found = settings.load(discord_token="given")
    assert found.discord_token is not None and found.discord_token.get_secret_value() == "given"


def test_paths_are_made_absolute(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("CLIPSIM_DATA", "~/library")
    monkeypatch.setenv("CLIPSIM_CACHE", "weights")
    found = settings.load()
    assert found.data == here / "library" and found.cache == here / "weights"


def test_hosts_are_read_as_a_list(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSIM_ALLOWED_HOSTS", " Media.Example:8080, ,vimeo.com ")
    assert settings.load().hosts == ("media.example:8080", "vimeo.com")
