"""Settings: as they are saved in the store, and as a person types them."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from dataclasses import fields
from random import Random
from typing import Any

from allie_desktop.cli.preferences import parsed
from allie_desktop.domain.errors import SettingError
from allie_desktop.domain.settings import Preferences, changed, from_saved, option_specs, to_saved
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.store.database import Database
from allie_desktop.store.settings import SqliteSettings
from tests.fuzz.mad_english import mad_english
from tests.fuzz.mutations import ODD_TEXTS, any_text, damaged, nearly, odd_value, written
from tests.fuzz.target import Outcome, Target, expect, expect_sentence, quieten


class SavedSettings(Target):
    """Saved settings in the store: whatever stands there, the program starts, and each can be set again."""

    name = "settings-saved"
    group = "settings"
    share = 6

    def prepare(self, stack: ExitStack) -> None:
        quieten(stack)
        self._database = stack.enter_context(Database.open(self.folder / "allie.sqlite3"))
        self._database.connection.execute("PRAGMA synchronous = OFF")

    def make(self, random: Random) -> bytes:
        """A list of names and the texts that are saved under them (Latin-1)."""
        names = [spec.name for spec in option_specs()]
        saved = to_saved(Preferences(idle_minutes=7.0, consent_given=True, min_new_conversations=9))
        rows = []
        for _ in range(random.randint(1, 8)):
            name = random.choice(names) if random.random() < 0.9 else any_text(random, 20)
            sound = saved.get(
                name, random.choice((True, 5, 0.5, "22:00", "gentle", [], "2026-03-01T00:00:00Z"))
            )
            rows.append([name.encode("utf-8", "replace").decode(), nearly(sound, random).decode("latin-1")])
        return json.dumps(rows).encode()

    def attempt(self, data: bytes) -> Outcome:
        rows = {name: text.encode("latin-1") for name, text in json.loads(data)}
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM settings")
            for name, text in rows.items():
                value: Any = text
                with suppress(UnicodeDecodeError):
                    value = text.decode()
                connection.execute("INSERT INTO settings (name, value) VALUES (?, ?)", (name, value))
        service = PreferencesService(SqliteSettings(self._database))
        warned = bool(service.warnings)
        for warning in service.warnings:
            expect(warning.endswith("."), f"no sentence: {warning[-100:]!r}")
        _check_preferences(service.current)
        service.set("idle_minutes", 3.0)
        service.reset_all()
        expect(
            service.current == Preferences(consent_given=service.current.consent_given), "not the defaults"
        )
        return Outcome.REFUSED if warned else Outcome.TAKEN


def _check_preferences(found: Preferences) -> None:
    """Every value is one that may be chosen, and comes back when it is saved."""
    for spec in option_specs():
        value = getattr(found, spec.name)
        expect(spec.check(value) == value, f"{spec.name} is {value!r}")
    again, warnings = from_saved(json.loads(json.dumps(to_saved(found))))
    expect(again == found and not warnings, "preferences do not come back as they were saved")


class TypedSettings(Target):
    """What a person types for a setting on the command line."""

    name = "settings-typed"
    group = "settings"
    share = 4

    def make(self, random: Random) -> bytes:
        spec = random.choice(option_specs())
        name = spec.name if random.random() < 0.95 else any_text(random, 30)
        match random.randrange(4):
            case 0:
                text = random.choice(ODD_TEXTS)
            case 1:
                text = mad_english(random, longest=2000)
            case 2:
                text = damaged(str(spec.default).encode(), random).decode("utf-8", "surrogateescape")
            case _:
                text = written(odd_value(random), random).decode("utf-8", "surrogatepass")
        return json.dumps([name, text]).encode()

    def attempt(self, data: bytes) -> Outcome:
        name, text = json.loads(data)
        spec = next((spec for spec in option_specs() if spec.name == name), None)
        try:
            after = changed(Preferences(), name, text if spec is None else parsed(spec, text))
        except SettingError as error:
            expect_sentence(error)
            str(error).encode("utf-8", "replace")
            return Outcome.REFUSED
        expect(len(fields(after)) == len(option_specs()), "an option is missing")
        _check_preferences(after)
        return Outcome.TAKEN


TARGETS = (SavedSettings, TypedSettings)
