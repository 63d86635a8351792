"""The bot as one writes it at first: each handler does its work, in the order in which it comes, in the event loop.

The same commands, discord.py and yt-dlp; the clip is fetched, heard and compared where the message arrives, and a
command answers when it knows what to say. `bench_bot` starts it between the same doubles as the real one.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import discord
import numpy as np
from discord import app_commands

from tests.doubles.crowd import CLIPS
from tests.doubles.light import HEARD

LINK = re.compile(r"https://youtu\.be/([\w-]{11})")
(part,) = HEARD.parts
ear = part.load()
ear.encode(np.random.default_rng(0).standard_normal(22_050 * 4).astype(np.float32))  # compiled before anybody comes
vectors = {f"Old song {n}": row for n, row in enumerate(np.random.default_rng(0).standard_normal((CLIPS, part.size)))}

client = discord.Client(
    intents=discord.Intents(guilds=True, guild_messages=True, message_content=True),
    allowed_mentions=discord.AllowedMentions.none(),
)
tree = app_commands.CommandTree(client)


def nearest(title: str) -> str:
    """The five clips most like one."""
    seed = vectors[title]
    cosine = {name: row @ seed / np.linalg.norm(row) / np.linalg.norm(seed) for name, row in vectors.items()}
    best = sorted(cosine, key=lambda name: -cosine[name])[1:6]
    return "\n".join([title, *(f"{name} {cosine[name]:.2f}" for name in best)])


def fetch(video: str) -> str:
    """Fetch and hear a clip; returns its title."""
    import yt_dlp

    from clipsim.media import decode_audio

    with tempfile.TemporaryDirectory() as folder:
        options = {"format": "ba", "outtmpl": f"{folder}/clip.%(ext)s", "quiet": True, "noprogress": True}
        with yt_dlp.YoutubeDL(options) as ydl:
            info = ydl.extract_info(f"https://www.youtube.com/watch?v={video}")
        (file,) = Path(folder).iterdir()
        vectors[info["title"]] = ear.encode(decode_audio(file, 600.0)).vector
    return str(info["title"])


@client.event
async def on_ready() -> None:
    await tree.sync()


@client.event
async def on_message(message: discord.Message) -> None:
    if found := LINK.search(message.content):
        await message.reply(nearest(fetch(found[1])))


@tree.command(description="similar clips")
async def similar(interaction: discord.Interaction, clip: str) -> None:
    await interaction.response.send_message(nearest(clip))


@similar.autocomplete("clip")
async def complete(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=name, value=name) for name in vectors if typed.lower() in name.lower()][:25]


@tree.command(description="how many clips")
async def library(interaction: discord.Interaction) -> None:
    await interaction.response.send_message(f"{len(vectors)} clips")


@tree.command(name="help", description="what there is")
async def help_(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("similar, library, help")


if __name__ == "__main__":
    client.run(os.environ["DISCORD_TOKEN"], log_handler=None)
