"""Stand-ins for the world outside: media made by code, YouTube behind real yt-dlp, Discord on the wire."""
