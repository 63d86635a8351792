import re
import warnings
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest

from clipsim import map as maps
from clipsim.errors import FolderNotWritable, InvalidSetting
from clipsim.map import draw, layout
from clipsim.model import Clip, Cluster

HOSTILE = (
    "$x_1 \\frac{",
    "日本語の歌 🎉",
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "a\x00b\n\tc",
    "",
    "ﷺ" * 5 + "x" * 300,
    "{}%s\\n",
)


def library(count, groups=3):
    chance = np.random.default_rng(2)
    belongs = np.arange(count) % groups
    rows = np.random.default_rng(1).standard_normal((groups, 256))[belongs] + 0.3 * chance.standard_normal((count, 256))
    clips = [
        Clip(id=f"c{row}", title=HOSTILE[row % len(HOSTILE)], url=f"https://www.youtube.com/watch?v={row:011d}")
        for row in range(count)
    ]
    clusters = [
        Cluster(group + 1, f"Group & {group}", int((belongs == group).sum()), tuple(np.array(clips)[belongs == group]))
        for group in range(min(groups, count))
    ]
    return rows.astype(np.float32), clips, clusters, belongs


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 40])
def test_any_number_of_clips_has_a_place(count):
    rows, *_ = library(count)
    points = layout(rows)
    assert points.shape == (count, 2) and np.isfinite(points).all() and np.abs(points).max(initial=0) <= 1 + 1e-9
    assert np.array_equal(layout(rows), points)


def test_clips_that_are_all_the_same_are_in_one_place():
    assert np.array_equal(layout(np.ones((12, 256), np.float32)), np.zeros((12, 2)))


def test_near_on_the_map_is_alike():
    rows, _, _, belongs = library(60)
    points = layout(rows)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1)[:, :5]
    assert (belongs[nearest] == belongs[:, None]).mean() > 0.95


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_picture_of_hostile_titles_is_drawn_without_a_warning(tmp_path, theme):
    rows, clips, clusters, _ = library(30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = draw(tmp_path / "map.png", layout(rows), clips, clusters, "c1", theme=theme)
    image = matplotlib.image.imread(path)[..., :3]
    assert image.shape == (1350, 1920, 3)
    ground = tuple(int(maps.THEMES[theme].ground[at : at + 2], 16) / 255 for at in (1, 3, 5))
    np.testing.assert_allclose(image[5, 5], ground, atol=0.01)
    for colour in maps.COLOURS[:3]:  # each cluster's colour is there to see
        rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        assert (np.abs(image - rgb).max(axis=2) < 0.06).sum() > 100
    assert list(tmp_path.iterdir()) == [path]


def test_a_cluster_that_is_lit_stands_out_of_a_small_picture(tmp_path):
    rows, clips, clusters, belongs = library(30)
    pictures = [
        matplotlib.image.imread(draw(tmp_path / "small.png", layout(rows), clips, clusters, lit=lit, small=True))
        for lit in (None, [2])
    ]
    assert pictures[0].shape == pictures[1].shape == (576, 864, 4)
    for cluster in (0, 1, 2):
        rgb = np.array([int(maps.COLOURS[cluster][at : at + 2], 16) / 255 for at in (1, 3, 5)])
        plain, lit = ((np.abs(picture[..., :3] - rgb).max(axis=2) < 0.1).sum() for picture in pictures)
        assert plain > 20
        assert lit > 100 if cluster == 1 else lit == 0
    page = Page(draw(tmp_path / "map.html", layout(rows), clips, clusters, lit=[2]).read_text(encoding="utf-8"))
    quiet = [attrs for tag, attrs in page.tags if attrs.get("class") == "quiet"]
    assert len(quiet) == (belongs != 1).sum()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_clips_are_drawn_too(tmp_path, count):
    rows, clips, clusters, _ = library(count)
    for name in ("map.png", "map.html"):
        assert draw(tmp_path / name, layout(rows), clips, clusters).stat().st_size > 1000


def test_no_two_texts_overlap(tmp_path, monkeypatch):
    from clipsim import map_picture

    kept = []
    settle = map_picture._labels
    monkeypatch.setattr(
        map_picture,
        "_labels",
        lambda axes, scene, theme, taken: (kept.append(taken), settle(axes, scene, theme, taken)),
    )
    rows, clips, clusters, _ = library(60)
    clusters = [Cluster(c.id, "A rather long name", c.size, c.members) for c in clusters]
    draw(tmp_path / "map.png", np.zeros((60, 2)) + layout(rows) * 0.1, clips, clusters)
    boxes = kept[0]
    assert len(boxes) >= 3
    for one in range(len(boxes)):
        for other in range(one):
            assert not map_picture._overlap(boxes[one], boxes[other])


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.titles, self.text = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.setdefault(self.tags[-1][0] if self.tags else "", []).append(data)


def test_the_page_is_whole_in_itself_and_titles_are_text(tmp_path):
    rows, clips, clusters, _ = library(30)
    clips[0] = Clip(id="c0", title="no link", url="javascript:alert(1)")
    clips[5] = Clip(id="c5", title="local\x1b\u202e", url=None)
    source = draw(tmp_path / "map.html", layout(rows), clips, clusters, ["c1"]).read_text(encoding="utf-8")
    page = Page(source)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "javascript:" not in source and "<script>alert" not in source
    assert not [attrs for tag, attrs in page.tags if tag in ("link", "img", "iframe") or "src" in attrs]
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == [clip.url for clip in clips if clip.url and clip.url.startswith("https")]
    told = [attrs["data-t"] for _, attrs in page.tags if "data-t" in attrs]
    assert told[2] == "<script>alert(1)</script>" and len(told) == 30
    assert told[5] == "local" and "\x1b" not in source and "\u202e" not in source
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "Group & 0" in "".join(page.text["text"])
    assert len([1 for tag, attrs in page.tags if tag == "circle" and attrs.get("class") == "marked"]) == 1
    assert not re.search(r"https?://(?!www\.youtube\.com)", source)


def test_what_cannot_be_drawn_leaves_nothing(tmp_path):
    rows, clips, clusters, _ = library(5)
    points = layout(rows)
    for name in ("map.gif", "map"):
        with pytest.raises(InvalidSetting, match="png"):
            draw(tmp_path / name, points, clips, clusters)
    with pytest.raises(InvalidSetting, match="dark"):
        draw(tmp_path / "map.png", points, clips, clusters, theme="pink")
    for name in ("map.png", "map.html"):
        with pytest.raises(FolderNotWritable):
            draw(tmp_path / "nowhere" / name, points, clips, clusters)
    assert list(tmp_path.iterdir()) == []
