"""Small values in files of the Linux kernel. A file that cannot be read is a value that is not there."""

from __future__ import annotations

from pathlib import Path


def kernel_text(file: Path) -> str:
    """Return the content without blanks around it, empty when there is none."""
    try:
        with open(file, encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:  # also what a driver answers that has no value just now
        return ""


def kernel_number(file: Path) -> float | None:
    """Return the content as a number, None when it is none."""
    try:
        return float(kernel_text(file))
    except ValueError:
        return None
