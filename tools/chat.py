"""A reply as a chat shows it: an embed and its parts as an HTML page, which a browser draws as a picture."""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import discord
from discord import ui

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--force-device-scale-factor=1",
    ),
)
WIDTH, TALLEST = 680, 2400  # pixels
COLOURS = 200  # of a picture: they are flat, and this keeps them small

STYLE = """
* { box-sizing: border-box }
body { margin: 0; background: #313338; color: #dbdee1;
  font: 16px/1.375 'Noto Sans', 'DejaVu Sans', sans-serif }
main { padding: 16px 16px 20px 72px; position: relative }
img.me { position: absolute; left: 16px; top: 18px; width: 40px; height: 40px; border-radius: 50%;
  background: #5b8def; padding: 7px }
.used { color: #949ba4; font-size: 14px; margin: 0 0 6px }
.used b { color: #00a8fc; font-weight: 500 }
.who b { color: #f2f3f5; font-weight: 500 }
.who i { background: #5865f2; color: #fff; font: 500 10px/15px sans-serif; border-radius: 3px; padding: 1px 4px;
  margin: 0 6px; vertical-align: 2px }
.who small { color: #949ba4; font-size: 12px }
.embed { background: #2b2d31; border-left: 4px solid; border-radius: 4px; margin-top: 6px;
  padding: 12px 16px 14px 12px; max-width: 520px; display: grid; grid-template-columns: 1fr auto; gap: 0 14px }
.embed > * { min-width: 0; overflow-wrap: anywhere }
.title { font-weight: 600; color: #f2f3f5; margin-bottom: 6px }
a, .title a { color: #00a8fc }
.text { font-size: 14px; line-height: 18px; white-space: pre-wrap; grid-column: 1 }
.foot { font-size: 12px; margin-top: 8px; grid-column: 1 }
.thumb { width: 80px; height: 80px; border-radius: 4px; object-fit: cover; grid-row: 1 / 4; grid-column: 2 }
.image { grid-column: 1 / 3; margin-top: 12px; width: 100%; border-radius: 4px }
code { background: #1e1f22; border-radius: 3px; padding: 0 3px; font: 12.5px/16px 'DejaVu Sans Mono', monospace }
.t { background: #3f4248; border-radius: 3px; padding: 0 2px }
.e { height: 1.15em; width: 1.15em; vertical-align: -.22em }
.row { display: flex; gap: 8px; margin-top: 8px; max-width: 520px; flex-wrap: wrap }
.b { background: #4e5058; color: #fff; border-radius: 3px; font-size: 14px; line-height: 16px; font-weight: 500;
  padding: 8px 14px; white-space: nowrap }
.b.s1 { background: #5865f2 }
.b.s3 { background: #248046 }
.b.s4 { background: #da373c }
.b.off { opacity: .5 }
.select { flex: 1; background: #1e1f22; border: 1px solid #1a1b1e; border-radius: 4px; padding: 10px 12px;
  font-size: 14px; display: flex; justify-content: space-between; color: #949ba4 }
.private { color: #949ba4; font-size: 12px; margin-top: 6px }
"""
MARK = (
    "data:image/svg+xml;base64,"
    + base64.b64encode((ROOT / "bot" / "web" / "static" / "icon.svg").read_bytes()).decode()
)


ICONS = {  # not every machine has a font of emoji
    "🎧": '<path d="M4 15v-3a8 8 0 0 1 16 0v3" stroke="#aab2bd" stroke-width="2.4" fill="none"/><rect x="2.5" y="13" '
    'width="5" height="8" rx="2" fill="#5c93ce"/><rect x="16.5" y="13" width="5" height="8" rx="2" fill="#5c93ce"/>',
    "👁": '<path d="M1.5 12Q12 2 22.5 12 12 22 1.5 12Z" fill="#f5f8fa"/><circle cx="12" cy="12" r="4.6" fill="#4289c1"/>'
    '<circle cx="12" cy="12" r="2.2" fill="#14171a"/>',
    "📝": '<rect x="4" y="3" width="14" height="18" rx="1.5" fill="#e1e8ed"/><path d="M7 8h8M7 12h8M7 16h4" '
    'stroke="#99aab5" stroke-width="1.6"/><path d="M13 18l7-9 2.4 1.8-7 9-3 1z" fill="#d99e82"/>',
    "👍": '<path d="M8 21h8.5a2 2 0 0 0 2-1.6l1.4-7a2 2 0 0 0-2-2.4H13l1-5c.2-1.6-2-2.6-2.8-1L8 10z" fill="#ffdb5e"/>'
    '<rect x="3.5" y="10" width="4" height="11" rx="1" fill="#ee9547"/>',
    "👎": '<g transform="rotate(180 12 12)"><path d="M8 21h8.5a2 2 0 0 0 2-1.6l1.4-7a2 2 0 0 0-2-2.4H13l1-5c.2-1.6-2'
    '-2.6-2.8-1L8 10z" fill="#ffdb5e"/><rect x="3.5" y="10" width="4" height="11" rx="1" fill="#ee9547"/></g>',
    "⏳": '<path d="M6 2h12v2l-4.5 8L18 20v2H6v-2l4.5-8L6 4z" fill="#ffe8b6"/>'
    '<path d="M8.5 20l3.5-4 3.5 4z" fill="#ffac33"/><rect x="5" y="1.5" width="14" height="2.2" fill="#3b88c3"/>'
    '<rect x="5" y="20.3" width="14" height="2.2" fill="#3b88c3"/>',
}


