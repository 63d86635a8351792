"""An evaluation as a page: one file with its own drawings and style, no script; nothing is fetched from anywhere.

Titles, artists and labels come from strangers: whatever is written is escaped.
"""

from __future__ import annotations

import errno
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from clipsim.contenders import SENSES
from clipsim.errors import DiskFull, FolderNotWritable
from clipsim.figures import Evaluation, Result
from clipsim.model import METHODS
from clipsim.titles import printable

WIDE, ROW = 460, 24  # of a drawing, and of a line in it
NAMES = 96  # units on the left for names
VALUES = 52  # on the right for figures
CURVE = 220  # height of a curve's drawing

STYLE = """
:root{--ink:#1c1a29;--soft:#66627a;--paper:#fafaff;--card:#fff;--line:#e4e2f0;--bar:#c3bfdc;--accent:#5b4bdb;
--s0:#5b4bdb;--s1:#d0567b;--s2:#1f8a70;--s3:#b26a00;--s4:#3a7ca5}
@media(prefers-color-scheme:dark){:root{--ink:#eeecf8;--soft:#a5a1bb;--paper:#14131c;--card:#1d1b29;--line:#343145;
--bar:#5a5674;--accent:#a79bff;--s0:#a79bff;--s1:#ff8fb0;--s2:#5fd0b1;--s3:#ffbe6b;--s4:#7cc4f0}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.25rem clamp(1rem,4vw,2.5rem) 3rem;max-width:68rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.2;margin:0}h2{font-size:1.05rem;margin:0 0 .6rem}h3{font-size:.9rem;margin:0 0 .3rem}
p{margin:.3rem 0}.soft,header p{color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1rem 1.25rem;margin-top:1.25rem}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));gap:1.25rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .55rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}
tr.best td{font-weight:700;color:var(--accent)}tr.chance td{color:var(--soft);border:0}
td small{color:var(--soft);font-weight:400}
svg{width:100%;height:auto;display:block;overflow:visible}
svg text{font-size:13px;fill:var(--ink)}svg .soft{fill:var(--soft)}svg .best{font-weight:700;fill:var(--accent)}
svg .axis{stroke:var(--line)}svg .blind{stroke:var(--soft);stroke-dasharray:3 3}
ol{margin:0;padding-left:1.2rem}li{margin:.4rem 0}li ul{list-style:none;padding:0;margin:.1rem 0;
color:var(--soft);font-size:.9rem}
li li{margin:0}.right{color:var(--s2)}
"""


