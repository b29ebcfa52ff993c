"""``python -m skipseg`` is the command ``skipseg``."""

from skipseg.service.cli import main

if __name__ == "__main__":
    main()
