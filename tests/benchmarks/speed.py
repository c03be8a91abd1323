"""Training speed against TRL's SFTTrainer: same model, PEFT config, optimizer, batch, sequences and machine, in turns.

    python tests/benchmarks/speed.py --chats FILE [--sequences 24] [--batch 4] [--rounds 3] [--json OUT]

Both train with cross-entropy on all tokens of the same conversations, in bfloat16 where the machine has it,
without KL anchor, replay or EWC, at a constant learning rate. Each run is a process of its own, so that its peak
memory is its own too. Tokens are those of the conversations: what packing saves does not count as work done. The
loss is measured in the same way after both: the mean over all tokens that were trained on. Prints Markdown.
TRL comes with the extra ``bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from allie_desktop.domain.planning import LoraGeometry, Recipe
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.batches import StepPlan
from allie_desktop.learning.chat_format import Encoded
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.memory import free_memory, pass_size, peak_memory
from allie_desktop.learning.trainer import BETAS, HeldOut, Material, Trainer
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.loading import LoadedBase, load_base

if TYPE_CHECKING:
    from collections.abc import Sequence

ARMS = ("ours", "trl")
_RATE = 5e-4


class Silent:
    """A watcher that sees nothing."""

    def between_passes(self) -> None:
        """Go on."""

    def after_step(self, report: Any) -> None:
        """Ignore."""

    def evaluate(self, step: int) -> HeldOut:
        """Every adapter is good."""
        return HeldOut(float(-step), 0.0)

    def out_of_time(self) -> bool:
        """Never."""
        return False

    def pass_halved(self, tokens_per_pass: int) -> None:
        """Ignore."""


def ours(loaded: LoadedBase, sequences: Sequence[Encoded], batch: int) -> tuple[float, Any]:
    """Return (seconds, model) of one epoch with our trainer, as an episode runs it."""
    geometry = LoraGeometry()
    adapter = Adapter(loaded.model, geometry, 0)
    recipe = Recipe(
        learning_rate=_RATE,
        kl_weight=0.0,
        ewc_weight=0.0,
        evaluations=1,
        warmup_share=0.0,
        final_rate_share=1.0,
    )
    # No opening is shared, since it is trained on here like all other tokens.
    steps = [
        StepPlan(tuple(range(i, min(i + batch, len(sequences)))), (), ())
        for i in range(0, len(sequences), batch)
    ]
    longest = max(len(s) for s in sequences)
    size = pass_size(
        loaded.model, geometry.rank, longest, free_memory(loaded.device), cpu=loaded.device.type == "cpu"
    )
    trainer = Trainer(
        adapter,
        Material(sequences, [], [], []),
        steps,
        recipe,
        Silent(),
        pad_token=loaded.tokenizer.pad_token_id,
        tokens_per_pass=size.tokens,
        lanes=Lanes.of_device(loaded.device, torch.get_num_threads()),
    )
    started = time.monotonic()
    trainer.run()
    return time.monotonic() - started, adapter.model


def theirs(loaded: LoadedBase, sequences: Sequence[Encoded], batch: int) -> tuple[float, Any]:
    """Return (seconds, model) of one epoch with TRL's SFTTrainer."""
    import peft
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    geometry = LoraGeometry()
    config = peft.LoraConfig(
        r=geometry.rank,
        lora_alpha=geometry.alpha,
        target_modules=list(geometry.targets),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=loaded.model,
            args=SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=batch,
                num_train_epochs=1,
                learning_rate=_RATE,
                lr_scheduler_type="constant",
                adam_beta1=BETAS[0],
                adam_beta2=BETAS[1],
                bf16=loaded.dtype is torch.bfloat16,
                use_cpu=loaded.device.type == "cpu",
                max_length=None,
                gradient_checkpointing=False,
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list([{"input_ids": list(s.tokens)} for s in sequences]),
            processing_class=loaded.tokenizer,
            peft_config=config,
        )
        started = time.monotonic()
        trainer.train()
        return time.monotonic() - started, trainer.model


