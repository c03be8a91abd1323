"""A worker gives way: it lowers its own priority in every way that its platform documents.

Lowering oneself works for whoever started the process, and without any right. It cannot be taken back on
Linux by a normal user: "full speed now" means another worker.

On Linux, nice and SCHED_IDLE only rank inside one scheduling group, and each session is a group of its own
(autogroups): a worker of its own session at nice 19 still takes half the machine from a foreground program
with several threads, until its group is lowered too.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

_NICE = 19
_OOM_SCORE = 900  # of 1000: when memory ends, the worker goes first
_TIMER_SLACK_NANOSECONDS = 50_000_000

_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
_PR_SET_TIMERSLACK, _PR_GET_TIMERSLACK = 29, 30

_DARWIN_PROCESS, _DARWIN_BACKGROUND = 4, 0x1000  # PRIO_DARWIN_PROCESS, PRIO_DARWIN_BG of sys/resource.h

_WINDOWS_POWER_THROTTLING = 4  # ProcessPowerThrottling of PROCESS_INFORMATION_CLASS
_WINDOWS_EXECUTION_SPEED = 1


def lower_own_priority() -> tuple[str, ...]:
    """Lower the calling process as far as it goes; return what was achieved, in words, as read back.

    Call it first, in the main thread and before any other thread starts: on Linux each thread has a
    priority of its own, inherited from the one that starts it. What fails is left out; never raises.

    On Linux the process is also continued (SIGCONT) when its parent dies: should it have been frozen then,
    it wakes, sees the end of its stdin, and can end in an orderly way.
    """
    achieved: list[str] = []
    for step in _steps():
        try:
            words = step()
        except (OSError, ValueError, AttributeError, psutil.Error):
            continue
        if words:
            achieved.append(words)
    return tuple(achieved)


def _steps() -> tuple[Callable[[], str], ...]:
    linux = (
        _own_session,
        _autogroup,
        _nice,
        _idle_scheduling,
        _idle_io,
        _out_of_memory_first,
        _timer_slack,
        _wake_at_parents_death,
    )
    by_platform = {
        "linux": linux,
        "win32": (_windows_class, _windows_io, _windows_throttling),
        "darwin": (_own_session, _nice, _darwin_background),
    }
    return by_platform.get(sys.platform, (_own_session, _nice))


def _own_session() -> str:
    if os.getsid(0) != os.getpid():
        os.setsid()
    return "own session" if os.getsid(0) == os.getpid() else ""


def _nice() -> str:
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    return f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"


def _autogroup() -> str:
    file = Path("/proc/self/autogroup")
    file.write_text(str(_NICE))
    name, _, nice = file.read_text().strip().rpartition(" nice ")
    return f"autogroup nice {nice}" if name else ""


def _idle_scheduling() -> str:
    words = ""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        words = "SCHED_IDLE" if os.sched_getscheduler(0) == os.SCHED_IDLE else ""
    return words


def _idle_io() -> str:
    process = psutil.Process()
    process.ionice(psutil.IOPRIO_CLASS_IDLE)
    return "idle I/O" if process.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE else ""


def _out_of_memory_first() -> str:
    file = Path("/proc/self/oom_score_adj")
    if int(file.read_text()) < _OOM_SCORE:
        file.write_text(str(_OOM_SCORE))
    return f"OOM score {int(file.read_text()):+d}"


def _timer_slack() -> str:
    _prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(_TIMER_SLACK_NANOSECONDS))
    return f"timer slack {_prctl(_PR_GET_TIMERSLACK) // 1_000_000} ms"


def _wake_at_parents_death() -> str:
    words = ""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGCONT))
        number = ctypes.c_int()
        _prctl(_PR_GET_PDEATHSIG, ctypes.byref(number))
        words = "wakes when its parent dies" if number.value == signal.SIGCONT else ""
    return words


def _prctl(option: int, argument: object = None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    result = int(library.prctl(option, zero if argument is None else argument, zero, zero, zero))
    if result < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return result


def _windows_class() -> str:
    process = psutil.Process()
    process.nice(psutil.IDLE_PRIORITY_CLASS)
    return "idle priority class" if process.nice() == psutil.IDLE_PRIORITY_CLASS else ""


def _windows_io() -> str:
    process = psutil.Process()
    process.ionice(psutil.IOPRIO_VERYLOW)
    return "very low I/O" if process.ionice() == psutil.IOPRIO_VERYLOW else ""


class _PowerThrottling(ctypes.Structure):
    """PROCESS_POWER_THROTTLING_STATE of processthreadsapi.h."""

    _fields_ = (
        ("version", ctypes.c_ulong),
        ("control_mask", ctypes.c_ulong),
        ("state_mask", ctypes.c_ulong),
    )


def _windows_throttling() -> str:
    words = ""
    if sys.platform == "win32":
        state = _PowerThrottling(1, _WINDOWS_EXECUTION_SPEED, _WINDOWS_EXECUTION_SPEED)
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetProcessInformation.argtypes = (
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_ulong,
        )
        done = kernel.SetProcessInformation(
            kernel.GetCurrentProcess(), _WINDOWS_POWER_THROTTLING, ctypes.byref(state), ctypes.sizeof(state)
        )
        words = "power throttling" if done else ""
    return words


def _darwin_background() -> str:
    os.setpriority(_DARWIN_PROCESS, 0, _DARWIN_BACKGROUND)
    return "background QoS" if os.getpriority(_DARWIN_PROCESS, 0) else ""
