"""The map as a page: one file with its own drawing, style and script; nothing is fetched from anywhere."""

from __future__ import annotations

import html
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np

from clipsim.map import THEMES, Scene, Theme, name
from clipsim.model import Clip
from clipsim.titles import printable

SIDE = 1000  # units of the drawing's side

STYLE = """
*{box-sizing:border-box}body{margin:0;font:15px/1.4 system-ui,sans-serif;background:var(--ground);color:var(--text);
display:grid;grid-template-columns:1fr minmax(14rem,20rem);height:100vh}
main{min-width:0;position:relative}svg{width:100%;height:100%;display:block;touch-action:none;cursor:grab}
aside{padding:1.4rem 1.2rem;overflow:auto;border-left:1px solid var(--line)}h1{font-size:1.25rem;margin:0}
p{margin:.2rem 0 1rem;color:var(--faint)}ul{list-style:none;margin:0;padding:0}
li button{all:unset;display:flex;gap:.6rem;width:100%;padding:.3rem .4rem;border-radius:.4rem;cursor:pointer;
align-items:center}li button:hover,li button:focus-visible,li button[aria-pressed=true]{background:var(--line)}
li i{width:.8rem;height:.8rem;border-radius:50%;flex:none}li span{flex:1}li small{color:var(--faint)}
input{width:100%;padding:.5rem .7rem;margin:0 0 1rem;border:1px solid var(--line);border-radius:.5rem;
background:transparent;color:inherit;font:inherit}
circle{stroke:var(--ground);stroke-width:1.2}a:hover circle,a:focus circle,
circle.marked{stroke:var(--text);stroke-width:3}
.quiet{opacity:.1}text{font-weight:700;text-anchor:middle;fill:var(--text);paint-order:stroke;stroke:var(--ground);
stroke-width:5px;stroke-linejoin:round;pointer-events:none}
#tip{position:fixed;pointer-events:none;background:var(--text);color:var(--ground);padding:.3rem .6rem;
border-radius:.4rem;max-width:22rem;display:none;z-index:2}
@media(max-width:50rem){body{grid-template-columns:1fr;grid-template-rows:60vh auto;height:auto}}
"""

SCRIPT = """
const svg=document.querySelector('svg'),tip=document.getElementById('tip'),dots=[...svg.querySelectorAll('[data-c]')];
const input=document.querySelector('input'),buttons=[...document.querySelectorAll('li button')];let only=null;
function show(){const words=input.value.toLowerCase();for(const d of dots){const fits=(only===null||d.dataset.c===only)
&&d.dataset.t.toLowerCase().includes(words);d.classList.toggle('quiet',!fits)}
for(const b of buttons)b.setAttribute('aria-pressed',b.dataset.c===only)}
input.addEventListener('input',show);
for(const b of buttons)b.addEventListener('click',()=>{only=only===b.dataset.c?null:b.dataset.c;show()});
svg.addEventListener('pointermove',e=>{const d=e.target.closest('[data-t]');tip.style.display=d?'block':'none';
if(d){tip.textContent=d.dataset.t;tip.style.left=Math.min(e.clientX+14,innerWidth-tip.offsetWidth-8)+'px';
tip.style.top=(e.clientY+16)+'px'}});
svg.addEventListener('pointerleave',()=>tip.style.display='none');
let box=svg.viewBox.baseVal,from=null;
svg.addEventListener('wheel',e=>{e.preventDefault();const p=new DOMPoint(e.clientX,e.clientY)
.matrixTransform(svg.getScreenCTM().inverse()),f=e.deltaY<0?.85:1/.85;if(box.width*f>4000||box.width*f<40)return;
box.x=p.x-(p.x-box.x)*f;box.y=p.y-(p.y-box.y)*f;box.width*=f;box.height*=f},{passive:false});
svg.addEventListener('pointerdown',e=>{from=[e.clientX,e.clientY]});
addEventListener('pointerup',()=>from=null);
addEventListener('pointermove',e=>{if(!from)return;const s=svg.getScreenCTM().a;box.x-=(e.clientX-from[0])/s;
box.y-=(e.clientY-from[1])/s;from=[e.clientX,e.clientY]});
"""