def mean_loss(model: Any, sequences: Sequence[Encoded]) -> float:
    """Return the mean negative log-likelihood (nats) of all tokens but each sequence's first."""
    device = next(model.parameters()).device
    total, count = 0.0, 0
    model.eval()
    with torch.no_grad():
        for sequence in sequences:
            tokens = torch.tensor([sequence.tokens], device=device)
            logits = model(input_ids=tokens).logits[0, :-1].float()
            total += float(torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum"))
            count += tokens.shape[1] - 1
    return total / count


def matmul_rate(dtype: torch.dtype) -> float:
    """Return the FLOP/s of a product of the shape that training spends most time in."""
    a, b = torch.randn(2048, 576, dtype=dtype), torch.randn(1536, 576, dtype=dtype)
    best = 0.0
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(10):
            torch.nn.functional.linear(a, b)
        best = max(best, 10 * 2 * 2048 * 576 * 1536 / (time.perf_counter() - started))
    return best


def run_arm(arm: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Load, train and measure one arm in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(os.environ.get("ALLIE_HOME", scratch)) / "cache"
        loaded = load_base(resolve_base(arguments.base, cache), cache=cache)
    sequences = []
    with arguments.chats.open(encoding="utf-8") as lines:
        for line, _ in zip(lines, range(arguments.sequences), strict=False):
            text = loaded.tokenizer.apply_chat_template(json.loads(line)["messages"], tokenize=False)
            tokens = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
            sequences.append(Encoded(tuple(tokens), (0.0, *[1.0] * (len(tokens) - 1))))
    before = mean_loss(loaded.model, sequences[:1])  # what is set up on a first pass is no part of training
    parameters = sum(p.numel() for p in loaded.model.parameters())
    seconds, model = (ours if arm == "ours" else theirs)(loaded, sequences, arguments.batch)
    peak = peak_memory(loaded.device)
    total = sum(len(s) for s in sequences)
    return {
        "arm": arm,
        "tokens": total,
        "seconds": seconds,
        "tokens_per_second": total / seconds,
        "peak_bytes": peak,
        "first_loss": before,
        "loss": mean_loss(model, sequences),
        "flops_per_token": 4 * parameters,
        "dtype": str(loaded.dtype).removeprefix("torch."),
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chats", type=Path, required=True)
    parser.add_argument("--sequences", type=int, default=24)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base", default="starter")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    if arguments.arm:
        print(json.dumps(run_arm(arguments.arm, arguments)))
        return
    runs: list[dict[str, Any]] = []
    rates: list[float] = []
    for number in range(arguments.rounds):
        for arm in ARMS[:1] if arguments.only_ours else ARMS:
            command = [sys.executable, __file__, *sys.argv[1:], "--arm", arm]
            output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            runs.append(json.loads(output.splitlines()[-1]))
            print(
                f"round {number + 1}, {arm}: {runs[-1]['tokens_per_second']:.0f} tokens/s, "
                f"loss {runs[-1]['loss']:.3f}, {runs[-1]['peak_bytes'] / 1e9:.2f} GB",
                file=sys.stderr,
                flush=True,
            )
        rates.append(matmul_rate(getattr(torch, runs[0]["dtype"])))
    print(_table(runs, median(rates)))
    if arguments.json:
        document = {
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "matmul_flops": median(rates),
            "runs": runs,
        }
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")


def _table(runs: Sequence[dict[str, Any]], rate: float) -> str:
    rows = {arm: [r for r in runs if r["arm"] == arm] for arm in ARMS}
    names = ("tokens_per_second", "loss", "peak_bytes", "flops_per_token")
    middle = {arm: {n: median(r[n] for r in mine) for n in names} for arm, mine in rows.items() if mine}
    lines = [
        f"{runs[0]['tokens']} tokens, medians of {len(rows['ours'])} rounds, {rate / 1e9:.0f} GFLOP/s measured",
        "",
        "| | tokens/s | share of the matmul rate (4·N a token) | loss after | peak memory |",
        "|---|---|---|---|---|",
    ]
    for arm, found in middle.items():
        share = found["flops_per_token"] * found["tokens_per_second"] / rate
        lines.append(
            f"| {arm} | {found['tokens_per_second']:.0f} | {share:.0%} | {found['loss']:.3f} "
            f"| {found['peak_bytes'] / 1e9:.2f} GB |"
        )
    if len(middle) > 1:
        one, other = (middle[arm] for arm in ARMS)
        ratios = (f"{one[n] / other[n]:.2f}" for n in names[:3])
        lines.append("| ratio | {} | | {} | {} |".format(*ratios))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
