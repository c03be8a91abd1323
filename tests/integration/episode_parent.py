"""Runs one episode as the command line would, with a real worker process, and can be told to die.

``python episode_parent.py HOME [die=PLACE] [signal=NUMBER] [silence=SECONDS]``. PLACE is ``prepare``, ``train``,
``validate``, ``judge``, ``probe``, or ``N`` / ``N+`` for before / after the N-th change of the guillotine. With
``signal`` the program gets that signal there instead of SIGKILL. Prints the result as one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from allie_desktop.domain.errors import HeldError
from allie_desktop.domain.events import PhaseStarted, WorkerEvent
from allie_desktop.domain.judgement import Judgement
from allie_desktop.domain.validation import Measurements
from allie_desktop.ipc.worker_client import SubprocessWorkerClient, WorkerPatience
from allie_desktop.services.signals import yield_on_signals
from tests.episode_stage import FakeProbe, Stage, judge_by_loss
from tests.guillotine import Guillotine

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


def command(job: Path) -> Sequence[str]:
    return (sys.executable, str(FAKE_WORKER), str(job))


def main(home: Path, die: str = "", number: str = "9", silence: str = "60") -> int:
    def fall() -> None:
        os.kill(os.getpid(), int(number))

    def watch(event: WorkerEvent) -> None:
        if isinstance(event, PhaseStarted) and event.phase == die:
            fall()

    def judge(measurements: Measurements, *, seed: int) -> Judgement:
        if die == "judge":
            fall()
        return judge_by_loss(measurements, seed=seed)

    class Probe(FakeProbe):
        def probe(self, adapter: Path) -> tuple[str, ...]:
            if die == "probe":
                fall()
            return super().probe(adapter)

    worker = SubprocessWorkerClient(
        command=command,
        patience=WorkerPatience(silence=float(silence), stop=1.0, terminate=1.0, exit=5.0, tick=0.02),
    )
    (home / "cache").mkdir(exist_ok=True)
    stage = Stage(home, worker=worker, judge=judge, probe=Probe())
    stage.told = _Watcher(watch)
    stage.join()
    if die.rstrip("+").isdigit():
        Guillotine(int(die.rstrip("+")), after=die.endswith("+"), fall=fall).stand_over(stage)
    try:
        with yield_on_signals(stage.orchestrator):
            result = stage.orchestrator.run_episode("because")
    except HeldError as error:
        print(json.dumps({"held": str(error)}))
        return error.exit_code
    finally:
        stage.close()
    print(json.dumps({**asdict(result), "outcome": result.outcome.value}, default=str))
    return result.exit_code


class _Watcher(list[Any]):
    """Stands where events are collected, and looks at each."""

    def __init__(self, watch: Any) -> None:
        super().__init__()
        self.append = watch


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    words = dict(word.split("=", 1) for word in sys.argv[2:])
    sys.exit(
        main(Path(sys.argv[1]), words.get("die", ""), words.get("signal", "9"), words.get("silence", "60"))
    )
