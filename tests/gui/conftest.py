"""Desktops and a place for screenshots. ``ALLIE_TEST_ARTEFACTS`` names a folder that keeps them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.gui.desktop_session import DesktopSession, missing_tools
from tests.gui.tray_stage import TrayStage
from tests.gui.window_stage import Stage


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """The folder for screenshots."""
    chosen = os.environ.get("ALLIE_TEST_ARTEFACTS")
    folder = Path(chosen).absolute() if chosen else tmp_path / "artefacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def desktops(artefacts: Path) -> Iterator[Callable[..., DesktopSession]]:
    """Make desktops with or without their parts: ``desktops(tray=False)``."""
    missing = missing_tools()
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with ExitStack() as stack:

        def make(**parts: Any) -> DesktopSession:
            # Not in tmp_path: a socket's path may have a hundred characters at most.
            folder = Path(tempfile.mkdtemp(prefix="allie-desk-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            return stack.enter_context(DesktopSession(folder, artefacts=artefacts, **parts))

        yield make


@pytest.fixture
def desktop(desktops: Callable[..., DesktopSession]) -> DesktopSession:
    """A whole desktop: window manager, tray and notifications."""
    return desktops()


@pytest.fixture(scope="session")
def base_hashes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the program remembers of the starter model once it has checked it, which takes seconds."""
    from allie_desktop.models.catalogue import resolve_base

    cache = tmp_path_factory.mktemp("cache")
    resolve_base("starter", cache)
    return cache / "base-hashes.json"


@pytest.fixture
def tray_stages(
    desktops: Callable[..., DesktopSession], base_hashes: Path
) -> Iterator[Callable[..., TrayStage]]:
    """Make a desktop and a prepared home for the tray application; it is ended with the test."""
    with ExitStack() as stack:

        def make(*, parts: dict[str, Any] | None = None, **preparation: Any) -> TrayStage:
            desktop = desktops(**(parts or {}))
            stage = TrayStage(desktop.folder / "home", desktop)
            stage.prepare(**{"base_hashes": base_hashes, **preparation})
            # The desktop ends its programs: a worker must not outlive them.
            stack.callback(stage.clean_up)
            return stage

        yield make


@pytest.fixture
def stage(tmp_path: Path, qapp: Any) -> Iterator[Stage]:
    """A filled home with what windows are given."""
    made = Stage(tmp_path / "home")
    made.fill()
    yield made
    made.close()
