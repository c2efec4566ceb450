"""``python -m emlib`` is the command ``emlib``."""

from emlib.cli import main

if __name__ == "__main__":
    main()
