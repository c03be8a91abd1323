"""Versions side by side: what is loaded, shared, replaced, unloaded and reported, under many threads."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest

from allie_desktop.domain.chat import GenerationOptions, ReplyEnd, TextPiece
from allie_desktop.domain.errors import ModelError, UnknownVersionError, VersionCorruptError
from allie_desktop.inference import live as module
from allie_desktop.inference.live import LiveVersions
from allie_desktop.inference.prompts import user_prompt

WAIT = 20.0
QUESTION = user_prompt("Hello")
OPTIONS = GenerationOptions(max_tokens=5)


class FakeClock:
    def __init__(self):
        self.seconds = 1000.0

    def now(self):
        raise AssertionError("nobody needs the date")

    def monotonic(self):
        return self.seconds


class FakeEngine:
    def __init__(self, version, answer):
        self.version, self.answer = version, answer
        self.closed = False
        self.users = 0
        self.gate: threading.Event | None = None

    context_tokens = 512

    def stream(self, messages, options, cancelled):
        for word in self.answer.split(" "):
            if self.closed:
                raise ModelError("Closed in the middle of a reply.")
            if self.gate is not None:
                assert self.gate.wait(WAIT)
            yield TextPiece(text=f"{self.version}:{word} ")
        yield ReplyEnd(reason="stop", prompt_tokens=1, completion_tokens=3)

    def close(self):
        self.closed = True


class FakeEngines:
    """Makes engines at once, or when ``gates[version]`` opens; fails where ``errors`` says so."""

    def __init__(self):
        self.made: list[FakeEngine] = []
        self.loads: Counter[str] = Counter()
        self.errors: dict[str, Exception] = {}
        self.answers: dict[str, str] = {}
        self.gates: dict[str, threading.Event] = {}
        self.began: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def load(self, version):
        with self._lock:
            self.loads[version] += 1
        if version in self.began:
            self.began[version].set()
        if version in self.gates:
            assert self.gates[version].wait(WAIT)
        if version in self.errors:
            raise self.errors[version]
        engine = FakeEngine(version, self.answers.get(version, "fine thank you"))
        with self._lock:
            self.made.append(engine)
        return engine

    @property
    def open(self):
        return sorted(e.version for e in self.made if not e.closed)


class Stage:
    def __init__(self):
        self.clock = FakeClock()
        self.engines = FakeEngines()
        self.failures: list[tuple[str, str]] = []
        self.unload_after = 0.0
        self.live = LiveVersions(
            self.engines,
            clock=self.clock,
            on_failed=lambda version, reason: self.failures.append((version, reason)),
            unload_after_seconds=lambda: self.unload_after,
        )

    def until(self, condition):
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.002)

    def until_loaded(self, *versions):
        self.until(lambda: self.live.loaded() == versions)

    def linger(self):
        """Let the time go by for which an unwanted version stays."""
        self.clock.seconds += module.LINGER_SECONDS
        self.live.tick()

    def ask(self, version):
        with self.live.use(version) as engine:
            return "".join(
                e.text for e in engine.stream(QUESTION, OPTIONS, lambda: False) if isinstance(e, TextPiece)
            )


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    made = Stage()
    yield made
    for gate in made.engines.gates.values():
        gate.set()
    made.live.close()
    assert made.engines.open == []


def in_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def replace_twice(stage):
    """Have v1.1 and then v1.2, so that the version before them is to go."""
    for name in ("v1.1", "v1.2"):
        stage.clock.seconds += 1
        stage.live.keep([name])
        stage.until(lambda: stage.live.is_loaded(name))  # noqa: B023 - asked at once
    stage.until(lambda: stage.live._live["v1.0"].retiring)


def test_a_version_is_loaded_on_demand_and_then_shared(stage):
    assert not stage.live.is_loaded("v1.0")

    assert stage.ask("v1.0") == "v1.0:fine v1.0:thank v1.0:you "
    with stage.live.use("v1.0") as one, stage.live.use("v1.0") as two:
        assert one is two

    assert stage.live.is_loaded("v1.0")
    assert stage.engines.loads == {"v1.0": 1}


def test_two_who_want_the_same_version_at_once_load_it_once(stage):
    stage.engines.gates["v1.0"] = threading.Event()
    stage.engines.began["v1.0"] = threading.Event()
    answers = []
    threads = [in_thread(lambda: answers.append(stage.ask("v1.0"))) for _ in range(4)]
    assert stage.engines.began["v1.0"].wait(WAIT)

    stage.engines.gates["v1.0"].set()
    for thread in threads:
        thread.join(WAIT)

    assert len(answers) == 4
    assert stage.engines.loads == {"v1.0": 1}


def test_wanted_versions_are_loaded_beside_each_other_and_the_old_one_closed_last(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    stage.engines.gates["v1.1"] = threading.Event()
    stage.engines.began["v1.1"] = threading.Event()

    stage.live.keep(["v1.1"])
    assert stage.engines.began["v1.1"].wait(WAIT)
    assert stage.live.loaded() == ("v1.0",)
    assert stage.ask("v1.0").startswith("v1.0")
    stage.engines.gates["v1.1"].set()

    stage.until_loaded("v1.0", "v1.1")
    stage.linger()
    assert stage.live.loaded() == ("v1.1",)
    assert stage.engines.open == ["v1.1"]


def test_the_version_that_was_replaced_last_is_there_at_once_when_it_is_taken_back(stage):
    for name in ("v1.0", "v1.1", "v1.2"):
        stage.live.keep([name])
        stage.until(lambda: stage.live.is_loaded(name))  # noqa: B023 - asked at once
        stage.clock.seconds += 1
        stage.ask(name)
    stage.until_loaded("v1.1", "v1.2")
    assert stage.engines.open == ["v1.1", "v1.2"]

    stage.live.keep(["v1.1"])

    assert stage.ask("v1.1").startswith("v1.1")
    assert stage.engines.loads["v1.1"] == 1
    stage.linger()
    assert stage.engines.open == ["v1.1"]


def test_a_version_in_use_is_closed_only_when_its_last_user_goes(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    with stage.live.use("v1.0") as engine:
        replace_twice(stage)
        events = list(engine.stream(QUESTION, OPTIONS, lambda: False))
        assert isinstance(events[-1], ReplyEnd)
        assert not engine.closed

    stage.until(lambda: engine.closed)
    assert stage.live.loaded() == ("v1.1", "v1.2")


def test_a_version_is_loaded_in_the_background_when_nobody_is_being_answered(stage, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", WAIT)
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    with stage.live.use("v1.0"):
        stage.live.keep(["v1.1"])
        time.sleep(0.05)
        assert stage.engines.loads["v1.1"] == 0

    stage.until_loaded("v1.0", "v1.1")


def test_replies_without_end_do_not_keep_a_new_version_out(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    with stage.live.use("v1.0"):
        stage.live.keep(["v1.1"])
        stage.until_loaded("v1.0", "v1.1")


def test_closing_does_not_wait_for_a_quiet_moment(stage, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 10 * WAIT)
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    with stage.live.use("v1.0"):
        stage.live.keep(["v1.1"])
        stage.live.close()

    assert stage.engines.loads["v1.1"] == 0


def test_a_version_in_use_does_not_linger_away(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    with stage.live.use("v1.0") as engine:
        stage.live.keep(["v1.1"])
        stage.until(lambda: stage.live.is_loaded("v1.1"))
        stage.linger()
        assert not engine.closed

    stage.linger()
    assert engine.closed


def test_a_version_that_is_wanted_again_while_it_retires_stays(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    with stage.live.use("v1.0") as engine:
        replace_twice(stage)
        stage.live.keep(["v1.0"])
        stage.until(lambda: not stage.live._sweep)

    assert not engine.closed
    assert stage.engines.loads["v1.0"] == 1


def test_a_version_that_speaks_nonsense_is_reported_once_and_the_old_one_goes_on(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    stage.engines.answers["v1.1"] = ""

    class Silent(FakeEngine):
        def stream(self, messages, options, cancelled):
            yield TextPiece(text="!!! ")
            yield ReplyEnd(reason="stop", prompt_tokens=1, completion_tokens=1)

    real = stage.engines.load

    def load(version):
        engine = real(version)
        if version == "v1.1":
            engine.__class__ = Silent
        return engine

    stage.engines.load = load
    stage.live.keep(["v1.1", "v1.0"])
    stage.until(lambda: stage.failures)
    for _ in range(3):
        stage.live.tick()
        stage.live.keep(["v1.1", "v1.0"])

    assert stage.failures == [
        ("v1.1", "Version v1.1 does not answer in words. It is not used; another version answers.")
    ]
    assert stage.live.loaded() == ("v1.0",)
    assert stage.engines.open == ["v1.0"]
    assert stage.engines.loads["v1.1"] == 1


def test_the_only_version_left_is_kept_when_the_wanted_one_fails(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    stage.engines.errors["v1.1"] = VersionCorruptError("Broken.", "Go back.")

    stage.live.keep(["v1.1"])
    stage.until(lambda: stage.failures)
    stage.live.tick()

    assert stage.failures == [("v1.1", "Broken. Go back.")]
    assert stage.ask("v1.0").startswith("v1.0")
    assert stage.engines.loads == {"v1.0": 1, "v1.1": 1}


def test_a_failure_is_raised_again_without_another_try_for_a_while(stage):
    stage.engines.errors["v1.0"] = VersionCorruptError("Broken.")
    for _ in range(5):
        with pytest.raises(VersionCorruptError, match="Broken"):
            stage.ask("v1.0")
    assert stage.engines.loads == {"v1.0": 1}
    assert stage.failures == [("v1.0", "Broken.")]

    del stage.engines.errors["v1.0"]
    stage.clock.seconds += module.RETRY_SECONDS

    assert stage.ask("v1.0").startswith("v1.0")


def test_a_wanted_version_that_failed_is_tried_again_now_and_then_and_reported_once(stage):
    stage.engines.errors["v1.0"] = ModelError("No memory.")
    stage.live.keep(["v1.0"])
    stage.until(lambda: stage.failures)
    for _ in range(3):
        stage.clock.seconds += module.RETRY_ALONE_SECONDS
        before = stage.engines.loads["v1.0"]
        stage.live.tick()
        stage.until(lambda: stage.engines.loads["v1.0"] == before + 1)  # noqa: B023 - asked at once

    del stage.engines.errors["v1.0"]
    stage.clock.seconds += module.RETRY_ALONE_SECONDS
    stage.live.tick()
    stage.until_loaded("v1.0")

    assert stage.failures == [("v1.0", "No memory.")]


def test_a_version_that_does_not_exist_is_nobodys_failure(stage):
    stage.engines.errors["v9.9"] = UnknownVersionError("There is no v9.9.")
    for _ in range(2):
        with pytest.raises(UnknownVersionError):
            stage.ask("v9.9")

    assert stage.failures == []
    assert stage.engines.loads == {"v9.9": 2}


def test_an_unexpected_error_becomes_one_that_a_person_can_read(stage):
    stage.engines.errors["v1.0"] = RuntimeError("C++ said no")
    with pytest.raises(RuntimeError):
        stage.ask("v1.0")
    with pytest.raises(ModelError, match=r"Version v1.0 could not be loaded: RuntimeError"):
        stage.ask("v1.0")


def test_whoever_waits_for_a_version_that_fails_gets_the_error_too(stage):
    stage.engines.gates["v1.0"] = threading.Event()
    stage.engines.began["v1.0"] = threading.Event()
    stage.engines.errors["v1.0"] = VersionCorruptError("Broken.")
    stage.live.keep(["v1.0"])
    assert stage.engines.began["v1.0"].wait(WAIT)
    raised = []

    def ask():
        try:
            stage.ask("v1.0")
        except VersionCorruptError as error:
            raised.append(str(error))

    threads = [in_thread(ask) for _ in range(3)]
    stage.engines.gates["v1.0"].set()
    for thread in threads:
        thread.join(WAIT)

    assert raised == ["Broken."] * 3
    assert stage.engines.loads == {"v1.0": 1}


def test_after_an_idle_time_everything_is_unloaded_and_a_request_brings_it_all_back(stage):
    stage.unload_after = 300.0
    stage.live.keep(["v1.1", "v1.0"])
    stage.until_loaded("v1.0", "v1.1")
    stage.clock.seconds += 299
    stage.live.tick()
    assert stage.live.loaded() == ("v1.0", "v1.1")

    stage.clock.seconds += 1
    stage.live.tick()
    assert stage.live.loaded() == ()
    assert stage.engines.open == []
    stage.live.tick()

    assert stage.ask("v1.1").startswith("v1.1")
    stage.until_loaded("v1.0", "v1.1")


def test_a_long_reply_is_no_idle_time(stage):
    stage.unload_after = 300.0
    with stage.live.use("v1.0") as engine:
        stage.clock.seconds += 1000
        stage.live.tick()
        assert stage.live.loaded() == ("v1.0",)
    stage.clock.seconds += 299
    stage.live.tick()
    assert not engine.closed


def test_zero_means_that_nothing_is_unloaded(stage):
    stage.ask("v1.0")
    stage.clock.seconds += 1e6
    stage.live.tick()

    assert stage.live.loaded() == ("v1.0",)


def test_unloading_at_once_lets_replies_in_flight_finish(stage):
    stage.live.keep(["v1.0", "v1.1"])
    stage.until_loaded("v1.0", "v1.1")
    with stage.live.use("v1.0") as engine:
        stage.live.unload_all()
        assert stage.engines.open == ["v1.0"]
        assert isinstance(list(engine.stream(QUESTION, OPTIONS, lambda: False))[-1], ReplyEnd)

    assert stage.engines.open == []
    assert stage.ask("v1.0").startswith("v1.0")


def test_a_version_that_was_still_loading_when_memory_was_asked_for_is_not_kept(stage):
    stage.engines.gates["v1.0"] = threading.Event()
    stage.engines.began["v1.0"] = threading.Event()
    stage.live.keep(["v1.0"])
    assert stage.engines.began["v1.0"].wait(WAIT)

    stage.live.unload_all()
    stage.engines.gates["v1.0"].set()

    stage.until(lambda: stage.engines.made and stage.engines.made[0].closed)
    assert stage.live.loaded() == ()
    assert stage.failures == []


def test_a_new_version_is_loaded_even_while_everything_sleeps(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    stage.live.unload_all()
    stage.live.keep(["v1.0"])
    stage.live.tick()
    assert stage.live.loaded() == ()

    stage.live.keep(["v1.1", "v1.0"])

    stage.until_loaded("v1.0", "v1.1")


def test_a_pinned_version_lingers_and_then_goes(stage):
    stage.live.keep(["v1.1"])
    stage.until_loaded("v1.1")
    stage.ask("v1.0")
    stage.clock.seconds += module.LINGER_SECONDS - 1
    stage.live.tick()
    assert stage.live.loaded() == ("v1.0", "v1.1")

    stage.clock.seconds += 1
    stage.live.tick()

    assert stage.live.loaded() == ("v1.1",)
    assert stage.engines.open == ["v1.1"]


def test_a_version_is_probed_once_however_often_it_is_loaded(stage):
    asked = []
    real = FakeEngine.stream

    def stream(self, messages, options, cancelled):
        asked.append(messages[-1].content)
        return real(self, messages, options, cancelled)

    FakeEngine.stream = stream
    try:
        for _ in range(3):
            with stage.live.use("v1.0"):
                pass
            stage.live.unload_all()
    finally:
        FakeEngine.stream = real

    assert asked == ["Hello! How are you?"]
    assert stage.engines.loads == {"v1.0": 3}


def test_nothing_is_lent_after_closing_and_closing_twice_is_closing_once(stage):
    stage.ask("v1.0")
    with stage.live.use("v1.0") as engine:
        stage.live.close()
        assert engine.closed
    stage.live.close()
    stage.live.keep(["v1.0"])
    stage.live.tick()

    with pytest.raises(ModelError, match="shutting down"):
        stage.ask("v1.0")


def test_an_owner_that_fails_to_take_note_does_not_stop_the_others(stage):
    def fail(version, reason):
        raise RuntimeError(version)

    stage.live._on_failed = fail
    stage.engines.errors["v1.0"] = VersionCorruptError("Broken.")
    stage.live.keep(["v1.0", "v1.1"])

    stage.until_loaded("v1.1")


def test_an_engine_that_cannot_be_closed_does_not_stop_the_others(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")

    def fail():
        stage.engines.made[0].closed = True
        raise OSError("no")

    stage.engines.made[0].close = fail
    stage.live.keep(["v1.1"])
    stage.until(lambda: stage.live.is_loaded("v1.1"))
    stage.linger()

    stage.until_loaded("v1.1")


def test_a_thousand_swaps_under_four_streams_lose_nothing_and_leak_nothing(stage):
    stage.live.keep(["v1.0"])
    stage.until_loaded("v1.0")
    active = ["v1.0"]
    done = threading.Event()
    mixed, replies, errors = [], Counter(), []

    def client(seed):
        chance = random.Random(seed)
        while not done.is_set():
            version = active[0] if stage.live.is_loaded(active[0]) or chance.random() < 0.5 else "v1.0"
            try:
                answer = stage.ask(version)
            except Exception as error:  # noqa: BLE001 - none must be lost
                errors.append(repr(error))
                return
            if {w.partition(":")[0] for w in answer.split()} != {version}:
                mixed.append(answer)
            replies[version] += 1

    threads = [in_thread(lambda seed=i: client(seed)) for i in range(4)]
    for swap in range(1000):
        name = f"v1.{swap % 2}"
        stage.live.keep([name])
        if swap % 50 == 0:
            stage.live.unload_all()
            stage.live.keep([f"v1.{(swap + 1) % 2}", name])
            stage.live.keep([name])
        stage.until(lambda: stage.live.is_loaded(name))  # noqa: B023 - asked at once
        active[0] = name
        stage.live.tick()
    done.set()
    for thread in threads:
        thread.join(WAIT)

    assert not any(thread.is_alive() for thread in threads)
    assert errors == []
    assert mixed == []
    assert min(replies["v1.0"], replies["v1.1"]) > 0
    stage.until(lambda: len(stage.engines.open) == len(stage.live.loaded()))
    assert len(stage.live.loaded()) <= 2
    assert stage.failures == []
    assert all(x.users == 0 for x in stage.live._live.values())
