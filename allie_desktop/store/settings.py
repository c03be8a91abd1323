"""Settings that differ from their defaults (port :class:`~allie_desktop.domain.ports.SettingsRepository`)."""

from __future__ import annotations

from collections.abc import Mapping

from allie_desktop.domain.errors import SettingError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.store.columns import text, to_json
from allie_desktop.store.database import Database


class SqliteSettings:
    """Settings in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Mapping[str, object]:
        """Return what was saved, by name; values that are not JSON (any more) are left out."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT name, value FROM settings ORDER BY name").fetchall()
        values: dict[str, object] = {}
        for name, value in rows:
            try:
                values[name] = parse_json(value)
            except (ValueError, TypeError):
                continue
        return values

    def save(self, name: str, value: object) -> None:
        """Save one value; raise :class:`SettingError` when it is not made of JSON types."""
        try:
            kept = to_json(value, strict=True)
        except (TypeError, ValueError) as error:
            raise SettingError(f"The setting {name} cannot be saved ({error}).") from error
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO settings (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (text(name), kept),
            )

    def remove(self, name: str) -> None:
        """Go back to the default; does nothing for a value that was never saved."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM settings WHERE name = ?", (text(name),))