def write(evaluation: Evaluation, path: Path | str) -> Path:
    """Write the page; returns where.

    Raises:
        FolderNotWritable, DiskFull: the file cannot be written; nothing is left behind.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.part")
    try:
        partial.write_text(page(evaluation), encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull from error
        raise FolderNotWritable(f"The report cannot be written to {target} ({error.strerror}).", hint="") from error
    return target


def page(found: Evaluation) -> str:
    """The evaluation as an HTML document."""
    told = f"By {found.label}: {found.clips} clips, {found.queries} of them asked"
    told += f", {found.left_out} more have nothing to find" if found.left_out else ""
    told += ", none by the query’s own artist listed" if found.exclude else ""
    parts = [_section("Side by side", _table(found)), _section("With their 95 % intervals", _intervals(found))]
    if known := _known(found):
        parts.append(_section("Known items: the share that is found first", known))
    parts.append(_section("Hubs", _hubs(found)))
    if curves := _curves(found):
        about = "P@5, where a share of the clips that have it loses a modality."
        parts.append(_section("With a modality missing", f'<p class="soft">{about}</p>{curves}'))
    if found.failures:
        parts.append(_section(f"Worst answers of {found.judged}", _failures(found)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>How well clips are found</title><style>{STYLE}</style></head><body>\n"
        f"<header><h1>How well clips are found</h1><p>{_text(told)}.</p></header>\n<main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{inside}</section>"


def _text(value: object) -> str:
    return html.escape(printable(value))


# Tables


def _table(found: Evaluation) -> str:
    heads = ("method", "P@1", "P@5", "P@10", "mAP", "NMI", "ARI", "skew", "never", "index recall", "fit", "a clip")
    rows = [_row(result, result.name == found.default) for result in found.results]
    blind = "".join(f"<td>{found.chance[name]:.3f}</td>" for name in ("p@1", "p@5", "p@10", "map"))
    rows.append(f'<tr class="chance"><td>chance</td>{blind}{"<td></td>" * (len(heads) - 5)}</tr>')
    sentences = [f"<p><strong>{_text(found.comparison)}</strong></p>"] if found.comparison else []
    sentences += [
        f'<p class="soft">Not measured: {_text(name)}. {_text(why)}</p>' for name, why in found.skipped.items()
    ]
    about = (
        f"{_text(found.default)} is the method that answers. Skew: how unevenly clips are recommended; never: the "
        "share that is in nobody’s first ten. Fit: seconds; a clip: milliseconds to embed one."
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        + "".join(sentences)
        + f'<p class="soft">{about}</p>'
    )


def _row(result: Result, best: bool) -> str:
    low, high = result.intervals["map"]
    cells = [
        f'<td title="{_text(result.about)}">{_text(result.name)}</td>',
        *(f"<td>{result.means[name]:.3f}</td>" for name in ("p@1", "p@5", "p@10")),
        f"<td>{result.means['map']:.3f} <small>±{(high - low) / 2:.3f}</small></td>",
        *(f"<td>{result.clusters[name]:.2f}</td>" if result.clusters else "<td>–</td>" for name in ("nmi", "ari")),
        f"<td>{result.hubs['skew']:.2f}</td><td>{_percent(result.hubs['never'])}</td>",
        f"<td>{'–' if result.index_recall is None else f'{result.index_recall:.3f}'}</td>",
        f"<td>{result.fit_seconds:.1f}</td><td>{1000 * result.embed_seconds:.1f}</td>",
    ]
    return f"<tr{' class=best' if best else ''}>{''.join(cells)}</tr>"


def _failures(found: Evaluation) -> str:
    items = []
    for failure in found.failures:
        answers = "".join(
            f"<li{' class=right' if clip.right else ''}>{'✓' if clip.right else '✗'} {_text(clip)}</li>"
            for clip in failure.found
        )
        items.append(
            f"<li><strong>{_text(failure.query)}</strong> "
            f'<span class="soft">average precision {failure.precision:.3f}; found first:</span><ul>{answers}</ul></li>'
        )
    return f"<ol>{''.join(items)}</ol>"


# Drawings


def _intervals(found: Evaluation) -> str:
    return _grid((title, "".join(_whiskers(found, name))) for title, name in (("P@5", "p@5"), ("mAP", "map")))


def _whiskers(found: Evaluation, measure: str) -> Iterator[str]:
    """A dot for each method, with its interval as a line; chance as a dashed one."""
    top = max([result.intervals[measure][1] for result in found.results], default=1.0) or 1.0
    place = _scale(top)
    high = ROW * len(found.results)
    yield _open(high + 20, f"{measure} of each method")
    yield _axis(top, high, place)
    blind = place(min(found.chance[measure], top))
    yield f'<line class="blind" x1="{blind:.1f}" x2="{blind:.1f}" y1="0" y2="{high}"/>'
    for number, result in enumerate(found.results):
        y = ROW * (number + 0.5)
        low, up = (place(end) for end in result.intervals[measure])
        colour = "var(--accent)" if result.name == found.default else "var(--soft)"
        yield _name(result.name, y, result.name == found.default, result.about)
        yield f'<line x1="{low:.1f}" x2="{up:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
        yield f'<circle cx="{place(result.means[measure]):.1f}" cy="{y}" r="5" fill="{colour}"/>'
        yield f'<text class="soft" x="{WIDE}" y="{y + 4}" text-anchor="end">{result.means[measure]:.3f}</text>'
    yield "</svg>"


def _known(found: Evaluation) -> str:
    drawings = []
    for kind in dict.fromkeys(kind for result in found.results for kind in result.known):
        told = {result.name: result.known[kind] for result in found.results if kind in result.known}
        count = next(iter(told.values()))["queries"]
        title = "second half by the first" if kind == "halves" else f"copies: {kind}"
        first = {name: each["recall@1"] for name, each in told.items()}
        drawings.append((f"{title} ({count:.0f})", _bars(found, first, 1.0, _percent)))
    return _grid(drawings)


def _hubs(found: Evaluation) -> str:
    skew = {result.name: result.hubs["skew"] for result in found.results}
    never = {result.name: result.hubs["never"] for result in found.results}
    return _grid(
        (
            ("skew of how often each clip is recommended", _bars(found, skew, max([1.0, *skew.values()]), _decimals)),
            ("share of clips never recommended", _bars(found, never, max([0.1, *never.values()]), _percent)),
        )
    )


def _bars(found: Evaluation, values: Mapping[str, float], top: float, told: Callable[[float], str]) -> str:
    """A bar for each method; below zero is none."""
    place = _scale(top)
    parts = [_open(ROW * len(values), "")]
    for number, (name, value) in enumerate(values.items()):
        y, wide = ROW * (number + 0.5), max(0.0, place(max(value, 0.0)) - NAMES)
        colour = "var(--accent)" if name == found.default else "var(--bar)"
        parts.append(_name(name, y, name == found.default))
        parts.append(f'<rect x="{NAMES}" y="{y - 7}" width="{wide:.1f}" height="14" rx="3" style="fill:{colour}"/>')
        parts.append(f'<text class="soft" x="{WIDE}" y="{y + 4}" text-anchor="end">{told(value)}</text>')
    return "".join([*parts, "</svg>"])


def _curves(found: Evaluation) -> str:
    methods = [result for result in found.results if result.missing]
    modalities = dict.fromkeys(modality for result in methods for modality in result.missing)
    return _grid((f"without {SENSES[modality]}", "".join(_lines(found, methods, modality))) for modality in modalities)


def _lines(found: Evaluation, methods: Sequence[Result], modality: str) -> Iterator[str]:
    shown = {result.name: result.missing[modality] for result in methods if modality in result.missing}  # type: ignore[index]
    top = max([point.precision for points in shown.values() for point in points], default=1.0) or 1.0
    left, right, foot = 40, WIDE - 90, CURVE

    def at(share: float, value: float) -> tuple[float, float]:
        return left + (right - left) * share, foot - (foot - 8) * value / top

    yield _open(CURVE + 22, f"P@5 without {SENSES[modality]}")  # type: ignore[index]
    for value in (0.0, top / 2, top):
        y = at(0, value)[1]
        yield f'<line class="axis" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="soft" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
    for point in next(iter(shown.values())):
        x = at(point.share, 0)[0]
        yield f'<text class="soft" x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{_percent(point.share)}</text>'
    heights: list[float] = []
    for name, points in sorted(shown.items(), key=lambda each: -each[1][-1].precision):
        colour = f"var(--s{METHODS.index(name) % 5})"  # type: ignore[arg-type]
        path = " ".join("{:.1f},{:.1f}".format(*at(p.share, p.precision)) for p in points)
        width = 3 if name == found.default else 1.6
        yield f'<polyline points="{path}" style="fill:none;stroke:{colour};stroke-width:{width}"/>'
        y = at(1, points[-1].precision)[1] + 4
        y = max(y, heights[-1] + 14) if heights else y  # one below the other where they would overlap
        heights.append(y)
        yield f'<text x="{right + 8}" y="{y:.1f}" style="fill:{colour}">{_text(name)}</text>'
    yield "</svg>"


def _grid(drawings: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> str:
    inside = "".join(f"<div><h3>{_text(title)}</h3>{drawing}</div>" for title, drawing in drawings)
    return f'<div class="grid">{inside}</div>' if inside else ""


def _open(high: float, told: str) -> str:
    label = f' aria-label="{_text(told)}"' if told else ""
    return f'<svg viewBox="0 0 {WIDE} {high}" role="img"{label}>'


def _scale(top: float) -> Callable[[float], float]:
    return lambda value: NAMES + (WIDE - NAMES - VALUES) * value / top


def _axis(top: float, high: float, place: Callable[[float], float]) -> str:
    step = next(step for step in (0.05, 0.1, 0.2, 0.25, 1.0) if top / step <= 5)
    lines = []
    for number in range(int(top / step) + 1):
        x = place(number * step)
        lines.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{high}"/>')
        lines.append(f'<text class="soft" x="{x:.1f}" y="{high + 15}" text-anchor="middle">{number * step:.2g}</text>')
    return "".join(lines)


def _name(name: str, y: float, best: bool, about: str = "") -> str:
    told = f"<title>{_text(about)}</title>" if about else ""
    return f'<text{" class=best" if best else ""} x="0" y="{y + 4}">{told}{_text(name)}</text>'


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _decimals(value: float) -> str:
    return f"{value:.2f}"
