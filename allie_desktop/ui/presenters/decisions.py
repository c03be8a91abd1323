"""Decisions about learning in plain words: what was decided, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from allie_desktop.domain.requests import DecisionRecord
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.words import moment_words

#: What every hold's words begin with; the decision says it already.
_PREFIX = "Waiting: "


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A line of the diary."""

    when: str
    decision: str
    why: str


def decision_row(record: DecisionRecord, now: datetime) -> DecisionRow:
    """Return a line of the diary. The most telling reason comes first."""
    why = reason_words(record.reasons)
    if not why and record.start:
        why = translate("Decisions", "Nothing stands in the way any more")
    return DecisionRow(when=moment_words(record.at, now), decision=_decision(record), why=why)


def reason_words(reasons: Sequence[str]) -> str:
    """Return reasons as one line; empty where there is nothing to say."""
    parts = [reason.removeprefix(_PREFIX).strip().rstrip(".") for reason in reasons]
    told = "; ".join(part for part in parts if part)
    return told[:1].upper() + told[1:]


def _decision(record: DecisionRecord) -> str:
    if record.start:
        return translate("Decisions", "Went on") if record.running else translate("Decisions", "May learn")
    return translate("Decisions", "Made way") if record.running else translate("Decisions", "Waited")
