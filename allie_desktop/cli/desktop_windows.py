"""The windows over one program: everything that they need from outside, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allie_desktop.bootstrap import Program

if TYPE_CHECKING:
    from allie_desktop.ui.backend import Controls, Window
    from allie_desktop.ui.windows.feed import LearningFeed
    from allie_desktop.ui.windows.services import WindowServices


def make_window(program: Program, feed: LearningFeed, controls: Controls) -> Window:
    """Return the main window, not yet shown."""
    from allie_desktop.ui.windows.main_window import MainWindow

    return MainWindow(make_services(program, feed, controls))


def make_first_run(program: Program, feed: LearningFeed, controls: Controls) -> Window | None:
    """Return the window of the first run; None when the person went through it."""
    return None


def make_services(program: Program, feed: LearningFeed, controls: Controls) -> WindowServices:
    """Return what the windows are given."""
    from allie_desktop.ui.windows.services import WindowServices

    def in_a_thread(work):  # type: ignore[no-untyped-def]
        """Give work a program of its own: a store belongs to the thread that opened it."""

        def run(*args, **kwargs):  # type: ignore[no-untyped-def]
            with Program(program.paths) as own:
                return work(own, *args, **kwargs)

        return run

    def rollback(own: Program, to: str | None) -> str:
        answers = own.rollback(to)
        controls.look_again()
        return answers

    return WindowServices(
        preferences=program.settings,
        episodes=program.episodes,
        conversations=program.conversations,
        clock=program.clock,
        feed=feed,
        learn_now=controls.learn_now,
        stop_episode=controls.stop_episode,
        pause=controls.pause,
        resume=controls.resume,
        versions=lambda: Program(program.paths).versions,
        report_of=in_a_thread(lambda own, episode_id: own.report_of(episode_id)),
        rollback=in_a_thread(rollback),
        storage=lambda: (),
    )
