"""Episodes, settings, alerts and replay on a real file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.errors import SettingError, StoreError
from allie_desktop.domain.lifecycle import TRANSITIONS, Episode, EpisodeState, StateChange
from allie_desktop.domain.ports import (
    Alert,
    AlertRepository,
    EpisodeRepository,
    ReplayRepository,
    SettingsRepository,
)
from allie_desktop.store.alerts import SqliteAlerts
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.episodes import SqliteEpisodes
from allie_desktop.store.replay import SqliteReplay
from allie_desktop.store.settings import SqliteSettings
from tests.unit.store.store_samples import NOON, assessed, later

PLANNED = EpisodeState.PLANNED


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "allie.sqlite", now=lambda: NOON) as database:
        yield database
        database.check(full=True)


@pytest.fixture
def episodes(database: Database) -> SqliteEpisodes:
    return SqliteEpisodes(database)


@pytest.fixture
def settings(database: Database) -> SqliteSettings:
    return SqliteSettings(database)


@pytest.fixture
def alerts(database: Database) -> SqliteAlerts:
    return SqliteAlerts(database)


@pytest.fixture
def replay(database: Database) -> SqliteReplay:
    SqliteConversations(database).add([assessed(f"c{number}") for number in range(6)])
    return SqliteReplay(database)


def episode(episode_id: str = "e1", created_at: datetime = NOON, **rest: Any) -> Episode:
    return Episode(
        **{"id": episode_id, "created_at": created_at, "state": PLANNED, "trigger": "You asked.", **rest}
    )


def test_the_repositories_are_the_ports(database: Database):
    ports: tuple[EpisodeRepository, SettingsRepository, AlertRepository, ReplayRepository] = (
        SqliteEpisodes(database),
        SqliteSettings(database),
        SqliteAlerts(database),
        SqliteReplay(database),
    )
    assert len(ports) == 4


def test_a_new_episode_is_planned_for_its_reason(episodes: SqliteEpisodes):
    episodes.create(episode())
    expected = replace(episode(), history=(StateChange(state=PLANNED, at=NOON, reason="You asked."),))
    assert episodes.get("e1") == expected
    assert episodes.latest() == episodes.unfinished() == (expected,)
    assert episodes.count() == 1
    assert episodes.get("e2") is None


def test_an_episode_keeps_each_state_with_its_time_and_reason(episodes: SqliteEpisodes):
    episodes.create(episode())
    steps = [
        (EpisodeState.PREPARING, ""),
        (EpisodeState.TRAINING, "Attempt 1."),
        (EpisodeState.YIELDED, "You came back. 🙂"),
        (EpisodeState.TRAINING, ""),
        (EpisodeState.VALIDATING, ""),
        (EpisodeState.DEPLOYING, ""),
        (EpisodeState.COMPLETED, "v1.0 is active."),
    ]
    for minute, (state, reason) in enumerate(steps):
        episodes.change("e1", state, at=later(minute), reason=reason)
    found = episodes.get("e1")
    assert found is not None
    assert found.state is EpisodeState.COMPLETED
    assert found.finished_at == later(6)
    assert [(change.state, change.reason, change.at) for change in found.history[1:]] == [
        (state, reason, later(minute)) for minute, (state, reason) in enumerate(steps)
    ]
    assert episodes.unfinished() == ()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with Database.open(tmp_path_factory.mktemp("episodes") / "allie.sqlite") as database:
        yield database


@pytest.mark.parametrize("state", list(EpisodeState))
@pytest.mark.parametrize("before", list(EpisodeState))
def test_only_allowed_transitions_are_persisted(shared: Database, before: EpisodeState, state: EpisodeState):
    episodes = SqliteEpisodes(shared)
    name = f"{before.value} to {state.value}"
    episodes.create(episode(name))
    shared.connection.execute("UPDATE episodes SET state = ? WHERE id = ?", (before.value, name))
    if state in TRANSITIONS[before]:
        episodes.change(name, state, at=later(1))
        expected = (state, 2)
    else:
        with pytest.raises(StoreError) as caught:
            episodes.change(name, state, at=later(1))
        assert str(caught.value) == f"Episode {name} is {before.value} and cannot become {state.value}."
        expected = (before, 1)
    found = episodes.get(name)
    assert found is not None
    assert (found.state, len(found.history)) == expected


def test_everything_but_state_and_history_can_be_updated(episodes: SqliteEpisodes):
    episodes.create(episode())
    whole = episode(
        trigger="Nightly.",
        plan_digest="ab" * 32,
        conversations=50,
        attempts=2,
        parent="v1.0",
        version="v1.1",
        verdict="deploy",
        reasons=("Better on new material.", "Nothing forgotten."),
        metrics=MappingProxyType(
            {"loss": 1.25, "interval": (0.1, 0.2), "nested": MappingProxyType({"a": None})}
        ),
        seconds={"train": 12.5},
        finished_at=later(30),
        state=EpisodeState.COMPLETED,
        history=(StateChange(state=EpisodeState.FAILED, at=NOON),),
    )
    episodes.update(whole)
    found = episodes.get("e1")
    assert found == replace(
        whole,
        state=PLANNED,
        metrics={"loss": 1.25, "interval": [0.1, 0.2], "nested": {"a": None}},
        history=(StateChange(state=PLANNED, at=NOON, reason="You asked."),),
    )


def test_an_update_does_not_unset_the_end(episodes: SqliteEpisodes):
    episodes.create(episode())
    episodes.change("e1", EpisodeState.FAILED, at=later(5), reason="No memory.")
    episodes.update(episode(verdict="none"))
    found = episodes.get("e1")
    assert found is not None
    assert (found.finished_at, found.verdict) == (later(5), "none")


def test_a_number_that_is_none_survives_in_metrics(episodes: SqliteEpisodes):
    episodes.create(episode(metrics={"loss": float("nan"), "high": float("inf")}))
    found = episodes.get("e1")
    assert found is not None
    assert str(found.metrics) == "{'loss': nan, 'high': inf}"


def test_lists_of_episodes_are_ordered_and_page(episodes: SqliteEpisodes):
    for number in range(5):
        episodes.create(episode(f"e{number}", later(-number)))
    episodes.change("e2", EpisodeState.STOPPED, at=NOON)
    assert [one.id for one in episodes.latest(limit=3)] == ["e0", "e1", "e2"]
    assert [one.id for one in episodes.latest(limit=9, offset=3)] == ["e3", "e4"]
    assert [one.id for one in episodes.unfinished()] == ["e4", "e3", "e1", "e0"]
    assert all(one.history == () for one in episodes.latest(limit=5))
    assert len(episodes.latest()[0].history) == 1
    assert episodes.latest(limit=0) == episodes.latest(limit=-1) == episodes.latest(offset=5) == ()
    assert episodes.count() == 5


def test_an_episode_is_made_once_and_begins_planned(episodes: SqliteEpisodes):
    episodes.create(episode())
    with pytest.raises(StoreError, match="There is an episode e1 already"):
        episodes.create(episode())
    with pytest.raises(ValueError, match="an episode begins planned, not training"):
        episodes.create(episode("e2", state=EpisodeState.TRAINING))
    assert episodes.count() == 1


def test_an_unknown_episode_cannot_change(episodes: SqliteEpisodes):
    with pytest.raises(StoreError, match="There is no episode e9"):
        episodes.change("e9", EpisodeState.PREPARING, at=NOON)
    with pytest.raises(StoreError, match="There is no episode e9"):
        episodes.update(episode("e9"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteSettings]:
    with Database.open(tmp_path_factory.mktemp("settings") / "allie.sqlite") as database:
        database.connection.execute("PRAGMA synchronous=OFF")
        yield SqliteSettings(database)


@given(value=json_values)
def test_a_setting_comes_back_as_it_was(kept: SqliteSettings, value: object):
    kept.save("name", value)
    assert kept.load() == {"name": value}


def test_settings_are_saved_changed_and_removed(settings: SqliteSettings):
    assert settings.load() == {}
    settings.save("b", [1, 2])
    settings.save("a", "x")
    settings.save("b", None)
    assert list(settings.load().items()) == [("a", "x"), ("b", None)]
    settings.remove("b")
    settings.remove("never")
    assert settings.load() == {"a": "x"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": b"bytes"}, NOON])
def test_what_is_not_json_is_not_saved(settings: SqliteSettings, value: object):
    settings.save("name", "before")
    with pytest.raises(SettingError, match="The setting name cannot be saved"):
        settings.save("name", value)
    assert settings.load() == {"name": "before"}


@pytest.mark.parametrize("broken", ["", "{", "nonsense", "[1,", b"\xff\x00"])
def test_a_setting_that_cannot_be_read_is_left_out(
    database: Database, settings: SqliteSettings, broken: object
):
    settings.save("good", 1)
    database.connection.execute("INSERT INTO settings VALUES ('bad', ?)", (broken,))
    assert settings.load() == {"good": 1}


def test_one_alert_a_key_is_open(alerts: SqliteAlerts):
    disk = Alert(
        key="disk", severity="warning", message="Nearly full.", remedy="Free some.", raised_at=later(1)
    )
    assert alerts.raise_(disk)
    assert not alerts.raise_(replace(disk, message="Fuller still."))
    assert alerts.raise_(Alert(key="heat", severity="critical", message="Hot."))
    assert alerts.open() == (disk, Alert(key="heat", severity="critical", message="Hot.", raised_at=NOON))
    alerts.resolve("disk")
    alerts.resolve("never")
    assert [alert.key for alert in alerts.open()] == ["heat"]
    assert alerts.raise_(replace(disk, raised_at=later(9)))
    assert [alert.raised_at for alert in alerts.open()] == [later(9), NOON]


def test_an_alert_that_was_shown_is_marked(alerts: SqliteAlerts):
    alerts.raise_(Alert(key="disk", severity="info", message="Nearly full."))
    alerts.mark_seen("disk")
    alerts.mark_seen("never")
    assert [alert.seen for alert in alerts.open()] == [True]
    alerts.resolve("disk")
    alerts.raise_(Alert(key="disk", severity="info", message="Nearly full."))
    assert [alert.seen for alert in alerts.open()] == [False]


def test_an_unknown_severity_is_a_mistake(alerts: SqliteAlerts):
    with pytest.raises(ValueError, match="'loud' is not a severity"):
        alerts.raise_(Alert(key="k", severity="loud", message="m"))


def test_old_alerts_do_not_pile_up(database: Database, alerts: SqliteAlerts):
    with database.transaction():
        for number in range(230):
            alerts.raise_(Alert(key="k", severity="info", message=str(number)))
            alerts.resolve("k")
    kept = database.connection.execute("SELECT message FROM alerts ORDER BY key").fetchall()
    assert [int(row[0]) for row in kept] == list(range(30, 230))


def test_replay_members_keep_their_order_and_part(replay: SqliteReplay):
    assert replay.members(holdout=False) == replay.members(holdout=True) == ()
    replay.set_members(["c3", "c1", "c2"], ["c5", "c4"])
    assert replay.members(holdout=False) == ("c3", "c1", "c2")
    assert replay.members(holdout=True) == ("c5", "c4")
    replay.set_members(["c4"], [])
    assert (replay.members(holdout=False), replay.members(holdout=True)) == (("c4",), ())


def test_a_member_that_is_excluded_or_unfit_is_not_replayed(database: Database, replay: SqliteReplay):
    store = SqliteConversations(database)
    replay.set_members(["c0", "c1", "c2"], ["c3"])
    store.set_excluded("c0", excluded=True)
    store.set_excluded("c3", excluded=True)
    store.replace(assessed("c1", eligible=False))
    store.forget("c2")
    assert (replay.members(holdout=False), replay.members(holdout=True)) == ((), ())
    store.set_excluded("c0", excluded=False)
    assert replay.members(holdout=False) == ("c0",)


def test_what_is_held_out_never_trains(replay: SqliteReplay):
    replay.set_members(["c0"], ["c1"])
    with pytest.raises(ValueError, match="'c2' cannot be trained on and held out"):
        replay.set_members(["c2", "c3"], ["c2"])
    assert (replay.members(holdout=False), replay.members(holdout=True)) == (("c0",), ("c1",))


def test_unknown_and_repeated_members_are_left_out(replay: SqliteReplay):
    replay.set_members(["c0", "gone", "c0"], [])
    assert replay.members(holdout=False) == ("c0",)


def test_a_log_of_states_goes_with_its_episode(tmp_path: Path):
    path = tmp_path / "allie.sqlite"
    with Database.open(path) as database:
        SqliteEpisodes(database).create(episode())
        database.connection.execute("DELETE FROM episodes")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM episode_states").fetchone() == (0,)
