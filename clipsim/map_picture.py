"""The map as a picture, by matplotlib, without its global state: safe in any thread."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from clipsim.map import Scene, Theme, name

INCHES, DPI = (12.8, 9.0), 150
SMALL, SMALL_DPI = (5.4, 3.6), 160  # of a picture without heading and legend: shown half as wide, it can be read
DIMMED = 0.13  # opacity of a dot whose cluster is not the one that stands out
PANEL = 0.76  # share of the width that the dots have; the legend has the rest
FLATTEST, MARGIN = 0.55, 1.12  # a flat map is stretched, but not by over two; room at the rim
TITLES = 40  # titles that are written beside dots, at most
LONGEST = 32  # characters of a title
GLOW = np.linspace(20, 90, 8) ** 2 / 2  # areas of the discs that fade into a glow, in square points
LEGEND = 20  # clusters in the legend, at most
FONT = "DejaVu Sans"  # comes with matplotlib

Place = tuple[float, float, float, float]  # right and up, in half sizes of the text, and then in pixels
Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels


def picture(path: Path, scene: Scene, theme: Theme, *, small: bool = False) -> None:
    """Draw the scene into a file that matplotlib can write; `small` without heading and legend. Raises OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = SMALL_DPI if small else DPI
    figure = Figure(figsize=SMALL if small else INCHES, dpi=dpi, facecolor=theme.ground)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.015, 0.98, 0.97) if small else (0.02, 0.03, PANEL - 0.03, 0.88))
    axes.set_axis_off()
    for limit, values in ((axes.set_xlim, scene.points[:, 0]), (axes.set_ylim, scene.points[:, 1])):
        reach = max(FLATTEST, float(np.abs(values).max(initial=0))) * MARGIN
        limit(-reach, reach)
    _dots(axes, scene, theme)
    if not small:
        _heading(figure, scene, theme)
        _legend(figure, scene, theme)
    taken: list[Box] = []
    if not small or scene.lit is None:  # else the words beside it name the cluster, and a label would hide it
        _labels(axes, scene, theme, taken)
    _titles(axes, scene, theme, taken)
    figure.savefig(path, dpi=dpi, facecolor=theme.ground, metadata={})


def _dots(axes: Any, scene: Scene, theme: Theme) -> None:
    count = len(scene.clips)
    size = _size(count)
    colours = np.array([theme.faint] * count, object)
    alphas = np.full(count, 0.92 if scene.lit is None else DIMMED)
    for cluster, rows, colour in zip(scene.clusters, scene.groups(), scene.colours(), strict=True):
        colours[rows] = colour
        if not scene.shines(cluster):
            continue
        alphas[rows] = 0.92
        for reach in GLOW if len(rows) > 2 else ():  # shows where the cluster is dense
            axes.scatter(*scene.points[rows].T, s=reach, c=colour, alpha=0.012, linewidths=0, zorder=1)
    if count:
        axes.scatter(
            *scene.points.T, s=size, c=list(colours), alpha=alphas, linewidths=0.6, edgecolors=theme.ground, zorder=3
        )
    marked = [row for row, clip in enumerate(scene.clips) if clip.id in scene.marked]
    if marked:
        axes.scatter(
            *scene.points[marked].T, s=size * 2.6 + 40, facecolors="none", edgecolors=theme.ring, linewidths=2, zorder=5
        )


def _size(clips: int) -> float:
    """A dot's area in square points: smaller where there are many."""
    return float(np.clip(9000 / max(clips, 1), 8, 130))


def _heading(figure: Any, scene: Scene, theme: Theme) -> None:
    clips, clusters = len(scene.clips), len(scene.clusters)
    figure.text(0.03, 0.955, "The library, clip by clip", color=theme.text, fontsize=19, fontweight="bold", va="center")
    told = f"{clips} clip{'s' * (clips != 1)} in {clusters} cluster{'s' * (clusters != 1)}: near is alike"
    figure.text(0.03, 0.922, told, color=theme.faint, fontsize=11.5, va="center")


def _legend(figure: Any, scene: Scene, theme: Theme) -> None:
    from matplotlib.lines import Line2D

    shown = list(zip(scene.clusters, scene.colours(), strict=True))
    top, step = 0.9, min(0.042, 0.84 / max(1, min(len(shown), LEGEND)))
    for index, (cluster, colour) in enumerate(shown[:LEGEND]):
        height = top - index * step
        figure.add_artist(Line2D([PANEL + 0.012], [height], marker="o", markersize=9, color=colour, linestyle="none"))
        text = _cut(_printable(cluster.label) or f"Cluster {cluster.id}", 28)
        _text(figure, PANEL + 0.026, height, text, color=theme.text, fontsize=11, va="center")
        _text(figure, 0.985, height, str(cluster.size), color=theme.faint, fontsize=11, va="center", ha="right")
    if len(shown) > LEGEND:
        rest = f"and {len(shown) - LEGEND} more"
        _text(figure, PANEL + 0.026, top - LEGEND * step, rest, color=theme.faint, fontsize=11, va="center")


def _labels(axes: Any, scene: Scene, theme: Theme, taken: list[Box]) -> None:
    """Each cluster's label near its middle, moved as little as it must be to overlap no other."""
    pairs = zip(scene.clusters, scene.groups(), scene.colours(), strict=True)
    for cluster, rows, colour in sorted(pairs, key=lambda each: -len(each[1])):
        if not len(rows) or not scene.shines(cluster):
            continue
        text = _text(
            axes,
            float(np.median(scene.points[rows, 0])),
            float(np.median(scene.points[rows, 1])),
            _cut(_printable(cluster.label) or f"Cluster {cluster.id}", 34),
            color=theme.text,
            fontsize=13,
            fontweight="bold",
            ha="center",
            va="center",
            zorder=7,
            bbox={"boxstyle": "round,pad=0.32", "facecolor": theme.ground, "edgecolor": colour, "alpha": 0.86},
        )
        _settle(axes, text, _around(), taken, pad=9.0, drop=False)