def page(scene: Scene, theme: Theme) -> str:
    """The scene as an HTML document. Titles and links come from strangers: all are escaped, and only web links kept."""
    clips, clusters = len(scene.clips), len(scene.clusters)
    told = f"{clips} clip{'s' * (clips != 1)} in {clusters} cluster{'s' * (clusters != 1)}: near is alike."
    line = "#2a2e38" if theme is THEMES["dark"] else "#e3e3de"
    colours = f"--ground:{theme.ground};--text:{theme.text};--faint:{theme.faint};--line:{line}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>The library, clip by clip</title><style>:root{{{colours}}}{STYLE}</style></head><body>\n"
        f'<main><svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{html.escape(told)}">\n'
        + "\n".join([*_dots(scene, theme), *_labels(scene)])
        + "\n</svg></main>\n<aside><h1>The library, clip by clip</h1><p>"
        + html.escape(told)
        + '</p><input type="search" placeholder="Find a title" aria-label="Find a title"><ul>\n'
        + "\n".join(_legend(scene))
        + f'\n</ul></aside><div id="tip"></div><script>{SCRIPT}</script></body></html>\n'
    )


def _dots(scene: Scene, theme: Theme) -> Iterator[str]:
    cluster_of: dict[int, tuple[int, str]] = {}
    quiet: set[int] = set() if scene.lit is None else set(range(len(scene.clips)))
    for cluster, rows, colour in zip(scene.clusters, scene.groups(), scene.colours(), strict=True):
        cluster_of |= {int(row): (cluster.id, colour) for row in rows}
        if scene.shines(cluster):
            quiet -= set(map(int, rows))
    radius = float(np.clip(60 / np.sqrt(max(len(scene.clips), 1)), 3, 11))
    for row, clip in enumerate(scene.clips):
        number, colour = cluster_of.get(row, (0, theme.faint))
        x, y = _place(scene.points[row])
        told = html.escape(printable(name(clip)))
        marked = ' class="marked"' if clip.id in scene.marked else ""
        dot = (
            f'<circle{marked} cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"><title>{told}</title></circle>'
        )
        kind, link = ("a", _link(clip)) if _link(clip) else ("g", "")
        dimmed = ' class="quiet"' if row in quiet and not marked else ""
        yield f'<{kind}{dimmed}{link} data-c="{number}" data-t="{told}">{dot}</{kind}>'


def _labels(scene: Scene) -> Iterator[str]:
    heights: list[tuple[float, float]] = []
    for cluster, rows in zip(scene.clusters, scene.groups(), strict=True):
        if not len(rows):
            continue
        x, y = _place(np.median(scene.points[rows], axis=0))
        while any(abs(y - other[1]) < 22 and abs(x - other[0]) < 220 for other in heights):
            y += 23
        heights.append((x, y))
        yield f'<text x="{x:.1f}" y="{y:.1f}" font-size="17">{html.escape(printable(cluster.label))}</text>'


def _legend(scene: Scene) -> Iterator[str]:
    for cluster, colour in zip(scene.clusters, scene.colours(), strict=True):
        yield (
            f'<li><button type="button" data-c="{cluster.id}" aria-pressed="false"><i style="background:{colour}"></i>'
            f"<span>{html.escape(printable(cluster.label))}</span><small>{cluster.size}</small></button></li>"
        )


def _place(point: np.ndarray) -> tuple[float, float]:
    return SIDE * (0.5 + 0.45 * float(point[0])), SIDE * (0.5 - 0.45 * float(point[1]))


def _link(clip: Clip) -> str:
    if not clip.url or urlsplit(clip.url).scheme not in ("http", "https"):
        return ""
    return f' href="{html.escape(clip.url)}" target="_blank" rel="noopener noreferrer"'
