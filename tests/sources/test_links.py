"""Every shape of link that people paste, and every shape that is none."""

from __future__ import annotations

import hashlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsim.errors import ClipSimError, FileMissing, HostNotAllowed, UnknownLink
from clipsim.sources import find_links, parse
from clipsim.sources.links import WATCH

ID = "dQw4w9WgXcQ"
OTHER = "-_aBcDeFg09"
LIST = "PLrEnWoR732-BHrPp_Pm8_VleD68f9s14-"

LINKS = [
    f"https://www.youtube.com/watch?v={ID}",
    f"http://www.youtube.com/watch?v={ID}",
    f"HTTPS://WWW.YouTube.com/watch?v={ID}",
    f"https://youtube.com/watch?v={ID}",
    f"https://m.youtube.com/watch?v={ID}&feature=youtu.be",
    f"https://music.youtube.com/watch?v={ID}&list=RDAMVM{ID}",
    f"https://www.youtube.com:443/watch?v={ID}",
    f"https://www.youtube.com./watch?v={ID}",
    f"www.youtube.com/watch?v={ID}",
    f"youtube.com/watch?v={ID}",
    f"youtube.com/watch/?v={ID}",
    f"youtu.be/{ID}",
    f"https://youtu.be/{ID}",
    f"https://www.youtu.be/{ID}",
    f"https://youtu.be/{ID}?si=AbCdEfGhIjKlMnOp",
    f"https://youtu.be/{ID}?t=42",
    f"https://youtu.be/{ID}&t=42",
    f"https://youtu.be/{ID}/",
    f"https://youtu.be/{ID}?list={LIST}",
    f"https://youtu.be/watch?v={ID}",
    f"https://www.youtube.com/watch?list={LIST}&index=3&v={ID}&t=1m3s",
    f"https://www.youtube.com/watch?app=desktop&v={ID}&pp=ygUEYWJjZA%3D%3D",
    f"https://www.youtube.com/watch?v={ID}#t=10",
    f"https://www.youtube.com/watch?v={ID}?feature=share",
    f"https://www.youtube.com/watch?time_continue=1&v={ID}&feature=emb_logo&ab_channel=Rick",
    f"https://www.youtube.com/watch?utm_source=x&utm_medium=y&v={ID}&fbclid=IwAR0",
    f"https://www.youtube.com/watch/{ID}",
    f"https://www.youtube.com/watch_popup?v={ID}",
    f"https://www.youtube.com/?v={ID}",
    f"https://www.youtube.com/#/watch?v={ID}",
    f"https://www.youtube.com/watch#!v={ID}",
    f"https://www.youtube.com/shorts/{ID}",
    f"https://youtube.com/shorts/{ID}?feature=share",
    f"https://www.youtube.com/live/{ID}?si=abc",
    f"https://www.youtube.com/embed/{ID}?start=10&autoplay=1",
    f"//www.youtube.com/embed/{ID}"[2:],
    f"https://www.youtube-nocookie.com/embed/{ID}",
    f"https://www.youtube.com/v/{ID}",
    f"https://www.youtube.com/v/{ID}&hl=en&fs=1",
    f"https://www.youtube.com/e/{ID}",
    f"https://www.youtubekids.com/watch?v={ID}",
    f"https://www.youtube.com/attribution_link?u=%2Fwatch%3Fv%3D{ID}%26feature%3Dshare",
    f"https://www.youtube.com/attribution_link?a=JdfC0C9V6ZI&u=%2Fwatch%3Fv%3D{ID}%26feature%3Dem-uploademail",
    f"<https://youtu.be/{ID}>",
    f"||https://youtu.be/{ID}||",
    f"||<https://youtu.be/{ID}>||",
    f"[a song](https://youtu.be/{ID})",
    f"[a song](<https://youtu.be/{ID}>)",
    f'[a song](https://youtu.be/{ID} "hover")',
    f"  https://youtu.be/{ID}\n",
    f"`https://youtu.be/{ID}`",
]

