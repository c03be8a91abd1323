"""How fast, how large and how steady chat is: our engine beside bare llama.cpp and transformers.

    python tests/benchmarks/chat_engines.py [--parts start,swaps,reloads,speed] [--swaps N] [--json OUT]

Every part runs on the starter model with a random adapter of the geometry that learning uses. Speeds are
medians of alternating rounds. Added latency is the p99 of the time between two pieces of a stream while
versions are swapped, less the p99 without. ``swaps`` flips between two loaded versions, as a roll-out, its
commit and its rollback do; ``reloads`` really loads the other version beside each time, which is what a
deployment does once, and closes the old one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from allie_desktop.domain.chat import GenerationOptions, ReplyEnd, TextPiece
from allie_desktop.domain.planning import LoraGeometry
from allie_desktop.inference.engines import LocalEngines
from allie_desktop.inference.gguf_adapter import cached_adapter
from allie_desktop.inference.live import LiveVersions
from allie_desktop.inference.llama_engine import LlamaEngine
from allie_desktop.inference.prompts import user_prompt
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.gguf_header import read_header

THREADS = 2
PROMPT = "Tell me a long story about the sea and the people who live by it."
SHORT = "Hello! How are you?"
TELLING = "Give me a tip for sleeping well."
_MODULES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
}


class Stage:
    """A home with three versions, made once and reused."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.base = resolve_base("starter", self.cache)
        self.path = Path(self.base.path)
        self.folders = {f"v1.{n}": folder / f"v1.{n}" for n in range(3)}
        for number, target in enumerate(self.folders.values()):
            if not target.is_dir():
                write_adapter(target, self.path, number)
        self.failures: list[tuple[str, str]] = []
        self.open = 0  # engines in memory

    def get(self, name: str) -> Any:
        return SimpleNamespace(path=str(self.folders[name]), metadata=SimpleNamespace(version=name))

    def verify(self, name: str) -> None:
        """Random weights have no manifest."""

    def all(self) -> tuple[Any, ...]:
        return tuple(self.get(name) for name in self.folders)

    def engines(self) -> LocalEngines:
        return LocalEngines(
            self,  # type: ignore[arg-type]
            lambda: self.base,
            cache=self.cache,
            converted=self.cache / "gguf-adapters",
            threads=THREADS,
        )

    def load(self, version: str) -> Any:
        """As :class:`LocalEngines`, with the version written on the engine."""
        engine: Any = self.engines().load(version)
        engine.version = version
        close, self.open = engine.close, self.open + 1

        def closed() -> None:
            close()
            self.open -= 1

        engine.close = closed
        return engine

    def live(self) -> LiveVersions:
        return LiveVersions(
            self,
            clock=SimpleNamespace(monotonic=time.monotonic),  # type: ignore[arg-type]
            on_failed=lambda version, reason: self.failures.append((version, reason)),
            unload_after_seconds=lambda: 0.0,
        )

    def converted(self, name: str) -> Path:
        return cached_adapter(name, self.folders[name], self.path, self.cache / "bare")


def write_adapter(folder: Path, base: Path, seed: int) -> None:
    from safetensors.numpy import save_file

    geometry, shapes = LoraGeometry(), read_header(base).shapes
    draw = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes.items():
        if not name.startswith("blk.") or len(shape) != 2:
            continue
        _, block, kind, _ = name.split(".")
        module = (
            _MODULES[kind.removeprefix("attn_")[0]]
            if kind.startswith("attn_")
            else f"mlp.{kind.removeprefix('ffn_')}_proj"
        )
        prefix = f"base_model.model.model.layers.{block}.{module}"
        a = draw.standard_normal((geometry.rank, shape[1])) / shape[1] ** 0.5
        b = draw.standard_normal((shape[0], geometry.rank)) * 0.05
        weights[f"{prefix}.lora_A.weight"] = a.astype(np.float32)
        weights[f"{prefix}.lora_B.weight"] = b.astype(np.float32)
    folder.mkdir(parents=True)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": geometry.rank,
        "lora_alpha": geometry.alpha,
        "target_modules": list(geometry.targets),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")


def rss_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


