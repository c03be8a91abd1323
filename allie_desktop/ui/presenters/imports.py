"""What an import did, in words."""

from __future__ import annotations

from allie_desktop.domain.conversation import ImportSummary
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.words import conversations_words


def import_words(summary: ImportSummary) -> str:
    """Return one or two sentences: what is new, what was known, what could not be read and why."""
    new, known, refused = summary.imported, summary.duplicates, len(summary.refused)
    if new:
        sentence = translate("Import", "{what} imported").format(what=conversations_words(new))
    elif known:
        sentence = translate("Import", "Nothing new")
    else:
        sentence = translate("Import", "Nothing imported")
    if known:
        sentence += translate("Import", ", {count} known already").format(count=f"{known:,}")
    if refused:
        sentence += translate("Import", ", {count} could not be read").format(count=f"{refused:,}")
        sentence += f" ({summary.refused[0].reason.rstrip('.')})"
    return sentence + "."
