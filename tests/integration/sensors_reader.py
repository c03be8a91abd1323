"""Reads all sensors in a process of its own: for each line of pids on stdin, one line of JSON on stdout.

Nothing is remembered of a source that failed, so that every line says what is true now. Started through
:class:`tests.sensors_stage.Reader`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from allie_desktop.sensors.idle_sources import Platform
from allie_desktop.sensors.registry import Sensors, all_sensors


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    folder = Path(tempfile.gettempdir())
    sensors = all_sensors(Platform(), folder)
    for sensor in sensors:
        sensor.retry_seconds = sensor.lasting_seconds = 0.0
    with Sensors(folder=folder, sensors=sensors) as eyes:
        for line in sys.stdin:
            readings = eyes.read(map(int, line.split()), patience_seconds=10.0)
            states = {state.name: asdict(state) for state in eyes.describe()}
            answer = {
                "readings": asdict(readings),
                "states": states,
                "kernel": os.environ.get("UMOCKDEV_DIR"),
            }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
