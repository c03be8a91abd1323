"""Kills a process, or what stands for one, at an exact place of an episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tests.episode_stage import Stage

_CHANGES = frozenset(
    """add create change update write write_plan clear_result clear seal activate set_state remove mark_learned
    unmark_learned set_members raise_ resolve""".split()
)


class KilledError(BaseException):
    """Stands for kill -9 inside of this process."""


def die() -> NoReturn:
    raise KilledError


class Guillotine:
    """Passes calls on to the parts of a stage, and falls before or after the n-th that changes something."""

    def __init__(
        self, fall_at: int | None = None, *, after: bool = False, fall: Callable[[], object] = die
    ) -> None:
        self.calls: list[str] = []
        self.fall_at = fall_at
        self.after = after
        self.fall = fall

    def stand_over(self, stage: Stage) -> None:
        """Put it between the stage's parts and whoever uses them."""
        for name in ("episodes", "versions", "conversations", "files", "replay", "alerts", "rollout_file"):
            setattr(stage, name, _Guarded(getattr(stage, name), self))
        stage.join()

    def call(self, name: str, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a method that changes something."""
        self.calls.append(name)
        falls = len(self.calls) == self.fall_at
        if falls and not self.after:
            self.fall()
        value = method(*arguments, **named)
        if falls and self.after:
            self.fall()
        return value


class _Guarded:
    def __init__(self, part: Any, guillotine: Guillotine) -> None:
        self._part = part
        self._guillotine = guillotine

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name not in _CHANGES:
            return method
        return lambda *arguments, **named: self._guillotine.call(name, method, *arguments, **named)