def ask(engine: Any, prompt: str, tokens: int) -> tuple[list[float], str, ReplyEnd]:
    """Return when each piece came (seconds from the request), the reply, and how it ended."""
    began, times, text = time.perf_counter(), [], ""
    end = None
    options = GenerationOptions(max_tokens=tokens, temperature=0.0)
    for event in engine.stream(user_prompt(prompt), options, lambda: False):
        if isinstance(event, TextPiece):
            times.append(time.perf_counter() - began)
            text += event.text
        else:
            end = event
    assert end is not None
    return times, text, end


# --- tokens a second ---


@contextlib.contextmanager
def bare_server(stage: Stage) -> Iterator[Any]:
    """llama.cpp as the library starts it, with the same file, adapter and threads."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(stage.path)
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(stage.converted("v1.0")), 1.0)]
    params.n_ctx, params.verbosity = 4096, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    yield xllamacpp.Server(params)


def bare_speed(server: Any, text: str, tokens: int) -> float:
    times: list[float] = []
    body = {"prompt": text, "max_tokens": tokens, "temperature": 0.0, "stream": True, "ignore_eos": True}
    server.handle_completions(json.dumps(body), lambda _: times.append(time.perf_counter()))
    return (tokens - 1) / (times[-2] - times[0])


def transformers_speed(model: Any, ids: Any, tokens: int) -> float:
    import torch

    def seconds(count: int) -> float:
        began = time.perf_counter()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=count,
            min_new_tokens=count,
        )
        return time.perf_counter() - began

    return (tokens - 1) / max(1e-9, seconds(tokens) - seconds(1))


def speed(stage: Stage, rounds: int, tokens: int) -> dict[str, Any]:
    import torch
    from peft import PeftModel

    from allie_desktop.models.loading import load_base

    torch.set_num_threads(THREADS)
    loaded = load_base(stage.base, cache=stage.cache, device="cpu", dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(loaded.model, stage.folders["v1.0"], autocast_adapter_dtype=False)
    model = model.to(torch.bfloat16).eval()
    engine = LlamaEngine(
        stage.path, read_header(stage.path), adapter=stage.converted("v1.0"), threads=THREADS
    )
    text = engine._template.render(user_prompt(PROMPT))
    ids = loaded.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    found: dict[str, list[float]] = {"bare": [], "ours": [], "transformers": [], "first_token_ms": []}
    with bare_server(stage) as server:
        bare_speed(server, text, 8)
        ask(engine, PROMPT, 8)
        for _ in range(rounds):
            found["bare"].append(bare_speed(server, text, tokens))
            times, _, end = ask(engine, PROMPT, tokens)
            found["ours"].append((end.completion_tokens - 1) / (times[-1] - times[0]))
            found["transformers"].append(transformers_speed(model, ids, min(tokens, 24)))
            found["first_token_ms"].append(1000 * ask(engine, f"{SHORT} {len(found['ours'])}", 2)[0][0])
    engine.close()
    medians = {name: round(statistics.median(values), 1) for name, values in found.items()}
    return {
        "tokens_per_second": {n: medians[n] for n in ("bare", "ours", "transformers")},
        "ours_to_bare": round(medians["ours"] / medians["bare"], 3),
        "ours_to_transformers": round(medians["ours"] / medians["transformers"], 2),
        "warm_first_token_ms": medians["first_token_ms"],
        "rounds": rounds,
    }


# --- a fresh process ---

_CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.benchmarks.chat_engines import SHORT, Stage, ask, rss_mb
stage = Stage(Path({folder!r}))
live = stage.live()
with live.use("v1.0") as engine:
    times, text, end = ask(engine, SHORT, 1)
    print(time.time())
    ask(engine, SHORT, 200)
print(rss_mb())
print("torch" in sys.modules, "numpy" in sys.modules)
live.close()
"""


def fresh(stage: Stage, folder: Path, rounds: int) -> dict[str, Any]:
    """Return how long a new process takes to its first token, and how large it is after a long reply."""
    stage.engines().load("v1.0").close()  # the adapter is converted once, when it is deployed
    code = _CHILD.format(root=str(Path(__file__).parents[2]), folder=str(folder))
    starts, sizes = [], []
    for _ in range(rounds):
        began = time.time()
        lines = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split("\n")
        starts.append(float(lines[0]) - began)
        sizes.append(float(lines[1]))
    return {
        "cold_start_to_first_token_s": round(statistics.median(starts), 2),
        "rss_mb": round(statistics.median(sizes), 1),
        "torch_and_numpy_loaded": lines[2],
        "rounds": rounds,
    }


