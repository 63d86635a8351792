"""Fixtures for all tests: the folder of real data, and settings that touch nothing outside the test's own folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTDATA = Path(os.environ.get("CLIPSIM_TESTDATA") or ROOT / "../shared/data").resolve()


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real data to measure with; a test that needs it is skipped where it is absent."""
    if not (TESTDATA / "README.md").exists():
        pytest.skip("no test data: name its folder with CLIPSIM_TESTDATA")
    return TESTDATA


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting of the developer's own environment or .env reaches a test; weights keep their shared cache."""
    for name in list(os.environ):
        if name.startswith("CLIPSIM_") and name not in ("CLIPSIM_TESTDATA", "CLIPSIM_CACHE"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)
    monkeypatch.setenv("CLIPSIM_DATA", str(tmp_path / "library"))
    monkeypatch.setitem(__import__("clipsim.settings", fromlist=["Settings"]).Settings.model_config, "env_file", None)
    yield
