"""`python -m clipsim` and the `clipsim` script."""

from clipsim.cli import main

if __name__ == "__main__":
    main()
