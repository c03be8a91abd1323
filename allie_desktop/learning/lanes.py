"""Passes that are computed side by side.

Products of small matrices do not become twice as fast on twice the cores, and what lies between them hardly
faster at all. So on a processor several passes run at the same time, each on its share of the cores, instead
of one after the other on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from allie_desktop.learning.memory import SMALLEST_PASS

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")
_R = TypeVar("_R")

#: More lanes find no work in a step, and each holds activations of its own.
_MOST_LANES = 4


class Lanes:
    """``count`` threads, each of which lets torch use ``threads`` cores; one lane is the caller's own thread.

    Results depend on the number of lanes only by rounding, and not at all on which lane is faster.
    """

    def __init__(self, count: int = 1, threads: int | None = None) -> None:
        self.count = max(1, count)
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def of_processor(cls, threads: int) -> Lanes:
        """Return lanes that share ``threads`` cores."""
        count = max(1, min(_MOST_LANES, threads))
        return cls(count, max(1, round(threads / count)))

    @classmethod
    def of_device(cls, device: torch.device, threads: int) -> Lanes:
        """Return lanes that share ``threads`` cores where ``device`` is the processor; elsewhere a single one."""
        return cls.of_processor(threads) if device.type == "cpu" else cls()

    def pass_tokens(self, tokens: int, most: int) -> int:
        """Return how many tokens a pass of one lane has, where ``tokens`` fit into memory in all; never more
        than ``most`` when there are several lanes, so that there is work for each."""
        if self.count == 1:
            return tokens
        return max(SMALLEST_PASS, min(tokens // self.count, most))

    def share(self, costs: Sequence[float]) -> list[list[int]]:
        """Share items out by their costs; return the indexes of each lane's items, in their order.

        Every lane that gets any gets about as much as the others: the dearest first, each to the lane that
        has least (Graham 1969, doi:10.1137/0117039).
        """
        parts: list[list[int]] = [[] for _ in range(self.count)]
        loads = [0.0] * self.count
        for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
            lane = loads.index(min(loads))
            loads[lane] += costs[index]
            parts[lane].append(index)
        return [sorted(part) for part in parts if part]

    def runs(self, widths: Sequence[int], each: int) -> list[range]:
        """Share rows out, given their ``widths`` in ascending order; return a run of indexes for each lane that
        gets any.

        A lane fills its rows up to the widest and spends ``each`` on a row besides. The dearest lane is as cheap
        as it can be.
        """
        rows = len(widths)
        cost = [0.0, *[float("inf")] * rows]  # of the dearest lane, by the number of rows that are shared out
        ends: list[list[int]] = []
        for _ in range(self.count):
            before, cost, end = cost, [0.0] * (rows + 1), [0] * (rows + 1)
            for stop in range(1, rows + 1):
                tried = ((max(before[k], (stop - k) * (widths[stop - 1] + each)), k) for k in range(stop + 1))
                cost[stop], end[stop] = min(tried)
            ends.append(end)
        found: list[range] = []
        stop = rows
        for end in reversed(ends):
            found.append(range(end[stop], stop))
            stop = end[stop]
        return [run for run in reversed(found) if run]

    def each(self, work: Callable[[_T], _R], parts: Sequence[_T]) -> list[_R]:
        """Return what ``work`` makes of each part, in their order. Raises what a part raises, when all have
        ended. At most ``count`` parts."""
        if self.count == 1 or len(parts) <= 1:
            return [work(part) for part in parts]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, "lane", self._begin)
        futures = [self._pool.submit(work, part) for part in parts]
        wait(futures)
        return [future.result() for future in futures]

    def _begin(self) -> None:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)  # of this thread; others keep theirs
