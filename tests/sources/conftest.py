"""Media made once for all tests of the package, and a YouTube that serves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.media import make_clip
from tests.doubles.youtube import FakeYouTube


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small media files by name: `audio` (m4a), `video` (mp4 without sound), `both` (mp4), `opus` (webm)."""
    folder = tmp_path_factory.mktemp("made")
    return {
        "audio": make_clip(folder / "audio.m4a", seconds=3),
        "video": make_clip(folder / "video.mp4", seconds=3, audio=False),
        "both": make_clip(folder / "both.mp4", seconds=3),
        "opus": make_clip(folder / "opus.webm", seconds=3, video=False),
    }


@pytest.fixture
def youtube(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeYouTube]:
    """A YouTube that the children of this process find."""
    with FakeYouTube() as fake:
        for name, value in fake.environment().items():
            monkeypatch.setenv(name, value)
        yield fake
