"""What the bot says to whoever runs it, at start and in the log: English, as logs are."""

from __future__ import annotations

PERMISSIONS = (
    "view_channel",
    "send_messages",
    "send_messages_in_threads",
    "embed_links",
    "attach_files",
    "read_message_history",
    "add_reactions",
    "create_public_threads",
)


def token_help(permissions: int) -> str:
    """How to get a token; `permissions` is the number that the invite link asks for."""
    return f"""\
DISCORD_TOKEN is not set, so only the web page is served. To have the bot as well:
  1. Open https://discord.com/developers/applications and press “New Application”.
  2. Under “Bot”, press “Reset Token” and copy the token.
  3. On the same page, switch on “Message Content Intent” (without it, pasted links go unseen; commands still work).
  4. Open this link, with your application's id in place of APPLICATION_ID, and choose your server:
     {invite("APPLICATION_ID", permissions)}
  5. Start again with DISCORD_TOKEN=… in the environment or in a file named .env."""


def invite(application: int | str, permissions: int) -> str:
    """The link that adds the bot to a server."""
    return (
        f"https://discord.com/oauth2/authorize?client_id={application}"
        f"&scope=bot+applications.commands&permissions={permissions}"
    )


def page_at(address: str) -> str:
    """Where the web page is."""
    return f"The web page is at {address}"


def youtube_pauses(problem: str, until: str, waiting: int) -> str:
    """On the web page, while YouTube is left alone; `until` is a time of day."""
    links = "No link waits." if waiting == 0 else "1 link waits." if waiting == 1 else f"{waiting} links wait."
    return f"{problem} YouTube is asked again at about {until} UTC. {links}"


REFUSED = "Discord refuses DISCORD_TOKEN: copy it again from https://discord.com/developers/applications, under “Bot”."
NO_CONTENT_INTENT = (
    "Discord does not grant the message-content intent, so pasted links go unseen; commands and the message menu work. "
    "Switch it on at https://discord.com/developers/applications, under “Bot”, or set CLIPSIM_MESSAGE_CONTENT=false."
)


def closed(code: int) -> str:
    """The gateway closed for good."""
    return (
        f"Discord closed the connection for good (code {code}): see the gateway close codes in Discord's documentation."
    )


def port_in_use(host: str, port: int) -> str:
    """Another program listens where the web page should."""
    return (
        f"Port {port} of {host} is in use by another program: stop it, or set CLIPSIM_WEB_PORT (0 takes any free one)."
    )


def cannot_listen(host: str, port: int, reason: str) -> str:
    """The web page's address cannot be used."""
    return (
        f"The web page cannot be served at {host}, port {port} ({reason}): check CLIPSIM_WEB_HOST and CLIPSIM_WEB_PORT."
    )