@dataclass(frozen=True)
class Reply:
    """One reply: what was asked, the embed, its parts, the picture that is attached, and who sees it."""

    name: str
    asked: str
    embed: discord.Embed
    view: ui.View | None = None
    picture: bytes | None = None
    private: bool = False


# As a chat shows it


def markdown(text: str) -> str:
    """Discord's Markdown, as far as the bot writes it."""
    kept: list[str] = []

    def keep(shown: str) -> str:
        kept.append(shown)
        return f"\x00{len(kept) - 1}\x00"

    text = re.sub(r"\\([\\*_~`|<>&\-+#=.:/)(])", lambda found: keep(html.escape(found[1])), text)
    text = re.sub(r"<t:(\d+):R>", lambda _: keep('<span class="t">in a day</span>'), text)
    text = re.sub(r"<@&?\d+>", lambda _: keep("<a>@ann</a>"), text)
    text = re.sub(r"<#\d+>", lambda _: keep("<a>#music</a>"), text)
    text = html.escape(text)
    text = re.sub(r"`([^`]+)`", lambda found: keep(f"<code>{found[1]}</code>"), text)
    text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"<a>\1</a>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    for _ in range(3):
        text = re.sub("\x00(\\d+)\x00", lambda found: kept[int(found[1])], text)
    return text


def page(reply: Reply, thumbnail: str) -> str:
    """The reply as an HTML document; `thumbnail` stands for the video's picture, which is on the network."""
    embed = reply.embed
    colour = f"#{embed.colour.value:06x}" if embed.colour else "#1e1f22"
    title = markdown(embed.title or "")
    title = f'<div class="title">{f"<a>{title}</a>" if embed.url else title}</div>' if title else ""
    thumb = f'<img class="thumb" src="{thumbnail}">' if embed.thumbnail.url else ""
    text = f'<div class="text">{markdown(embed.description or "")}</div>'
    foot = f'<div class="foot">{html.escape(embed.footer.text)}</div>' if embed.footer.text else ""
    image = ""
    if reply.picture is not None:
        image = f'<img class="image" src="data:image/png;base64,{base64.b64encode(reply.picture).decode()}">'
    rows = [] if reply.view is None else reply.view.to_components()
    parts = "".join(f'<div class="row">{"".join(map(part, row["components"]))}</div>' for row in rows)
    private = '<div class="private">👁 Only you can see this</div>' if reply.private else ""
    shown = (
        f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><main><img class="me" src="{MARK}">'
        f'<div class="used">{reply.asked}</div>'
        '<div class="who"><b>clipsim</b><i>APP</i><small>Today at 20:15</small></div>'
        f'<div class="embed" style="border-color:{colour}">{title}{thumb}{text}{foot}{image}</div>'
        f"{parts}{private}</main>"
    )
    for sign, drawn in ICONS.items():
        shown = re.sub(f"{sign}\ufe0f?", f'<svg class="e" viewBox="0 0 24 24">{drawn}</svg>', shown)
    return shown


def part(component: dict[str, Any]) -> str:
    """A button or a select."""
    if component["type"] == 2:
        off = " off" if component.get("disabled") else ""
        link = " ↗" if component["style"] == 5 else ""
        return f'<span class="b s{component["style"]}{off}">{html.escape(component["label"])}{link}</span>'
    return f'<div class="select"><span>{html.escape(component.get("placeholder") or "")}</span><span>⌄</span></div>'


def draw(replies: list[Reply], folder: Path, thumbnail: str) -> list[Path]:
    """Each reply as a PNG in the folder."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit("No Chromium is installed, which draws the pictures.")
    made = []
    with tempfile.TemporaryDirectory() as scratch:
        for reply in replies:
            source, target = Path(scratch) / "reply.html", folder / f"{reply.name}.png"
            source.write_text(page(reply, thumbnail), encoding="utf-8")
            size = f"--window-size={WIDTH},{TALLEST}"
            profile = f"--user-data-dir={scratch}/profile"
            command = [browser, *FLAGS, size, profile, f"--screenshot={target}", source.as_uri()]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            shrink(target)
            made.append(target)
    return made


def shrink(file: Path) -> None:
    """Cut the empty ground below, and keep few colours."""
    from PIL import Image

    with Image.open(file) as opened:
        image = opened.convert("RGB")
    ground = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
    from PIL import ImageChops

    box = ImageChops.difference(image, ground).getbbox()
    image = image.crop((0, 0, image.width, min(image.height, (box[3] if box else 0) + 20)))
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
