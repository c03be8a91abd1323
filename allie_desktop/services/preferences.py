"""The person's preferences: loaded once, changed one at a time, saved at once, told to whoever listens."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.ports import SettingsRepository
from allie_desktop.domain.settings import (
    Preferences,
    changed,
    from_saved,
    option_specs,
    to_saved,
)

#: Is called with the new preferences and the names of the options that changed.
Observer = Callable[[Preferences, frozenset[str]], None]

_log = logging.getLogger(__name__)


class PreferencesService:
    """Preferences over a repository that keeps what differs from the defaults.

    Saved values that cannot be used are left where they are: a newer version may know them, and a person
    may mend them. To be used from the thread that made it; observers are called in that thread.
    """

    def __init__(self, repository: SettingsRepository) -> None:
        """Load the preferences; raises :class:`StoreError` when the store cannot be read."""
        self._repository = repository
        self._observers: list[Observer] = []
        self._current, self._warnings = from_saved(repository.load())

    @property
    def current(self) -> Preferences:
        """The preferences as they are."""
        return self._current

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each saved value that could not be used when they were last loaded."""
        return self._warnings

    def reload(self) -> Preferences:
        """Load again what another process may have saved; observers hear of the differences."""
        loaded, self._warnings = from_saved(self._repository.load())
        self._replace(loaded)
        return loaded

    def set(self, name: str, value: object) -> Preferences:
        """Change one option and save it.

        Choosing an eagerness changes the options that it governs, too. Raises :class:`SettingError` for a
        bad value and :class:`StoreError` when it cannot be saved; then nothing has changed.
        """
        return self._save(changed(self._current, name, value), name)

    def reset(self, name: str) -> Preferences:
        """Give one option its default; raises like :meth:`set`."""
        return self.set(name, getattr(Preferences(), name, None))

    def reset_all(self) -> Preferences:
        """Give every option its default, but for the person's consent, which is no matter of taste."""
        consent = self._current.consent_given
        for name in self._repository.load():
            if name != "consent_given":
                self._repository.remove(name)
        self._warnings = ()
        self._replace(Preferences(consent_given=consent))
        return self._current

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call ``observer`` after every change; returns what ends that.

        An observer that fails is logged, and neither undoes the change nor keeps the others from it.
        """
        self._observers.append(observer)

        def end() -> None:
            if observer in self._observers:
                self._observers.remove(observer)

        return end

    def _save(self, after: Preferences, name: str) -> Preferences:
        before, wanted = to_saved(self._current), to_saved(after)
        # A preset and its values are several saved values; the named one may hold nonsense so far.
        touched = {name, *(key for key in {*before, *wanted} if before.get(key) != wanted.get(key))}
        done: list[str] = []
        try:
            for key in sorted(touched):
                self._write(key, wanted)
                done.append(key)
        except AllieError:
            for key in done:
                with contextlib.suppress(AllieError):
                    self._write(key, before)
            raise
        self._replace(after)
        return after

    def _write(self, key: str, values: Mapping[str, object]) -> None:
        if key in values:
            self._repository.save(key, values[key])
        else:
            self._repository.remove(key)

    def _replace(self, after: Preferences) -> None:
        before, self._current = self._current, after
        names = frozenset(
            spec.name for spec in option_specs() if getattr(before, spec.name) != getattr(after, spec.name)
        )
        if not names:
            return
        for observer in tuple(self._observers):
            try:
                # Not ``after``: an observer before this one may have changed them again.
                observer(self._current, names)
            except Exception:  # noqa: BLE001 - whatever a listener does, the change stands
                _log.exception("An observer of the preferences failed")
