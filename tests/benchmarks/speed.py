"""Training speed against TRL's SFTTrainer: same model, PEFT config, batch, sequences and machine, in turns.

    python tests/benchmarks/speed.py --chats FILE [--sequences 24] [--batch 4] [--rounds 3]

Both train with cross-entropy on all tokens of the same conversations, in bfloat16 where the machine has it,
without KL anchor, replay or EWC. Tokens are those of the conversations: what packing saves does not count as
work done. Prints medians and the ratio. TRL comes with the extra ``bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from allie_desktop.domain.planning import LoraGeometry, Recipe
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.batches import StepPlan
from allie_desktop.learning.chat_format import ChatFormat, Encoded
from allie_desktop.learning.trainer import HeldOut, Material, Trainer
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.loading import LoadedBase, load_base


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


def ours(loaded: LoadedBase, sequences: list[Encoded], batch: int) -> tuple[float, float]:
    """Return (seconds, last loss) of one epoch with our trainer."""
    adapter = Adapter(loaded.model, LoraGeometry(), 0)
    recipe = Recipe(kl_weight=0.0, ewc_weight=0.0, evaluations=1)
    steps = [
        StepPlan(tuple(range(i, min(i + batch, len(sequences)))), (), ())
        for i in range(0, len(sequences), batch)
    ]
    losses: list[float] = []
    watcher = Silent()
    watcher.after_step = lambda report: losses.append(report.loss)  # type: ignore[method-assign]
    trainer = Trainer(
        adapter,
        Material(sequences, [], [], []),
        steps,
        recipe,
        watcher,
        pad_token=loaded.tokenizer.pad_token_id,
        opening=ChatFormat(loaded.tokenizer).opening(),
        tokens_per_pass=2048,
    )
    started = time.monotonic()
    trainer.run()
    seconds = time.monotonic() - started
    loaded.model = adapter.model.unload()
    return seconds, losses[-1]


def theirs(loaded: LoadedBase, sequences: list[Encoded], batch: int) -> tuple[float, float]:
    """Return (seconds, mean loss) of one epoch with TRL's SFTTrainer."""
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
                learning_rate=5e-4,
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
        result = trainer.train()
        seconds = time.monotonic() - started
        loaded.model = trainer.model.unload()
    return seconds, float(result.training_loss)


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
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(os.environ.get("ALLIE_HOME", scratch)) / "cache"
        loaded = load_base(resolve_base(arguments.base, cache), cache=cache)
    rows = [json.loads(line)["messages"] for line in arguments.chats.read_text("utf-8").splitlines()]
    sequences = []
    for messages in rows[: arguments.sequences]:
        text = loaded.tokenizer.apply_chat_template(messages, tokenize=False)
        tokens = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        sequences.append(Encoded(tuple(tokens), (0.0, *[1.0] * (len(tokens) - 1))))
    total = sum(len(s) for s in sequences)
    figures: dict[str, list[float]] = {"ours": [], "trl": []}
    for round_ in range(arguments.rounds):
        for name, run in (("ours", ours), ("trl", theirs)):
            if name == "trl" and arguments.only_ours:
                continue
            seconds, loss = run(loaded, sequences, arguments.batch)
            figures[name].append(total / seconds)
            print(f"round {round_ + 1} {name}: {total / seconds:.0f} tokens/s, loss {loss:.3f}", flush=True)
    rate = matmul_rate(loaded.dtype)
    parameters = sum(p.numel() for p in loaded.model.parameters())
    median = statistics.median(figures["ours"])
    print(f"tokens {total}, {len(sequences)} conversations, batch {arguments.batch}")
    print(
        f"ours: median {median:.0f} tokens/s, {4 * parameters * median / rate:.0%} of {rate / 1e9:.0f} GFLOP/s"
    )
    if figures["trl"]:
        other = statistics.median(figures["trl"])
        print(f"TRL: median {other:.0f} tokens/s; ratio {median / other:.2f}")


if __name__ == "__main__":
    main()
