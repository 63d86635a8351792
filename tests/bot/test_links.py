"""Which messages' links are read: the text, and what a message that was pointed at forwards or shows."""

from __future__ import annotations

import pytest

from bot import links
from clipsim.errors import HostNotAllowed, UnknownLink

VIDEO = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def test_links_are_canonical_in_order_and_each_once():
    found = links.find(
        "<https://youtu.be/dQw4w9WgXcQ?si=x> then https://www.youtube.com/shorts/aaaaaaaaaaa and again " + VIDEO
    )
    assert [source.url for source in found] == [VIDEO, "https://www.youtube.com/watch?v=aaaaaaaaaaa"]


def test_no_path_and_no_other_host():
    assert links.find("/etc/passwd file:///etc/passwd https://evil.example/watch?v=dQw4w9WgXcQ") == []


def test_a_host_that_was_named_is_read():
    assert [s.url for s in links.find("http://media.home/a.mp4", ("media.home",))] == ["http://media.home/a.mp4"]


def test_only_the_beginning_of_a_huge_text_is_searched():
    assert links.find("x " * links.LONGEST + VIDEO) == []


@pytest.mark.parametrize(
    ("link", "kind"),
    [("https://www.youtube.com/playlist?list=PLx", UnknownLink), ("https://evil.example/x", HostNotAllowed)],
)
def test_a_link_that_is_none_says_why(link, kind):
    with pytest.raises(kind):
        links.parse(link)


def test_a_path_is_never_a_link(tmp_path):
    file = tmp_path / "song.mp3"
    file.write_bytes(b"x")
    with pytest.raises(UnknownLink):
        links.parse(str(file))
    with pytest.raises(UnknownLink):
        links.parse(f"file://{file}")
