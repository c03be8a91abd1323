"""Keeping PySide6 from reading the source of everything that is imported beside it."""

from __future__ import annotations

import contextlib
import importlib


def spare_sources() -> None:
    """Call it before anything else of the application is imported.

    PySide6 looks for its own name in the source of every module that is imported after it, to learn whether
    that module may switch on "snake_case". Nothing here does; what the look costs is six megabytes of texts
    that Python keeps, and a third of the start. Where PySide6 has changed inside, nothing happens.
    """
    importlib.import_module("PySide6.QtCore")
    with contextlib.suppress(ImportError, AttributeError):
        feature = importlib.import_module("shibokensupport.feature")
        if callable(feature._mod_uses_pyside):  # noqa: SLF001 - there is no public switch
            feature._mod_uses_pyside = _uses_pyside  # type: ignore[attr-defined] # noqa: SLF001


def _uses_pyside(module: object) -> bool:
    return str(getattr(module, "__name__", "")).startswith("PySide6")
