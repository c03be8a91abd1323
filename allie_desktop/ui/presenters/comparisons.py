"""Blind comparisons in words."""

from __future__ import annotations

from allie_desktop.domain.comparison import Choice, Preference
from allie_desktop.ui.presenters.language import translate


def outcome_words(choice: Choice, letter: str) -> str:
    """Return in a line whose answers they were, after a choice; ``letter`` is that of the new one."""
    words = {
        Choice.NEW: translate("Comparisons", "{letter} was the new version: you preferred it."),
        Choice.OLD: translate("Comparisons", "{letter} was the new version: you preferred the one before."),
        Choice.SAME: translate("Comparisons", "{letter} was the new version."),
        Choice.SKIPPED: translate("Comparisons", "Skipped."),
    }
    return words[choice].format(letter=letter)


def preference_words(preference: Preference) -> str:
    """Return how often the new version was preferred, and how sure that is; empty where nothing was judged."""
    interval = preference.interval
    if interval is None:
        return ""
    count = preference.comparisons
    if count == 1:
        told = {
            (1, 0): translate("Comparisons", "You preferred its answer in the one blind comparison so far."),
            (0, 1): translate(
                "Comparisons", "You preferred the answer before in the one blind comparison so far."
            ),
        }.get(
            (preference.new, preference.old),
            translate("Comparisons", "You saw no difference in the one blind comparison so far."),
        )
    else:
        told = translate("Comparisons", "You preferred its answers in {new} of {count} blind comparisons")
        told = told.format(new=preference.new, count=count)
        if preference.same:
            told += translate("Comparisons", " and saw no difference in {same}").format(same=preference.same)
        told += "."
    likely = translate(
        "Comparisons",
        "From so few, its answers may be better in {low:.0f} % to {high:.0f} % of cases (95 % sure).",
    )
    return f"{told} {likely.format(low=100 * interval.low, high=100 * interval.high)}"
