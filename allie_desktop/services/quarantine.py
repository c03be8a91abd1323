"""Keep sudden shifts of a source out of learning until a person looked at them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from allie_desktop.domain.errors import BadInputError, UnknownConversationError
from allie_desktop.domain.ports import Alert, AlertRepository, Candidate, Clock, ConversationRepository
from allie_desktop.domain.quality import TAUGHT_ORIGINS
from allie_desktop.domain.quarantine import HELD, LEFT_OUT, RELEASED, Hold, Quarantined, large_days, shifts

#: The reason that a plan gives for conversations that were left out.
HELD_BACK = "Held back for your review, since their source changed suddenly."

# What is looked at in one review; the caps of an episode are far lower.
_NEW, _LEARNT, _TONES = 20_000, 5_000, 400
_HOLDS_KEPT = 200
_OWN_WINDOW = "chat"


class QuarantineRecords(Protocol):
    """Where holds are kept."""

    def read(self) -> Quarantined:
        """Return them; none where nothing can be read."""

    def write(self, record: Quarantined) -> None:
        """Replace them atomically."""


class Quarantine:
    """Finds, lists and settles holds. To be used from the thread of its repositories."""

    def __init__(
        self,
        conversations: ConversationRepository,
        records: QuarantineRecords,
        alerts: AlertRepository,
        clock: Clock,
    ) -> None:
        self._conversations = conversations
        self._records = records
        self._alerts = alerts
        self._clock = clock

    def review(self) -> tuple[Hold, ...]:
        """Hold back what shifted suddenly, with an alert each; return all that is held.

        Called before planning. Doing it again changes nothing, and what a person released or let in by hand
        is never held again.
        """
        self._finish()
        new = [c for c in self._conversations.candidates(learned=False, limit=_NEW) if not _is_own_lesson(c)]
        learnt = tuple(self._conversations.candidates(learned=True, limit=_LEARNT))
        known = {hold.key: hold for hold in self._records.read().holds}
        for shift in shifts(new, learnt, hostility=self._hostility(new, learnt)):
            hold = known.get(shift.key)
            if hold is None:
                hold = Hold(
                    key=shift.key,
                    source=shift.source,
                    day=shift.day,
                    reason=shift.reason,
                    ids=shift.ids,
                    found_at=self._clock.now(),
                )
            elif hold.state != RELEASED and (more := set(shift.ids) - set(hold.ids)):
                hold = replace(hold, ids=(*hold.ids, *sorted(more)), is_applied=False)
            else:
                continue
            self._apply(hold)
        self._hold_latecomers(new)
        return self.held()

    def held(self) -> tuple[Hold, ...]:
        """Return what waits for a person, oldest first."""
        return tuple(hold for hold in self._records.read().holds if hold.state == HELD)

    def release(self, key: str) -> Hold:
        """Let Allie learn from what is held; raise :class:`BadInputError` when nothing has this key."""
        hold = self._find(key)
        self._keep(replace(hold, state=RELEASED, is_applied=True))
        self._set_excluded(hold.ids, excluded=False)
        self._alerts.resolve(_alert_key(hold))
        return hold

    def leave_out(self, key: str) -> Hold:
        """Never learn from what is held; raise :class:`BadInputError` when nothing has this key."""
        hold = self._find(key)
        self._keep(replace(hold, state=LEFT_OUT))
        self._alerts.resolve(_alert_key(hold))
        return hold

    def _find(self, key: str) -> Hold:
        for hold in self._records.read().holds:
            if hold.key == key.strip() and hold.state != RELEASED:
                return hold
        raise BadInputError(
            f"Nothing called {key[:80]!r} is held back.", "`allie conversations held` lists what is."
        )

    def _hostility(self, new: list[Candidate], learnt: tuple[Candidate, ...]) -> dict[str, float]:
        """Return how hostile some of the large new days are, and some of what was learnt before."""
        large = large_days(new)
        if not large:
            return {}
        days = {(c.source, c.created_at.date()) for c in large}
        rest = [c for c in (*learnt, *new) if (c.source, c.created_at.date()) not in days]
        ids = [c.id for part in (large, rest) for c in part[:: -(-len(part) // _TONES) or 1]]
        return {
            name: 1.0 - assessed.quality.components.get("toxicity", 1.0)
            for name, assessed in self._conversations.get_many(ids).items()
        }

    def _hold_latecomers(self, new: list[Candidate]) -> None:
        """Hold back what came in later for a day that is held or left out already."""
        days = {
            (hold.source, hold.day): hold for hold in self._records.read().holds if hold.state != RELEASED
        }
        late: dict[tuple[str, str], set[str]] = {}
        for candidate in new:
            day = (candidate.source, f"{candidate.created_at:%Y-%m-%d}")
            if day in days and candidate.id not in days[day].ids:
                late.setdefault(day, set()).add(candidate.id)
        for day, ids in late.items():
            self._apply(replace(days[day], ids=(*days[day].ids, *sorted(ids)), is_applied=False))

    def _finish(self) -> None:
        """Go on with what was interrupted."""
        for hold in self._records.read().holds:
            if hold.state == HELD and not hold.is_applied:
                self._apply(hold)

    def _apply(self, hold: Hold) -> None:
        # Written down first: what is kept out and stands nowhere would never be looked at.
        self._keep(hold)
        self._set_excluded(hold.ids, excluded=True)
        self._keep(replace(hold, is_applied=True))
        if hold.state != HELD:
            return
        self._alerts.raise_(
            Alert(
                key=_alert_key(hold),
                severity="warning",
                message=f"{len(hold.ids):,} conversations from “{_shown(hold.source)}” are held back: {hold.reason}.",
                remedy="`allie conversations held` lists them; release them if they are yours.",
                raised_at=self._clock.now(),
            )
        )

    def _keep(self, hold: Hold) -> None:
        others = [one for one in self._records.read().holds if one.key != hold.key]
        settled = [one for one in others if one.state != HELD]
        dropped = {one.key for one in settled[: max(0, len(settled) - _HOLDS_KEPT)]}
        self._records.write(Quarantined(holds=(*(o for o in others if o.key not in dropped), hold)))

    def _set_excluded(self, ids: Iterable[str], *, excluded: bool) -> None:
        for name in ids:
            with contextlib.suppress(UnknownConversationError):  # forgotten meanwhile
                self._conversations.set_excluded(name, excluded)


def _is_own_lesson(candidate: Candidate) -> bool:
    """Whether the person corrected it in Allie's own window: that is no source that shifts."""
    return candidate.source == _OWN_WINDOW and candidate.origin in TAUGHT_ORIGINS


def _alert_key(hold: Hold) -> str:
    return f"quarantine {hold.key}"


def _shown(text: str) -> str:
    return "".join(one for one in text if one.isprintable())[:80]
