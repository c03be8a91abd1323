"""How much fits: sizes of passes from the memory that is free."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from allie_desktop.domain.errors import OutOfMemoryError

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")

#: No pass is made smaller than this many tokens.
SMALLEST_PASS = 64

_GIB = 1024**3

#: Memory of the device → (most tokens of a pass, longest sequence). Refined by the estimate below, and
#: halved when memory runs out all the same.
_TABLE = ((3 * _GIB, 512, 256), (6 * _GIB, 1024, 512), (10 * _GIB, 2048, 1024), (14 * _GIB, 4096, 2048))
_LARGEST = (4096, 2048)

#: On a CPU larger passes only push activations out of the caches.
_MOST_ON_CPU = 2048


@dataclass(frozen=True, slots=True)
class PassSize:
    """What one pass may hold. ``checkpointing``: recompute activations instead of keeping them."""

    tokens: int
    longest: int
    checkpointing: bool


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes on ``device``; None where nobody tells."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None


def bytes_per_token(model: Any, rank: int) -> int:
    """Return an estimate of the activation bytes that one trained token keeps until the backward pass.

    A Llama block keeps about 14 vectors of the hidden size, 5 of the intermediate size and 3·rank for
    each adapted layer; the constant was fitted to measured peaks.
    """
    config = model.config
    width = int(next(model.parameters()).element_size())
    hidden, inner = int(config.hidden_size), int(getattr(config, "intermediate_size", 4 * config.hidden_size))
    return int(config.num_hidden_layers) * (14 * hidden + 5 * inner + 21 * rank) * width


def pass_size(model: Any, rank: int, wanted_length: int, free: int | None, *, cpu: bool) -> PassSize:
    """Return the size of passes for ``free`` bytes (None: assume a small machine)."""
    memory = free if free is not None else 6 * _GIB
    tokens, longest = _LARGEST
    for limit, most, length in _TABLE:
        if memory < limit:
            tokens, longest = most, length
            break
    if cpu:
        tokens = min(tokens, _MOST_ON_CPU)
    longest = min(longest, wanted_length)
    fits = int(memory * 0.6) // max(1, bytes_per_token(model, rank))
    checkpointing = fits < longest
    if checkpointing:
        fits = int(config_blocks(model) ** 0.5) * max(fits, 64)
    return PassSize(max(64, min(tokens, fits)), longest, checkpointing)


def config_blocks(model: Any) -> int:
    """Return the number of transformer blocks: what recomputing saves grows with its square root."""
    return int(model.config.num_hidden_layers)


def peak_memory(device: torch.device) -> int:
    """Return the most bytes this process ever held (resident memory, or device memory on CUDA); 0 where
    nobody tells."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(usage if os.uname().sysname == "Darwin" else usage * 1024)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says so: CUDA and MPS have a class of their own, the CPU allocator only words."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate" in text)


def halved(size: int, smallest: int) -> int:
    """Return half of ``size`` after memory ran out, and free what can be freed; raise
    :class:`OutOfMemoryError` when ``size`` is the smallest already."""
    import torch

    if size <= smallest:
        raise OutOfMemoryError(
            "There is not enough memory to train even one short sequence at a time.",
            "Close other programs, or choose a smaller base model.",
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return max(smallest, size // 2)


def until_it_fits(work: Callable[[int], _T], size: int, smallest: int) -> tuple[_T, int]:
    """Return what ``work(size)`` returns and the size that it worked with: halved as long as memory runs out.

    Raises :class:`OutOfMemoryError` when even ``smallest`` does not fit.
    """
    while True:
        try:
            return work(size), size
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        size = halved(size, smallest)  # not in the except block: its traceback would keep the tensors alive
