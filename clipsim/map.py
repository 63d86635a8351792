"""The library as a picture: every clip a dot, near the clips that are like it, coloured by its cluster."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsim.errors import DiskFull, FolderNotWritable, InvalidSetting
from clipsim.fusion.columns import unit
from clipsim.model import Clip, Cluster, Matrix

Points = NDArray[np.float64]  # shape (clips, 2), within ±1

FEW = 8  # clips: below that, principal components show as much as t-SNE can
PERPLEXITY = 30.0  # neighbours that t-SNE keeps near; a third of the clips where these are few
SEED = 2
# Okabe & Ito's colours and lighter and darker ones between: told apart by most eyes on both grounds.
COLOURS = (
    "#4e9af1", "#f28e2b", "#3fb68b", "#e15759", "#b07aa1", "#edc948", "#76b7b2", "#ff9da7", "#9c755f", "#8cd17d",
    "#d37295", "#a0cbe8", "#ffbe7d", "#59a14f", "#d4a6c8", "#499894", "#f1ce63", "#86bcb6", "#fabfd2", "#b6992d",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a picture's ground and text."""

    ground: str
    text: str
    faint: str
    ring: str


THEMES = {
    "dark": Theme("#14161c", "#f2f3f5", "#8b90a0", "#ffffff"),
    "light": Theme("#fbfbf9", "#1d2026", "#787c88", "#111111"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn."""

    points: Points
    clips: Sequence[Clip]
    clusters: Sequence[Cluster]
    marked: Collection[str]
    lit: Collection[int] | None = None  # ids of the clusters that stand out; None: all alike

    def shines(self, cluster: Cluster) -> bool:
        """Whether a cluster is to be seen as well as can be."""
        return self.lit is None or cluster.id in self.lit

    def groups(self) -> list[NDArray[np.intp]]:
        """The rows of each cluster's members, nearest to the centre first."""
        row = {clip.id: index for index, clip in enumerate(self.clips)}
        return [
            np.array([row[member.id] for member in cluster.members if member.id in row], np.intp)
            for cluster in self.clusters
        ]

    def colours(self) -> list[str]:
        """Each cluster's colour, by its id: it keeps it as long as its name."""
        return [COLOURS[(cluster.id - 1) % len(COLOURS)] for cluster in self.clusters]


def layout(embeddings: Matrix) -> Points:
    """Place clips on a plane so that alike ones are near: t-SNE by cosine (van der Maaten & Hinton 2008).

    Starts from the principal components (Kobak & Berens 2019), so that it is the same each time and far groups keep
    their sides. Fewer than `FEW` clips are shown by their principal components.

    Args:
        embeddings: float32, shape (clips, size), of any number of clips.

    Returns:
        float64, shape (clips, 2), centred, within ±1.
    """
    rows = unit(np.asarray(embeddings)).astype(np.float64)
    count = len(rows)
    if count < 2:
        return np.zeros((count, 2))
    plane = _principal(rows)
    if count >= FEW and len(np.unique(np.round(rows, 6), axis=0)) > 2:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits

        start = plane / max(plane[:, 0].std(), 1e-12) * 1e-4
        tsne = TSNE(
            perplexity=min(PERPLEXITY, max(2.0, (count - 1) / 3)),
            metric="cosine",
            init=start.astype(np.float32),
            random_state=SEED,
        )
        # OpenMP's threads wait by spinning: beside busy encoders more of them take ten times as long, not less.
        with threadpool_limits(1, user_api="openmp"):
            plane = tsne.fit_transform(rows)
    return _scaled(np.asarray(plane, np.float64))


def draw(
    path: Path | str,
    points: Points,
    clips: Sequence[Clip],
    clusters: Sequence[Cluster],
    highlight: Collection[str] | str | None = None,
    *,
    lit: Collection[int] | None = None,
    theme: str = "dark",
    small: bool = False,
) -> Path:
    """Write the map: a picture for `.png` (and `.svg`, `.pdf`), a page with titles and links for `.html`.

    Args:
        path: the file to write; its name's end says what.
        points: as from `layout`, one row for each clip.
        clips: in the same order.
        clusters: whose `members` are among the clips; a clip of none is drawn grey.
        highlight: ids of clips to mark.
        lit: ids of the clusters that stand out, all others being dimmed (default: none does).
        small: a picture without heading and legend, to be shown beside words.
        theme: "dark" or "light".

    Raises:
        InvalidSetting: another kind of file, or an unknown theme.
        FolderNotWritable, DiskFull: the file cannot be written; nothing is left behind.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in (".png", ".svg", ".pdf", ".html"):
        raise InvalidSetting(f"A map is a .png, .svg, .pdf or .html file, and not {kind or 'one without an ending'}.")
    if theme not in THEMES:
        raise InvalidSetting(f"A map is {' or '.join(THEMES)}, and not {theme}.")
    marked = {highlight} if isinstance(highlight, str) else set(highlight or ())
    seen = Scene(np.asarray(points, float).reshape(-1, 2), list(clips), list(clusters), marked, lit)
    from clipsim.map_page import page
    from clipsim.map_picture import picture

    # Written beside the target and moved there: a failure leaves neither half a map nor none where there was one.
    partial = target.with_name(f".{target.name}.part{kind}")
    try:
        if kind == ".html":
            partial.write_text(page(seen, THEMES[theme]), encoding="utf-8")
        else:
            picture(partial, seen, THEMES[theme], small=small)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise DiskFull() from error
        raise FolderNotWritable(
            f"The map cannot be written to {target.parent}.", hint="Check its permissions, or name another file."
        ) from error
    return target


def name(clip: Clip) -> str:
    """Artist and title, once each."""
    if clip.artist and clip.artist.casefold() not in clip.title.casefold():
        return f"{clip.artist} - {clip.title}"
    return clip.title or clip.id


def _principal(rows: NDArray[np.float64]) -> Points:
    centred = rows - rows.mean(axis=0)
    left, strength, right = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(rows), 2))
    width = min(2, len(strength))
    # A principal direction has no sign of its own: the largest coordinate is made positive.
    sign = np.sign(right[np.arange(width), np.abs(right[:width]).argmax(axis=1)])
    plane[:, :width] = left[:, :width] * strength[:width] * np.where(sign == 0, 1, sign)
    return plane


def _scaled(plane: Points) -> Points:
    plane = plane - (plane.max(axis=0) + plane.min(axis=0)) / 2
    reach = np.abs(plane).max()
    return plane / reach if reach > 1e-9 else np.zeros_like(plane)
