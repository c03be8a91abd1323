"""Lives through roll-outs as the chat process and the learner do, until somebody kills it.

``python rollout_life.py HOME SEED [fall=N[+]]``. It deploys what is left to deploy, chats on the versions that
the router chooses, reviews, lets versions fail, and goes back and forth, in an order that SEED draws. Before
and after each step it writes a line; ``fall`` lets the guillotine kill it before (or, with a plus, after) the
N-th change.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from datetime import timedelta
from pathlib import Path

from allie_desktop.domain.chat import Exchange
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.planning import Message
from allie_desktop.domain.settings import Preferences
from allie_desktop.domain.versions import BASE
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.services.recording import RecordingService
from allie_desktop.services.routing import RolloutRouter
from tests.episode_stage import Stage
from tests.guillotine import Guillotine

#: What happens, each as often as it stands here.
_STEPS = "learn learn learn learn chat chat chat review review wait fail back".split()


class Life:
    """One process with a home: everything that moves versions, and the chat that they answer."""

    def __init__(self, home: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.stage = Stage(home, preferences=Preferences(rollout_first_percent=50.0, probation_days=0.0))
        self.join()
        self.number = 0
        self.seed = seed

    def join(self) -> None:
        """Put recording and routing on top of the stage's parts, as they are now."""
        stage = self.stage
        self.recorder = RecordingService(
            stage.exchanges,
            stage.conversations,
            collector=Collector(
                stage.conversations,
                toxicity=LexiconToxicity(),
                near_duplicates=MinHashNearDuplicates(),
                clock=stage.clock,
            ),
            preferences=lambda: stage.preferences,
            clock=stage.clock,
        )
        self.router = RolloutRouter(
            versions=stage.versions,
            records=stage.rollout_file,
            begun_on=self.recorder.begun_on,
            fail=stage.rollout.fail,
        )

    def step(self) -> None:
        """Do one of the things that happen."""
        name = self.draw.choice(_STEPS)
        try:
            getattr(self, name)()
        except AllieError as error:
            print(f"refused {name}: {error}", flush=True)

    def learn(self) -> None:
        stage = self.stage
        if stage.versions.pointer().active == BASE or self.draw.random() < 0.5:
            stage.conversation_ids = (f"c{self.draw.randint(1, 5)}",)
            stage.orchestrator.run_episode("because", forced=True, asked=True)
        elif stage.episodes.unfinished():
            stage.orchestrator.run_episode("again")

    def chat(self) -> None:
        self.number += 1
        name = f"chat-{self.seed}-{self.draw.randint(1, 6)}"
        known = self.stage.conversations.get_many([name])
        said = () if name not in known else known[name].conversation.turns
        messages = (
            *(Message(role=turn.role, content=turn.content) for turn in said),
            Message(role=Role.USER, content=f"Question {self.number}?"),
        )
        version = self.router.choose(name, messages)
        response_id = f"chatcmpl-{self.seed}x{self.number}"
        self.recorder.record(
            Exchange(
                response_id=response_id,
                conversation_id=name,
                source="chat",
                messages=messages,
                reply=f"Answer {self.number}.",
                version=version,
                finish_reason="stop",
                started_at=self.stage.clock.now(),
                first_token_seconds=0.1,
                seconds=1.0,
            )
        )
        if self.draw.random() < 0.5:
            self.recorder.feedback(response_id, rating=-1, correction=None)

    def review(self) -> None:
        self.stage.rollout.review()

    def wait(self) -> None:
        self.stage.clock.seconds += timedelta(hours=self.draw.choice([1, 25, 80])).total_seconds()

    def fail(self) -> None:
        self.router.failed(self.draw.choice(self.router.wanted()), "It does not answer.")

    def back(self) -> None:
        names = [version.metadata.version for version in self.stage.versions.all()]
        self.stage.deployment.rollback(self.draw.choice([BASE, *names]))


def main(home: Path, seed: int, fall: str = "") -> None:
    life = Life(home, seed)
    if fall:
        guillotine = Guillotine(
            int(fall.rstrip("+")),
            after=fall.endswith("+"),
            fall=lambda: os.kill(os.getpid(), signal.SIGKILL),
        )
        guillotine.stand_over(life.stage)
        life.join()
    print("begin", flush=True)
    while True:
        life.step()
        print("step", flush=True)


if __name__ == "__main__":
    words = dict(word.split("=", 1) for word in sys.argv[3:])
    main(Path(sys.argv[1]), int(sys.argv[2]), **words)
