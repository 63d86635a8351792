"""Discord on the wire: a REST API and a gateway on this machine that refuse what Discord refuses.

async with FakeDiscord() as discord:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bot", env=discord.environment(os.environ))
    await discord.connected()
    await discord.say("general", "ann", "https://youtu.be/…")
    reply = await discord.wait_for_message(lambda message: message.embeds, timeout=30)
"""

from tests.doubles.discord.objects import INTENT_MESSAGE_CONTENT, Interaction, Message, Permission
from tests.doubles.discord.rules import Refusal
from tests.doubles.discord.server import FakeDiscord, Recorded

__all__ = [
    "INTENT_MESSAGE_CONTENT",
    "FakeDiscord",
    "Interaction",
    "Message",
    "Permission",
    "Recorded",
    "Refusal",
]