NOT_LINKS = [
    "",
    "   ",
    "Never Gonna Give You Up",
    f"https://www.youtube.com/playlist?list={LIST}",
    f"https://www.youtube.com/playlist?list={LIST}&v={ID}",
    "https://www.youtube.com/channel/UCuAXFkgsw1L7xaCfnd5JJOw",
    "https://www.youtube.com/@RickAstleyYT",
    "https://www.youtube.com/@elevenchars",
    "https://www.youtube.com/@RickAstleyYT/videos",
    "https://www.youtube.com/c/RickAstley0",
    "https://www.youtube.com/user/RickAstley0",
    f"https://www.youtube.com/user/RickAstley#p/u/1/{ID}",
    "https://www.youtube.com/results?search_query=abc",
    f"https://www.youtube.com/results?search_query={ID}",
    "https://www.youtube.com/feed/trending",
    "https://www.youtube.com/hashtag/musicvideos",
    "https://www.youtube.com/clip/UgkxUd4vHSZ7VaWx3aGmSM6yw9P5UyIKxYZh",
    "https://www.youtube.com/embed/videoseries?list=" + LIST,
    "https://www.youtube.com/embed/live_stream?channel=UCuAXFkgsw1L7xaCfnd5JJOw",
    "https://www.youtube.com/watch",
    "https://www.youtube.com/watch?v=",
    "https://www.youtube.com/watch?v=short",
    f"https://www.youtube.com/watch?v={ID}x",
    f"https://www.youtube.com/watch?list={ID}",
    f"https://www.youtube.com/watch?w={ID}",
    "https://www.youtube.com/",
    "https://youtu.be/",
    f"https://youtu.be/{ID}{OTHER}",
    f"https://www.youtube.com:8080/watch?v={ID}",
    f"https://www.youtube.com:80/watch?v={ID}",
    f"https://www.youtube.com:notaport/watch?v={ID}",
    f"https://user@www.youtube.com/watch?v={ID}",
    f"https://www.youtube.com@evil.com/watch?v={ID}",
    f"https://www.youtube.com%40evil.com/watch?v={ID}",
    f"https://www.youtube.com\\@evil.com/watch?v={ID}",
    f"https://evil.com\\www.youtube.com/watch?v={ID}",
    f"https://www.youtubе.com/watch?v={ID}",  # a Cyrillic е
    f"https://www.youtube。com/watch?v={ID}",
    f"https://www.ｙoutube.com/watch?v={ID}",
    f"ftp://www.youtube.com/watch?v={ID}",
    f"javascript://www.youtube.com/watch?v={ID}",
    f"file://www.youtube.com/watch?v={ID}",
    "file:///etc/passwd",
    f"https://www.you\ntube.com/watch?v={ID}",
    f"https://www.youtube.com/attribution_link?u=%2F%2Fevil.com%2Fwatch%3Fv%3D{ID}",
    f"https://www.youtube.com/attribution_link?u=https%3A%2F%2Fevil.com%2Fwatch%3Fv%3D{ID}",
    f"https://www.youtube.com/redirect?q=https%3A%2F%2Fyoutu.be%2F{ID}",
    "https://[::1",
    "https://" + "a" * 5000,
]

OTHER_HOSTS = [
    f"https://youtube.com.evil.com/watch?v={ID}",
    f"https://evil.com/youtube.com/watch?v={ID}",
    f"https://evil.com/https://youtube.com/watch?v={ID}",
    f"https://evil.com/?u=https://youtu.be/{ID}",
    f"https://evil.com#youtube.com/watch?v={ID}",
    f"https://notyoutube.com/watch?v={ID}",
    f"https://youtu.be.evil.com/{ID}",
    f"https://xn--youtub-8ya.com/watch?v={ID}",
    f"https://127.0.0.1/watch?v={ID}",
    "http://169.254.169.254/latest/meta-data/",
    "http://localhost:8080/a.mp4",
    "https://vimeo.com/76979871",
]


