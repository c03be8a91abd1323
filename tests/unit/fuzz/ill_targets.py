"""Targets that do what the campaign looks for, for its own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

from tests.fuzz.target import Outcome, ServerFaultError, Target


class _Ill(Target):
    group = "ill"

    def make(self, random: Random) -> bytes:
        return random.randbytes(8)


class Raises(_Ill):
    """Every third input is refused, every fifth raises."""

    name = "raises"

    def make(self, random: Random) -> bytes:
        return b"%d" % random.randrange(1000)

    def attempt(self, data: bytes) -> Outcome:
        if int(data) % 5 == 0:
            raise KeyError(int(data))
        return Outcome.REFUSED if int(data) % 3 == 0 else Outcome.TAKEN


class Dies(_Ill):
    """The process is gone at the third input of each life."""

    name = "dies"
    lived = 0

    def attempt(self, data: bytes) -> Outcome:
        self.lived += 1
        if self.lived == 3:
            os._exit(7)
        return Outcome.TAKEN


class Hangs(_Ill):
    """The second input of each life takes a rule that goes back and forth for years, inside of one call."""

    name = "hangs"
    lived = 0

    def attempt(self, data: bytes) -> Outcome:
        self.lived += 1
        if self.lived == 2:
            re.match(r"(a|a)+$", "a" * 60 + "b")
        return Outcome.TAKEN


class Fails(_Ill):
    """A service that answers with an error of its own."""

    name = "fails"

    def attempt(self, data: bytes) -> Outcome:
        raise ServerFaultError("500")


class Starts(_Ill):
    """A process that was started, and an input that never ends."""

    name = "starts"

    def prepare(self, stack: ExitStack) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(os.environ["ILL_PID_FILE"]).write_text(str(child.pid))

    def attempt(self, data: bytes) -> Outcome:
        while True:
            time.sleep(0.1)
