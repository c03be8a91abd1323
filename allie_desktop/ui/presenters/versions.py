"""Versions in plain words: the lineage, one of them, and two beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from allie_desktop.domain.versions import BASE, ActivePointer, Version, VersionName
from allie_desktop.services.report import MEASURE_NAMES, number
from allie_desktop.ui.presenters.episodes import gain_words
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.words import conversations_words, moment_words


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A line of the lineage; the base model is the last. ``badges``: words and tone."""

    name: str
    title: str
    detail: str
    badges: tuple[tuple[str, str], ...]
    when: str
    active: bool
    fallback: bool
    pinned: bool
    tainted: str
    parent: str
    episode_id: str
    path: str
    conversations: int
    metrics: Mapping[str, object]

    @property
    def is_base(self) -> bool:
        """Whether it is the untouched base model."""
        return self.name == BASE

    @property
    def may_be_deleted(self) -> bool:
        """Whether deleting it would take nothing away that is in use."""
        return not (self.is_base or self.active or self.fallback)


def lineage(versions: Sequence[Version], pointer: ActivePointer, now: datetime) -> tuple[VersionRow, ...]:
    """Return all versions, newest first, and the base model at the end."""
    newest_first = sorted(versions, key=lambda one: VersionName.parse(one.metadata.version), reverse=True)
    rows = [_row(one, pointer, now) for one in newest_first]
    rows.append(
        VersionRow(
            name=BASE,
            title=translate("Versions", "Base model"),
            detail=translate("Versions", "As it came, before anything was learnt. It is never changed."),
            badges=_badges(BASE, pointer, pinned=False, tainted=""),
            when="",
            active=pointer.active == BASE,
            fallback=pointer.fallback == BASE and pointer.active != BASE,
            pinned=False,
            tainted="",
            parent="",
            episode_id="",
            path="",
            conversations=0,
            metrics={},
        )
    )
    return tuple(rows)


def comparison(left: VersionRow, right: VersionRow) -> tuple[tuple[str, str, str], ...]:
    """Return name and both values of every measure that one of the two has."""
    rows = []
    for name, words in MEASURE_NAMES.items():
        one, two = _candidate(left.metrics, name), _candidate(right.metrics, name)
        if one is not None or two is not None:
            rows.append((translate("Episodes", words), one or "–", two or "–"))
    learnt = ["–" if one.is_base else f"{one.conversations:,}" for one in (left, right)]
    rows.append((translate("Versions", "Conversations learnt from"), learnt[0], learnt[1]))
    return tuple(rows)


def measures(row: VersionRow) -> tuple[tuple[str, str, str, str], ...]:
    """Return name, and the values under the base model, before and after."""
    known = row.metrics.get("measures")
    if not isinstance(known, Mapping):
        return ()
    rows = []
    for name, words in MEASURE_NAMES.items():
        measure = known.get(name)
        if isinstance(measure, Mapping):
            base, before, after = (_shown(measure, arm) for arm in ("base", "active", "candidate"))
            rows.append((translate("Episodes", words), base, before, after))
    return tuple(rows)


def _row(version: Version, pointer: ActivePointer, now: datetime) -> VersionRow:
    metadata = version.metadata
    name = metadata.version
    gain = gain_words(metadata.metrics)
    learnt = translate("Versions", "Learnt from {material}").format(
        material=conversations_words(metadata.conversations)
    )
    return VersionRow(
        name=name,
        title=name,
        detail=gain or learnt,
        badges=_badges(name, pointer, pinned=version.pinned, tainted=version.tainted),
        when=moment_words(metadata.created_at, now),
        active=pointer.active == name,
        fallback=pointer.fallback == name and pointer.active != name,
        pinned=version.pinned,
        tainted=version.tainted,
        parent=metadata.parent or BASE,
        episode_id=metadata.episode_id,
        path=version.path,
        conversations=metadata.conversations,
        metrics=metadata.metrics,
    )


def _badges(name: str, pointer: ActivePointer, *, pinned: bool, tainted: str) -> tuple[tuple[str, str], ...]:
    made = []
    if pointer.active == name:
        made.append((translate("Versions", "answers now"), "success"))
    elif pointer.fallback == name:
        made.append((translate("Versions", "kept for undo"), "accent"))
    if pinned:
        made.append((translate("Versions", "pinned"), ""))
    if tainted:
        made.append((translate("Versions", "learnt something forgotten"), "warning"))
    return tuple(made)


def _candidate(metrics: Mapping[str, object], name: str) -> str | None:
    known = metrics.get("measures")
    measure = known.get(name) if isinstance(known, Mapping) else None
    return _shown(measure, "candidate") if isinstance(measure, Mapping) else None


def _shown(measure: Mapping[str, object], arm: str) -> str:
    value = measure.get(arm)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–"
    return number(float(value), str(measure.get("unit", "")))
