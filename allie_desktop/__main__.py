"""The program's entry point: ``allie``, ``python -m allie_desktop`` and a frozen build all start here."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    from allie_desktop.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
