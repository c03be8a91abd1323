"""Turns, tokens and threads of the local service, without a socket."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import threading

import pytest

from allie_desktop.inference.api.authentication import TokenError, token_in
from allie_desktop.inference.api.confinement import OwnThread
from allie_desktop.inference.api.errors import ApiError
from allie_desktop.inference.api.limits import Admission, Limits
from allie_desktop.inference.api.server import PortTakenError, open_socket
from allie_desktop.inference.api.service import ChatService
from allie_desktop.inference.api.upkeep import Upkeep
from tests.api_stage import Stage


class Hands:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self):
        raise NotImplementedError


# --- turns ---


def test_people_come_before_programs_and_each_kind_in_its_order():
    async def scene() -> list[str]:
        admission = Admission(Limits(running=1, waiting=10))
        served: list[str] = []

        async def one(name: str, *, person: bool) -> None:
            await admission.enter(person=person)
            served.append(name)
            await asyncio.sleep(0)
            admission.leave(0.1)

        await admission.enter(person=False)
        tasks = [
            asyncio.create_task(one(name, person=name.startswith("person")))
            for name in ("program 1", "program 2", "person 1", "person 2")
        ]
        await asyncio.sleep(0)
        assert (admission.running, admission.waiting) == (1, 4)
        admission.leave(0.1)
        await asyncio.gather(*tasks)
        assert (admission.running, admission.waiting) == (0, 0)
        return served

    assert asyncio.run(scene()) == ["person 1", "person 2", "program 1", "program 2"]


def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next():
    async def scene() -> None:
        admission = Admission(Limits(running=1, waiting=10))
        await admission.enter(person=False)
        gone = asyncio.create_task(admission.enter(person=False))
        late = asyncio.create_task(admission.enter(person=False))
        last = asyncio.create_task(admission.enter(person=False))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert admission.waiting == 2
        admission.leave(0.1)  # gives the turn to `late` …
        late.cancel()  # … which goes in the same moment
        await last
        assert (admission.running, admission.waiting) == (1, 0)
        admission.leave(0.1)
        assert admission.running == 0

    asyncio.run(scene())


def test_who_waits_when_the_service_ends_is_sent_away():
    async def scene() -> int:
        admission = Admission(Limits(running=1, waiting=10))
        await admission.enter(person=False)
        waiting = asyncio.create_task(admission.enter(person=True))
        await asyncio.sleep(0)
        admission.refuse_all()
        with pytest.raises(ApiError) as raised:
            await waiting
        admission.leave(0.1)
        assert (admission.running, admission.waiting) == (0, 0)
        return raised.value.status

    assert asyncio.run(scene()) == 503


def test_the_advice_when_to_come_back_follows_how_long_replies_take():
    async def scene() -> list[int]:
        advice = []
        for seconds in (0.1, 5.0, 500.0):
            admission = Admission(Limits(running=2, waiting=8))
            for _ in range(2):
                await admission.enter(person=False)
            for _ in range(100):
                admission.leave(seconds)
                await admission.enter(person=False)
            tasks = [asyncio.create_task(admission.enter(person=False)) for _ in range(8)]
            await asyncio.sleep(0)
            with pytest.raises(ApiError) as raised:
                await admission.enter(person=False)
            advice.append(int(raised.value.headers["Retry-After"]))
            for task in tasks:
                task.cancel()
        return advice

    assert asyncio.run(scene()) == [1, 10, 60]


# --- the token ---


def test_the_token_is_made_once_and_for_this_person_alone(tmp_path):
    file = tmp_path / "api-token"
    token = token_in(file)
    assert len(token) >= 40
    assert file.read_text() == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token_in(file) == token
    assert [p.name for p in tmp_path.iterdir()] == ["api-token"]


def test_many_who_make_the_token_at_once_agree_on_it(tmp_path):
    found: list[str] = []
    start = threading.Barrier(8)

    def one() -> None:
        start.wait()
        found.append(token_in(tmp_path / "api-token"))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff" * 40, b"two words that are long enough", b"x" * 2000]
)
def test_a_file_without_a_token_gets_a_new_one(tmp_path, content):
    file = tmp_path / "api-token"
    file.write_bytes(content)
    assert len(token_in(file)) == 43


def test_a_token_that_somebody_chose_stays_and_others_can_read_it_no_more(tmp_path):
    file = tmp_path / "api-token"
    file.write_text("a-token-of-my-own-choice\n")
    file.chmod(0o644)
    assert token_in(file) == "a-token-of-my-own-choice"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_token_file_that_cannot_be_used_is_a_sentence(tmp_path):
    (tmp_path / "api-token").mkdir()
    with pytest.raises(TokenError, match="cannot be used"):
        token_in(tmp_path / "api-token")


# --- the socket ---


def test_a_port_that_is_taken_is_a_sentence_with_a_remedy():
    with contextlib.closing(open_socket(0)) as first:
        port = first.getsockname()[1]
        assert first.getsockname()[0] == "127.0.0.1"
        with pytest.raises(PortTakenError, match=f"Port {port} is in use"):
            open_socket(port)


# --- what belongs to one thread ---


def test_what_belongs_to_a_thread_is_made_used_and_left_there():
    seen: list[tuple[str, int]] = []

    @contextlib.contextmanager
    def thing():
        seen.append(("made", threading.get_ident()))
        yield "thing"
        seen.append(("left", threading.get_ident()))

    own = OwnThread(thing)
    assert seen == []
    assert own.call(lambda it: (seen.append(("used", threading.get_ident())), it)[1]) == "thing"
    with pytest.raises(ZeroDivisionError):
        own.call(lambda _: 1 // 0)
    own.close()
    assert [what for what, _ in seen] == ["made", "used", "left"]
    assert len({thread for _, thread in seen} | {threading.get_ident()}) == 2


# --- looking after the versions ---


class Kept(Stage):
    """Versions that remember what they were told to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, ...]] = []
        self.ticks = 0

    def keep(self, versions) -> None:
        self.kept.append(tuple(versions))

    def tick(self) -> None:
        self.ticks += 1


@pytest.fixture
def looked_after():
    stage, clock = Kept(), Hands()
    service = ChatService(
        live=stage, router=stage, recorder=stage, versions=list, clock=clock, limits=Limits()
    )
    short = [False]
    return stage, clock, Upkeep(service, stage, stage, clock=clock, short_of_memory=lambda: short[0]), short


def test_the_versions_follow_the_pointer_but_are_not_loaded_for_nobody(looked_after):
    stage, _, upkeep, _ = looked_after
    upkeep.look()
    assert stage.kept == []
    stage.in_memory = {"v1.0"}
    upkeep.look()
    upkeep.look()
    assert stage.kept == [("v1.0",)]
    stage.wanted_versions = ("v1.1", "v1.0")
    upkeep.look()
    assert stage.kept == [("v1.0",), ("v1.1", "v1.0")]
    stage.in_memory = set()
    upkeep.look()
    stage.in_memory = {"v1.1"}
    upkeep.look()
    assert stage.kept[2:] == [("v1.1", "v1.0")]


def test_a_shortage_of_memory_unloads_only_when_nobody_is_answered(looked_after):
    stage, clock, upkeep, short = looked_after
    stage.in_memory = {"v1.0"}
    short[0] = True
    clock.seconds += 5
    upkeep.look()
    assert (stage.loaded(), stage.ticks) == (("v1.0",), 1)
    clock.seconds += 0.5
    upkeep.look()
    assert stage.ticks == 1
    clock.seconds += 6
    upkeep.look()
    assert (stage.loaded(), stage.ticks) == ((), 2)