@pytest.mark.parametrize("text", LINKS)
def test_every_shape_of_link(text: str) -> None:
    source = parse(text)
    assert (source.kind, source.id, source.url, source.path) == ("youtube", ID, WATCH + ID, None)


@pytest.mark.parametrize("text", LINKS)
def test_every_shape_within_a_message(text: str) -> None:
    for message in (text, f"look: {text} , and tell me", f"({text}) …", f"({text}).", f"great!\n{text}\nisn't it?"):
        assert [source.id for source in find_links(message)] == [ID], message


@pytest.mark.parametrize("text", NOT_LINKS)
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(UnknownLink):
        parse(text, files=False)
    assert find_links(text) == []


@pytest.mark.parametrize("text", OTHER_HOSTS)
def test_other_hosts(text: str) -> None:
    with pytest.raises(HostNotAllowed):
        parse(text)
    assert find_links(f"see {text} there") == []
    assert find_links(text.removeprefix("https://").removeprefix("http://")) == []


def test_control_characters_are_no_part_of_a_link() -> None:
    for text in (f"https://youtu.be/{ID}\x00", f"https://youtu.be/\u202e{ID}", f"\u200bhttps://youtu.be/{ID}"):
        with pytest.raises(UnknownLink):
            parse(text)


def test_a_long_message_is_searched_in_no_time() -> None:
    for piece in ("https://youtu.be/" + ")" * 400, "a.b://", "[x](", "||<", "_*~", "youtu.be/"):
        assert find_links(piece * (200_000 // len(piece))) == []  # would take minutes if it were not linear


def test_a_bare_id_is_parsed_but_not_found() -> None:
    assert parse(OTHER).id == OTHER
    assert find_links(f"the id is {OTHER}") == []


def test_several_in_order_each_once() -> None:
    message = f"""1. https://youtu.be/{ID},
    2. <https://m.youtube.com/watch?v={OTHER}&t=3>; again youtube.com/shorts/{ID}!
    [three](https://www.youtube.com/watch?v=aaaaaaaaaaa) ||youtu.be/bbbbbbbbbbb|| *https://youtu.be/ccccccccccc*
    _https://youtu.be/ddddddddddd_ **https://youtu.be/eeeeeeeeeee** 看https://youtu.be/fffffffffff。"""
    expected = [ID, OTHER, "aaaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc", "ddddddddddd", "eeeeeeeeeee", "fffffffffff"]
    assert [source.id for source in find_links(message)] == expected


def test_glued_by_a_comma() -> None:
    found = find_links(f"https://youtu.be/{ID},https://youtu.be/{OTHER};https://youtu.be/aaaaaaaaaaa")
    assert [source.id for source in found] == [ID, OTHER, "aaaaaaaaaaa"]


def test_a_named_host_is_admitted_and_no_other() -> None:
    source = parse("http://Media.Home/a%20b.mp4?x=1#t=3", ("media.home",))
    assert source.kind == "web" and source.url == "http://media.home/a%20b.mp4?x=1"
    assert source.id == "web-" + hashlib.sha256(source.url.encode()).hexdigest()[:16]
    assert parse("http://media.home:80/a%20b.mp4?x=1", ("media.home",)).id == source.id  # the port that goes unsaid
    assert parse("https://media.home:9/a.mp4", ("media.home",)).url == "https://media.home:9/a.mp4"  # any of its ports
    for text in ("http://sub.media.home/a", "http://media.home.evil.com/a", "http://evil.com/media.home/a"):
        with pytest.raises(HostNotAllowed):
            parse(text, ("media.home",))
    with pytest.raises(UnknownLink):
        parse("http://user:secret@media.home/a", ("media.home",))


def test_a_named_port_is_the_only_one() -> None:
    hosts = ("127.0.0.1:8000", "[::1]:81")
    assert parse("http://127.0.0.1:8000/a.mp4", hosts).url == "http://127.0.0.1:8000/a.mp4"
    assert parse("http://[::1]:81/a.mp4", hosts).url == "http://[::1]:81/a.mp4"
    for text in ("http://127.0.0.1/a.mp4", "http://127.0.0.1:8001/a.mp4", "http://[::1]/a.mp4"):
        with pytest.raises(HostNotAllowed):
            parse(text, hosts)


def test_named_hosts_are_found_in_messages() -> None:
    hosts = ("media.home:8000",)
    message = (
        "http://media.home:8000/a_(live).mp4 media.home:8000/b.mp4, http://media.home/c.mp4 xmedia.home:8000/d.mp4"
    )
    urls = [source.url for source in find_links(message, hosts)]
    assert urls == ["http://media.home:8000/a_(live).mp4", "https://media.home:8000/b.mp4"]


def test_what_smuggles_options_into_yt_dlp_is_dropped() -> None:
    source = parse("http://media.home/a.mp4#__youtubedl_smuggle=%7B%22x%22%3A1%7D", ("media.home",))
    assert source.url == "http://media.home/a.mp4"


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a song.mp3"
    path.write_bytes(b"x" * 100_000)
    source = parse(str(path))
    assert source.kind == "file" and source.path == str(path) and source.url is None
    assert source.id == "local-" + hashlib.sha256(b"x" * 100_000).hexdigest()[:16]
    monkeypatch.chdir(tmp_path)
    assert parse("a song.mp3").id == source.id
    assert parse('"a song.mp3"').path == str(path)
    (tmp_path / "youtube.com").mkdir()
    (tmp_path / ID).write_bytes(b"a file of that very name")
    assert parse(ID).kind == "file"
    assert parse(ID, files=False).kind == "youtube"


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for text in (str(tmp_path), "./folder", str(tmp_path / "missing.mp3"), "missing.mp3", "/dev/null", "~nobody-/x"):
        with pytest.raises(FileMissing) as caught:
            parse(text)
        assert "\n" not in str(caught.value)
    with pytest.raises(UnknownLink):
        parse("folder")  # one word is a title before it is a folder
    with pytest.raises(UnknownLink):
        parse(str(tmp_path), files=False)
    with pytest.raises(UnknownLink):
        parse("/etc/passwd", files=False)


PIECES = st.sampled_from(
    [
        *("https://", "http://", "//", "www.", "youtube.com", "youtu.be", "/", "watch", "?v=", "&", "=", "#", "@", ":"),
        *(
            ".",
            "%2F",
            "playlist?list=",
            "shorts/",
            ID,
            OTHER,
            LIST,
            "evil.com",
            "\\",
            "[",
            "]",
            "(",
            ")",
            "<",
            ">",
            "||",
        ),
        *(" ", "\n", "е", "media.home", ":8000", "\u202e", "\x00", "attribution_link?u=", "%3F", "v%3D", "_", "*"),
        ",https://",
    ]
)


@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=14).map("".join)))
def test_nothing_else_ever_comes_out(text: str) -> None:
    hosts = ("media.home:8000",)
    found = find_links(text, hosts)
    try:
        found = [*found, parse(text, hosts, files=False)]
    except ClipSimError as error:
        assert isinstance(error, UnknownLink | HostNotAllowed) and "\n" not in str(error)
    for source in found:
        if source.kind == "youtube":
            assert len(source.id) == 11 and not set(source.id) - set(string.ascii_letters + string.digits + "-_")
            assert source.url == WATCH + source.id and source.id in text
        else:
            assert source.kind == "web" and source.url is not None
            assert source.url.split("://", 1)[1].startswith("media.home:8000/") and "@" not in source.url.split("/")[2]


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_", min_size=11, max_size=11), st.sampled_from(LINKS))
def test_any_id_in_any_shape(id: str, link: str) -> None:
    if id in ("videoseries", "live_stream"):
        return
    assert parse(link.replace(ID, id), files=False).id == id
