"""How the cost of training grows with the model and with the length of what is learnt.

    python tests/benchmarks/model_scale.py [--models SmolLM2-135M TinyLlama-1.1B] [--lengths 256 2048] [--json OUT]

Architectures are exact, weights are random: no figure here depends on what a model knows. Each pair of model and
length is trained in a process of its own, for ``--steps`` steps of ``--tokens`` tokens each after one that is not
counted, by the product's trainer with its LoRA configuration, in passes and lanes of the sizes it chooses itself,
without replay and anchors. Prints Markdown; medians of the steps.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.runs import about_machine, run_apart

#: From the models' published configurations; all are of the Llama kind.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "SmolLM2-135M": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49_152,
        "tie_word_embeddings": True,
    },
    "SmolLM2-360M": {
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
        "vocab_size": 49_152,
        "tie_word_embeddings": True,
    },
    "TinyLlama-1.1B": {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": 32_000,
        "tie_word_embeddings": False,
    },
}
LENGTHS = (256, 512, 1024, 2048)


def random_model(name: str, dtype: Any) -> Any:
    """Return a frozen model of the architecture ``name`` with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(**ARCHITECTURES[name], max_position_embeddings=max(LENGTHS), dtype=dtype)
    config._attn_implementation = "sdpa"
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    return model.requires_grad_(False).eval()


def run_point(name: str, length: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and measure one model at one length in this process."""
    import torch

    from allie_desktop.domain.planning import LoraGeometry, Recipe
    from allie_desktop.learning.adapter import Adapter
    from allie_desktop.learning.batches import StepPlan
    from allie_desktop.learning.chat_format import Encoded
    from allie_desktop.learning.lanes import Lanes
    from allie_desktop.learning.memory import free_memory, pass_size, peak_memory
    from allie_desktop.learning.trainer import HeldOut, Material, Trainer
    from allie_desktop.models.loading import best_device, best_dtype
    from tests.benchmarks.speed import Silent

    class Clock(Silent):
        """Notes when each step ended."""

        def __init__(self) -> None:
            self.times = [time.perf_counter()]

        def after_step(self, report: Any) -> None:
            self.times.append(time.perf_counter())

        def evaluate(self, step: int) -> HeldOut:
            return HeldOut(0.0, 0.0)

    threads = arguments.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    device = best_device()
    dtype = best_dtype(device)
    model = random_model(name, dtype).to(device)
    geometry = LoraGeometry()
    size = pass_size(model, geometry.rank, length, free_memory(device), cpu=device.type == "cpu")
    adapter = Adapter(model, geometry, 0)
    rows = max(1, arguments.tokens // length)
    draw = torch.Generator().manual_seed(0)

    def sequence() -> Encoded:
        tokens = torch.randint(3, ARCHITECTURES[name]["vocab_size"], (length,), generator=draw).tolist()
        return Encoded(tuple(tokens), (0.0, *[1.0] * (length - 1)))

    steps = arguments.steps + 1
    clock = Clock()
    trainer = Trainer(
        adapter,
        Material([sequence() for _ in range(rows * steps)], [], [], []),
        [StepPlan(tuple(range(rows * n, rows * (n + 1))), (), ()) for n in range(steps)],
        Recipe(kl_weight=0.0, ewc_weight=0.0, evaluations=1),
        clock,
        pad_token=0,
        tokens_per_pass=size.tokens,
        lanes=Lanes.of_device(device, threads),
    )
    clock.times = [time.perf_counter()]
    trainer.run()
    seconds = [after - before for before, after in zip(clock.times, clock.times[1:], strict=False)][1:]
    return {
        "model": name,
        "length": length,
        "parameters": sum(p.numel() for n, p in model.named_parameters() if "lora" not in n),
        "tokens": rows * length,
        "seconds": seconds,
        "tokens_per_second": rows * length / median(seconds),
        "peak_bytes": peak_memory(device),
        "pass_tokens": size.tokens,
        "checkpointing": size.checkpointing,
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
    }


def table(points: Sequence[dict[str, Any]]) -> str:
    """Return the points as a Markdown table, each model's first one as the measure of the others."""
    lines = [
        "| model | parameters | length | tokens/s | of the shortest | GFLOP/s (4·N a token) | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    first: dict[str, float] = {}
    for point in points:
        rate = point["tokens_per_second"]
        shortest = first.setdefault(point["model"], rate)
        work = 4 * point["parameters"] * rate / 1e9
        lines.append(
            f"| {point['model']} | {point['parameters'] / 1e6:,.0f} M | {point['length']} | {rate:.1f} "
            f"| {rate / shortest:.0%} | {work:.0f} | {point['peak_bytes'] / 1e9:.2f} GB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=list(ARCHITECTURES), default=list(ARCHITECTURES))
    parser.add_argument("--lengths", nargs="+", type=int, default=list(LENGTHS))
    parser.add_argument("--tokens", type=int, default=2048, help="of a step")
    parser.add_argument("--steps", type=int, default=3, help="that count")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--point", nargs=2, metavar=("MODEL", "LENGTH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if any(not 0 < length <= max(LENGTHS) for length in arguments.lengths):
        parser.error(f"lengths are from 1 to {max(LENGTHS)}")
    if arguments.point:
        print(json.dumps(run_point(arguments.point[0], int(arguments.point[1]), arguments)))
        return
    points: list[dict[str, Any]] = []
    for name in arguments.models:
        for length in arguments.lengths:
            points.append(run_apart("--point", name, str(length)))
            print(table(points[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
            if arguments.json:
                arguments.json.write_text(
                    json.dumps({**about_machine(), "points": points}, indent=1), "utf-8"
                )
    print(table(points))


if __name__ == "__main__":
    main()
