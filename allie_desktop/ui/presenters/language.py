"""Translation for modules that know nothing of Qt.

``translate(context, text)`` is found by lupdate under its name, like Qt's own. Until somebody installs a
translator, texts stay as they are written.
"""

from __future__ import annotations

from collections.abc import Callable

Translator = Callable[[str, str], str]


class _Installed:
    translator: Translator | None = None


def install(translator: Translator | None) -> None:
    """Use ``translator`` from now on (``QCoreApplication.translate``), or none."""
    _Installed.translator = translator


def translate(context: str, text: str) -> str:
    """Return ``text`` in the person's language."""
    translator = _Installed.translator
    return text if translator is None else translator(context, text)
