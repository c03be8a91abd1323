"""What benchmarks have in common: what they ran on, and runs in a process of their own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from allie_desktop.domain.planning import Recipe


def about_machine() -> dict[str, Any]:
    """Return what stands in the figures of every benchmark."""
    return {"machine": platform.platform(), "cores": os.cpu_count(), "python": sys.version}


def recipe_changes(pairs: Iterable[str]) -> dict[str, Any]:
    """Return what NAME=VALUE pairs change in a recipe, as fields of their kinds."""
    kinds = {field.name: type(field.default) for field in fields(Recipe)}
    return {name: kinds[name](value) for name, value in (pair.split("=") for pair in pairs)}


def run_apart(*arguments: str) -> dict[str, Any]:
    """Run this script again, with its own arguments and these, and return the JSON object that it prints last: what
    one run leaves in memory is no concern of the next."""
    command = [sys.executable, str(Path(sys.argv[0]).resolve()), *sys.argv[1:], *arguments]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found