def _titles(axes: Any, scene: Scene, theme: Theme, taken: list[Box]) -> None:
    """Titles beside dots where there is room: the marked clips' first, then those in the middle of their clusters."""
    pairs = zip(scene.clusters, scene.groups(), strict=True)
    groups = [rows.tolist() for cluster, rows in pairs if scene.shines(cluster)]
    marked = [row for row, clip in enumerate(scene.clips) if clip.id in scene.marked]
    others = [rows[rank] for rank in range(max(map(len, groups), default=0)) for rows in groups if rank < len(rows)]
    order = list(dict.fromkeys([*marked, *others, *(range(len(scene.clips)) if scene.lit is None else ())]))
    reach = (_size(len(scene.clips)) / np.pi) ** 0.5 * axes.figure.dpi / 72  # a dot's radius in pixels
    dots = axes.transData.transform(scene.points) if len(scene.points) else np.zeros((0, 2))
    written = 0
    for row in order[: 4 * TITLES]:
        if written >= TITLES:
            break
        bold = row in marked
        words = _cut(_printable(name(scene.clips[row])) or scene.clips[row].id, LONGEST)
        text = _text(
            axes,
            float(scene.points[row, 0]),
            float(scene.points[row, 1]),
            words,
            color=theme.text if bold else theme.faint,
            fontsize=10 if bold else 8,
            fontweight="bold" if bold else "normal",
            va="center",
            ha="center",
            zorder=8 if bold else 6,
        )
        beside = _beside(reach * (1.7 if bold else 1) + 4)
        written += _settle(axes, text, beside, taken, pad=2.0, drop=not bold, dots=dots, reach=reach)


def _settle(
    axes: Any,
    text: Any,
    places: Iterable[Place],
    taken: list[Box],
    *,
    pad: float,
    drop: bool,
    dots: Any = (),
    reach: float = 0.0,
) -> bool:
    """Move a text to the first place where it overlaps no other text and no dot and is not cut off.

    Where there is none, it is taken away (`drop`) or put at the first place.
    """
    renderer = axes.figure.canvas.get_renderer()
    frame, own = axes.get_window_extent(renderer), text.get_window_extent(renderer)
    x, y = axes.transData.transform(text.get_position())
    across, up = own.width / 2 + pad, own.height / 2 + pad
    found: Box | None = None
    for right, above, gap_right, gap_above in places:
        middle = (x + right * across + gap_right, y + above * up + gap_above)
        box = (middle[0] - across, middle[1] - up, middle[0] + across, middle[1] + up)
        inside = frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1] and box[3] <= frame.y1
        if not inside and (gap_right or gap_above):
            continue
        if not any(_overlap(box, other) for other in taken) and not _covers(box, dots, reach):
            found = box
            break
    if found is None and drop:
        text.remove()
        return False
    if found is None and len(dots):  # it must stand somewhere: over dots then
        return _settle(axes, text, _beside(reach + 4), taken, pad=pad, drop=False)
    if found is None:
        found = (x - across, y - up, x + across, y + up)
    shift_x = max(frame.x0 - found[0], 0) + min(frame.x1 - found[2], 0)
    shift_y = max(frame.y0 - found[1], 0) + min(frame.y1 - found[3], 0)
    found = (found[0] + shift_x, found[1] + shift_y, found[2] + shift_x, found[3] + shift_y)
    text.set_position(axes.transData.inverted().transform(((found[0] + found[2]) / 2, (found[1] + found[3]) / 2)))
    taken.append(found)
    return True


def _around() -> Iterator[Place]:
    """Places for a label: its cluster's middle, then rings around it."""
    yield 0.0, 0.0, 0.0, 0.0
    for ring in range(1, 14):
        for turn in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            yield float(np.sin(turn) * ring * 0.45), float(np.cos(turn) * ring), 0.0, 0.0


def _beside(gap: float) -> Iterator[Place]:
    """Places for a title: right, left, above and below its dot, then the corners."""
    for right, above in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
        yield right, above, right * gap, above * gap


def _covers(box: Box, dots: Any, reach: float) -> bool:
    """Whether a box covers any dot, shape (clips, 2), by more than its rim."""
    if not len(dots):
        return False
    near = (dots > np.array(box[:2]) - reach * 0.7) & (dots < np.array(box[2:]) + reach * 0.7)
    return bool(near.all(axis=1).any())


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _text(where: Any, x: float, y: float, words: str, **style: Any) -> Any:
    """Text from strangers: a dollar sign in it starts no formula."""
    return where.text(x, y, words, parse_math=False, fontfamily=FONT, **style)


def _printable(text: str) -> str:
    """What the font has of a text; the rest (most of CJK, emoji) is left out, and not drawn as empty boxes."""
    plain = unicodedata.normalize("NFC", text)
    kept = "".join(sign if ord(sign) in _glyphs() and sign.isprintable() else " " for sign in plain)
    return " ".join(kept.split()).strip(" -–—()[]【】|")


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    text = text[: longest - 1]
    opened = max(text.rfind("("), text.rfind("["))
    if opened > longest // 3 and not set(text[opened:]) & set(")]"):
        text = text[:opened]  # "(Official Mu…" says nothing
    return text.rstrip(" -–—([") + "…"
