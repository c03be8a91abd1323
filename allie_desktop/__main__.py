"""The program's entry point: ``allie``, ``python -m allie_desktop`` and a frozen build all start here."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    from allie_desktop.cli.desktop_start import quick_start

    signal.signal(signal.SIGTERM, _leave)
    code = quick_start(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    from allie_desktop.cli.app import run

    sys.exit(run(sys.argv[1:]))


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    # Python would die on the spot; this way files are closed and throw-away folders are thrown away.
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
