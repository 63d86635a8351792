"""`python -m bot` and the `clipsim-bot` script: the Discord bot and the web page in one process."""

from bot.app import main

if __name__ == "__main__":
    main()
