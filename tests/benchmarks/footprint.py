"""What each process holds in memory and takes of the processor, at rest and at work.

    python tests/benchmarks/footprint.py [--chats FILE] [--only tray chat worker] [--seconds 30] [--json OUT]

* tray: ``allie gui`` on a real desktop (the tools of the GUI tests are needed), at rest, and while a worker that only
  sends messages trains.
* chat: ``allie serve`` before the first question, with the model loaded, and while it streams one reply after another.
* worker: ``allie learn --now`` with the conversations of ``--chats``, or those that come with the program: the worker
  and the process that looks after it, from the start of each to its end. Without an episode there is no worker.

RSS counts pages of files that other programs share; "own" (USS) is what would come free if the process ended.
Processor time is in per cent of one core. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from allie_desktop.paths import resource
from tests.benchmarks.chat_load import STORY, Service, serving
from tests.benchmarks.runs import about_machine

PARTS = ("tray", "chat", "worker")
_EVERY = 0.5  # seconds between two looks
_SETTLED = 8  # seconds until a process that has started is at rest


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one process took in one state. Megabytes, seconds; ``core_percent`` is of one core."""

    process: str
    state: str
    rss_mb: float
    own_mb: float
    core_percent: float
    cpu_seconds: float
    seconds: float


@dataclass(slots=True)
class Watched:
    """A process that is looked at from time to time; what it held is the most that was seen."""

    process: psutil.Process
    began: float = field(default_factory=time.monotonic)
    ended: float = field(default_factory=time.monotonic)
    rss: int = 0
    own: int = 0
    cpu_before: float = 0.0
    cpu: float = 0.0

    def look(self) -> bool:
        """Look once; return whether it is still there."""
        try:
            memory, times = self.process.memory_full_info(), self.process.cpu_times()
        except psutil.Error:
            return False
        self.rss, self.own = max(self.rss, memory.rss), max(self.own, memory.uss)
        self.cpu, self.ended = times.user + times.system, time.monotonic()
        return True

    def told(self, process: str, state: str) -> Footprint:
        """Return what was seen."""
        cpu, seconds = self.cpu - self.cpu_before, self.ended - self.began
        share = 100 * cpu / seconds if seconds else 0.0
        sizes = round(self.rss / 1e6, 1), round(self.own / 1e6, 1)
        return Footprint(process, state, *sizes, round(share, 2), round(cpu, 2), round(seconds, 1))


def over(pid: int, seconds: float, process: str, state: str) -> Footprint:
    """Watch a running process for some seconds; raise RuntimeError when it ends meanwhile."""
    watched = Watched(psutil.Process(pid))
    watched.look()
    watched.cpu_before, watched.began = watched.cpu, time.monotonic()
    # Looking costs the one that is looked at nothing, but few looks are enough while nothing changes.
    while time.monotonic() < watched.began + seconds:
        time.sleep(min(_EVERY, seconds))
        if not watched.look():
            raise RuntimeError(f"The process of {process} ended while it was looked at.")
    return watched.told(process, state)


def tray(folder: Path, seconds: float, _: argparse.Namespace) -> Iterator[Footprint]:
    """Yield the tray application at rest and beside an episode."""
    from allie_desktop.models.catalogue import resolve_base
    from tests.gui.desktop_session import DesktopSession, wait_for
    from tests.gui.tray_stage import TrayStage

    resolve_base("starter", folder)
    training = ["started", "prepare", "train", "pace:3"]  # seconds from step to step, as of a real worker
    for state, options, real in (
        ("at rest", {"preferences": {"consent_given": True}}, True),
        ("beside an episode", {"acts": [training]}, False),
    ):
        with DesktopSession(folder / state.replace(" ", "-")) as desktop:
            stage = TrayStage(desktop.folder / "home", desktop)
            stage.prepare(base_hashes=folder / "base-hashes.json", **options)
            try:
                process = stage.start(real=real)
                stage.icon()
                if not real:
                    wait_for(stage.worker_pid, "a worker", seconds=60)
                time.sleep(_SETTLED)
                yield over(process.pid, seconds, "tray", state)
                stage.end(60)
            finally:
                stage.clean_up()


@contextmanager
def talking(service: Service) -> Iterator[None]:
    """Somebody who asks for one long reply after another."""
    done = threading.Event()

    def talk() -> None:
        number = 0
        while not done.is_set():
            service.ask(STORY.format(number), max_tokens=64)
            number += 1

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def chat(folder: Path, seconds: float, _: argparse.Namespace) -> Iterator[Footprint]:
    """Yield the chat process without a model, with one, and at work."""
    with serving(folder) as service:
        pid = service.process.pid
        time.sleep(_SETTLED)
        yield over(pid, seconds, "chat", "at rest, nothing asked yet")
        service.ask(STORY.format(0), max_tokens=16)
        time.sleep(1)
        yield over(pid, seconds, "chat", "at rest, model loaded")
        with talking(service):
            yield over(pid, seconds, "chat", "streaming replies")


def worker(folder: Path, _: float, arguments: argparse.Namespace) -> Iterator[Footprint]:
    """Yield the worker of an episode and the process that looks after it."""
    environment = {**os.environ, "ALLIE_HOME": str(folder)}
    allie = [sys.executable, "-m", "allie_desktop"]
    chats = arguments.chats or resource("sample_conversations.jsonl")
    subprocess.run([*allie, "import", str(chats)], env=environment, check=True, stdout=subprocess.DEVNULL)
    with (folder / "episode.json").open("w+", encoding="utf-8") as said:
        learning = subprocess.Popen(
            [*allie, "learn", "--now", "--json"], env=environment, stdout=said, stderr=subprocess.DEVNULL
        )
        keeper = Watched(psutil.Process(learning.pid))
        workers: dict[int, Watched] = {}
        while learning.poll() is None:
            time.sleep(_EVERY)
            keeper.look()
            try:
                children = keeper.process.children(recursive=True)
            except psutil.NoSuchProcess:
                break
            for child in children:
                workers.setdefault(child.pid, Watched(child)).look()
        said.seek(0)
        result = json.loads(said.read())
    if not workers or result["outcome"] != "completed":
        raise RuntimeError(f"The episode was not completed: {result.get('reasons')}")
    largest = max(workers.values(), key=lambda one: one.rss)
    phases = ", ".join(f"{name} {round(value)} s" for name, value in result["phases"].items())
    yield largest.told("worker", f"an episode: {phases}")
    yield keeper.told("learn", "beside its worker")


def table(found: list[Footprint]) -> str:
    """Return the footprints as a Markdown table."""
    lines = [
        "| process | state | RSS, most | own, most | processor | processor seconds |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.process} | {one.state} | {one.rss_mb:,.0f} MB | {one.own_mb:,.0f} MB "
        f"| {one.core_percent:.2f} % of a core | {one.cpu_seconds:.1f} in {one.seconds:.0f} s |"
        for one in found
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each state of tray and chat")
    parser.add_argument("--chats", type=Path, help="conversations for the episode")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    found: list[Footprint] = []
    for part, measure in zip(PARTS, (tray, chat, worker), strict=True):
        if part not in arguments.only:
            continue
        with tempfile.TemporaryDirectory(prefix="allie-footprint-", ignore_cleanup_errors=True) as folder:
            for one in measure(Path(folder), arguments.seconds, arguments):
                found.append(one)
                print(table([one]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(found))
    if arguments.json:
        document: dict[str, Any] = {**about_machine(), "footprints": [asdict(one) for one in found]}
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main()