# --- swaps ---


class Clients:
    """Streams that never stop; ``gaps`` are the seconds between two pieces, ``firsts`` to the first one."""

    def __init__(self, live: LiveVersions, active: list[str], count: int) -> None:
        self._live, self._active = live, active
        self.gaps: list[float] = []
        self.firsts: list[float] = []
        self.replies, self.impure, self.errors = 0, 0, list[str]()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            version = self._active[0]
            began = time.perf_counter()
            try:
                with self._live.use(version) as engine:
                    waited = time.perf_counter() - began
                    times, _, _ = ask(engine, TELLING, 24)
                    mixed = engine.version != version  # type: ignore[attr-defined]
            except Exception as error:  # noqa: BLE001 - counted
                self.errors.append(repr(error))
                continue
            with self._lock:
                self.replies += 1
                self.impure += mixed
                self.firsts.append(waited + times[0])
                self.gaps.extend(b - a for a, b in pairwise(times))

    def measure(self) -> tuple[list[float], list[float]]:
        """Return and forget what was measured so far."""
        with self._lock:
            found, self.gaps, self.firsts = (self.gaps, self.firsts), [], []
            return found

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def p99(values: list[float]) -> float:
    if not values:
        return float("nan")
    return round(1000 * float(np.percentile(values, 99)), 1)


def swaps(stage: Stage, count: int, clients: int, *, reload: bool) -> dict[str, Any]:
    live, active = stage.live(), ["v1.0"]
    both = () if reload else ("v1.0", "v1.1")
    live.keep(both or ["v1.0"])
    wait(lambda: live.loaded() == (both or ("v1.0",)))
    streams = Clients(live, active, clients)
    wait(lambda: streams.replies >= 10 * clients)
    quiet_gaps, quiet_firsts = streams.measure()
    early, began = 0.0, time.monotonic()
    for swap in range(count):
        # The version before stays in memory for a while; of three, each has to be loaded again.
        name = f"v1.{(swap + 1) % (3 if reload else 2)}"
        live.keep(both[:: 1 if name == "v1.0" else -1] or [name])
        wait(lambda: live.is_loaded(name))  # noqa: B023 - asked at once
        active[0] = name
        if not reload:
            time.sleep(0.05)
        if swap == 9:
            wait(lambda: stage.open == len(live.loaded()))
            early = rss_mb()
    seconds = time.monotonic() - began
    wait(lambda: stage.open == len(live.loaded()))
    late = rss_mb()
    gaps, firsts = streams.measure()
    streams.stop()
    live.close()
    return {
        "swaps": count,
        "seconds": round(seconds, 1),
        "clients": clients,
        "replies": streams.replies,
        "failed": len(streams.errors),
        "errors": sorted(set(streams.errors))[:5],
        "other_version": streams.impure,
        "p99_gap_ms": {"quiet": p99(quiet_gaps), "swapping": p99(gaps)},
        "p99_added_ms": round(p99(gaps) - p99(quiet_gaps), 1),
        "p99_first_token_ms": {"quiet": p99(quiet_firsts), "swapping": p99(firsts)},
        "rss_mb": {"after_10": round(early, 1), "at_the_end": round(late, 1)},
        "failures_reported": stage.failures,
    }


def wait(condition: Any) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("a swap did not happen")
        time.sleep(0.005)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default="start,swaps,reloads,speed", help="which to run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="keep the cache and the adapters here")
    parser.add_argument("--json", type=Path, metavar="OUT")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = Stage(folder)
        parts = {
            "start": lambda: fresh(stage, folder, given.rounds),
            "swaps": lambda: swaps(stage, given.swaps, given.clients, reload=False),
            "reloads": lambda: swaps(stage, given.reloads, given.clients, reload=True),
            "speed": lambda: speed(stage, given.rounds, given.tokens),
        }
        report = {}
        for name in [p for p in parts if p in given.parts.split(",")]:  # torch is loaded last
            report[name] = parts[name]()
            print(name, json.dumps(report[name]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2), "utf-8")


if __name__ == "__main__":
    main()
