"""Perplexity on plain text, of the base model and of versions made on top of it.

    python tests/benchmarks/perplexity.py --home HOME --text FILE --versions base v1.0

The text is one run of tokens, read in windows of ``--length`` tokens that begin ``--stride`` tokens apart; each
token is scored once, in the first window that holds it, with what stands before it there as its context. Versions
are loaded as the learner loads them (``models/loading.py``, ``learning/adapter.py``). Windows are compared in
pairs with the first version named, so that a change of one per cent shows: the interval is that of the ratio of
perplexities. ``--tokens`` bounds the work; ``--json`` keeps the mean loss of every window.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from allie_desktop.bootstrap import Program, open_demo
from allie_desktop.domain.statistics import Interval, mean_interval
from allie_desktop.domain.versions import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allie_desktop.learning.evaluate import Evaluator

PASS_TOKENS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Tokens ``start`` to ``end`` (exclusive) of a text; those from ``scored`` on count."""

    start: int
    scored: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a version made of a text. ``losses``: mean of each window in nats a token; ``counts``: its tokens."""

    version: str
    losses: tuple[float, ...]
    counts: tuple[int, ...]
    seconds: float

    @property
    def perplexity(self) -> float:
        """The exponential of the mean loss of all tokens."""
        total = sum(loss * count for loss, count in zip(self.losses, self.counts, strict=True))
        return math.exp(total / sum(self.counts))


def windows(tokens: int, *, length: int, stride: int) -> list[Window]:
    """Return windows over a text of so many tokens. Each token is scored once, but for those that have nothing
    before them: the first, and with windows that only touch the first of each.

    Raises ValueError for a stride that would leave tokens out.
    """
    if not 0 < stride <= length or length < 2:
        raise ValueError("a stride must be at least one token and no longer than a window of at least two")
    found: list[Window] = []
    scored = 1  # nothing stands before the first token
    for start in range(0, tokens, stride):
        end = min(start + length, tokens)
        first = max(scored, start + 1)
        if first < end:
            found.append(Window(start=start, scored=first, end=end))
        scored = end
        if end == tokens:
            break
    return found


def ratio(first: Reading, other: Reading) -> tuple[float, Interval | None]:
    """Return the perplexity of ``other`` over that of ``first``, and the interval of its logarithm."""
    mean = sum(first.counts) / len(first.counts)
    differences = [
        (after - before) * count / mean
        for before, after, count in zip(first.losses, other.losses, first.counts, strict=True)
    ]
    return other.perplexity / first.perplexity, mean_interval(differences, seed="perplexity")


def readings(
    program: Program, text: str, versions: Sequence[str], *, length: int, stride: int, tokens: int | None
) -> list[Reading]:
    """Return what each of ``versions`` makes of ``text``, or of its first ``tokens`` tokens."""
    import torch

    from allie_desktop.domain.planning import LoraGeometry
    from allie_desktop.learning.adapter import Adapter
    from allie_desktop.learning.chat_format import ChatFormat, Encoded
    from allie_desktop.learning.evaluate import Evaluator
    from allie_desktop.learning.lanes import Lanes
    from allie_desktop.models.loading import load_base

    threads = torch.get_num_threads()
    loaded = load_base(program.base(), cache=program.paths.base_cache)
    adapter = Adapter(loaded.model, LoraGeometry(), 0)
    base = adapter.zero_state()
    evaluator = Evaluator(
        adapter,
        ChatFormat(loaded.tokenizer),
        tokens_per_pass=PASS_TOKENS,
        between=lambda: None,
        lanes=Lanes.of_device(loaded.device, threads),
    )
    ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"][:tokens]
    cut = windows(len(ids), length=length, stride=stride)
    if not cut:
        raise SystemExit("The text is too short.")
    sequences = [
        Encoded(
            tuple(ids[w.start : w.end]),
            tuple(float(place >= w.scored) for place in range(w.start, w.end)),
        )
        for w in cut
    ]
    counts = tuple(w.end - w.scored for w in cut)
    found = []
    for version in versions:
        if version == BASE:
            adapter.set_state(base)
        else:
            adapter.load(Path(program.versions.get(version).path))
        found.append(_reading(version, evaluator, sequences, counts))
        print(f"{version}: {found[-1].perplexity:.4f}", file=sys.stderr, flush=True)
    return found


def _reading(
    version: str, evaluator: Evaluator, sequences: Sequence[Any], counts: tuple[int, ...]
) -> Reading:
    began = time.monotonic()
    losses = evaluator.losses(sequences)
    return Reading(
        version=version, losses=tuple(losses), counts=counts, seconds=round(time.monotonic() - began, 1)
    )


def table(found: Sequence[Reading]) -> str:
    """Return the figures as a Markdown table."""
    first = found[0]
    lines = [
        f"| version | tokens | perplexity | against {first.version} (95 % interval) | seconds |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        change, interval = ratio(first, one)
        against = "" if one is first else f"{change - 1:+.2%}"
        if one is not first and interval is not None:
            against += f" ({math.expm1(interval.low):+.2%} to {math.expm1(interval.high):+.2%})"
        lines.append(
            f"| {one.version} | {sum(one.counts):,} | {one.perplexity:.3f} | {against} | {one.seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="of the program whose versions these are")
    parser.add_argument("--text", type=Path, required=True, help="plain text, UTF-8")
    parser.add_argument("--versions", nargs="+", default=[BASE])
    parser.add_argument("--length", type=int, default=512, help="of a window, in tokens")
    parser.add_argument("--stride", type=int, default=256, help="from window to window, in tokens")
    parser.add_argument("--tokens", type=int, help="read no more than so many")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with open_demo(arguments.home) as program:
        found = readings(
            program,
            arguments.text.read_text("utf-8"),
            arguments.versions,
            length=arguments.length,
            stride=arguments.stride,
            tokens=arguments.tokens,
        )
    print(f"windows of {arguments.length} tokens, stride {arguments.stride}\n\n{table(found)}")
    if arguments.json:
        figures = {
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "python": sys.version,
            "text": arguments.text.name,
            "length": arguments.length,
            "stride": arguments.stride,
            "readings": [{**asdict(one), "perplexity": one.perplexity} for one in found],
        }
        arguments.json.write_text(json.dumps(figures, indent=1), "utf-8")


if __name__ == "__main__":
    main()
