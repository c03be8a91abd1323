"""A thread for one sensor, so that a slow or hanging source delays nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from allie_desktop.domain.readings import SensorState
from allie_desktop.sensors.sensor import Sensor

_STOP_SECONDS = 1.0


class Lane:
    """Reads one sensor in its own thread, which sleeps until asked. For one caller at a time."""

    def __init__(self, sensor: Sensor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.sensor = sensor
        self._clock = clock
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked = 0
        self._answered = 0
        self._own_pids: frozenset[int] = frozenset()
        self._values: Mapping[str, Any] = {}
        self._state: SensorState | None = None
        self._read_at = 0.0
        self._late = False

    def ask(self, own_pids: frozenset[int]) -> None:
        """Begin a reading, unless one is under way."""
        with self._condition:
            if self._closed:
                return
            self._own_pids = own_pids
            if self._asked == self._answered:
                self._asked += 1
                self._condition.notify_all()
            if self._thread is None:
                name = f"sensor {self.sensor.name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def answer(self, deadline: float) -> Mapping[str, Any]:
        """Return what the sensor says, waiting until ``deadline`` on the clock; an earlier answer if that is
        young enough, else nothing."""
        with self._condition:
            if self._closed:
                return {}
            while self._answered < self._asked:
                left = deadline - self._clock()
                if left <= 0 or not self._condition.wait(left):
                    break
            self._late = self._answered < self._asked
            if self._late and (
                self._answered == 0 or self._clock() - self._read_at > self.sensor.keep_seconds
            ):
                return {}
            return self._values

    def state(self) -> SensorState:
        """Return whether the sensor could see when it was last asked."""
        with self._condition:
            state = self._state
            late = self._late
        if state is None or (late and not self.sensor.keep_seconds):
            words = "no answer yet" if state is None else "it does not answer in time"
            return SensorState(name=self.sensor.name, source="", works=False, words=words)
        return state

    def close(self) -> None:
        """End the thread and close the sensor. A thread that hangs in a source is left behind."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._thread is None:
            self.sensor.close()
        else:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while True:
            with self._condition:
                while self._asked == self._answered and not self._closed:
                    self._condition.wait()
                if self._closed:
                    break
                own_pids = self._own_pids
            values = self.sensor.read(own_pids)
            state = self.sensor.state()
            with self._condition:
                self._values, self._state = values, state
                self._answered, self._read_at = self._asked, self._clock()
                self._condition.notify_all()
        self.sensor.close()
