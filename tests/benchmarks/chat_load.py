"""The chat process under load: speed, first token, cold start, memory, swaps of versions, learning beside it.

    python tests/benchmarks/chat_load.py [--only speed cold swaps learning] [--swaps 1000]
        [--versions 2] [--json OUT]

A real `allie serve` with the starter model in a throw-away home, with versions sealed from small random
adapters. Clients are plain sockets, so that what is measured is the service. "bare" is the engine's own
server object, asked without anything around it, with the same file and the same adapter, in turns with the
API. `--transformers` adds transformers' generate in bfloat16. `learning` needs minutes: it runs an episode
on the sample conversations that come with the program.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors.numpy import save_file

from allie_desktop.bootstrap import Program
from allie_desktop.domain.chat import GenerationOptions
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.domain.versions import VersionMetadata
from allie_desktop.inference.llama_engine import _body
from allie_desktop.models.gguf_header import read_header
from allie_desktop.paths import AppPaths, resource

STORY = "Tell me a long story about a sailor, number {}."
SHORT = "Hello! How are you, number {}?"
RANK = 16
#: For so long the same clients stream without any swap, to compare with.
QUIET_SECONDS = 60
PROJECTIONS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def seal_version(program: Program, seed: int) -> str:
    """Seal a version from a small random adapter; return its name."""
    generator = np.random.default_rng(seed)
    weights = {}
    for tensor, (rows, columns) in (
        (name, shape)
        for name, shape in read_header(Path(program.base().path)).shapes.items()
        if len(shape) == 2
    ):
        parts = tensor.split(".")
        if len(parts) == 4 and parts[0] == "blk" and parts[2] in PROJECTIONS:
            module = f"base_model.model.model.layers.{parts[1]}.{PROJECTIONS[parts[2]]}"
            for letter, shape, scale in (("A", (RANK, columns), 0.02), ("B", (rows, RANK), 0.0005)):
                numbers = generator.normal(0, scale, shape).astype(np.float32)
                weights[f"{module}.lora_{letter}.weight"] = numbers
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_file(weights, folder / "adapter_model.safetensors")
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": RANK,
            "lora_alpha": 2 * RANK,
            "target_modules": sorted(name.rpartition(".")[2] for name in PROJECTIONS.values()),
            "bias": "none",
            "base_model_name_or_path": None,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config))
        name = program.versions.next_name()
        base = program.base()
        metadata = VersionMetadata(
            version=name,
            parent=None,
            base_name=base.name,
            base_sha256=base.sha256,
            created_at=datetime.now(timezone.utc),
            episode_id="benchmark",
            plan_digest="0" * 64,
            conversations=0,
        )
        program.versions.seal(name, folder, metadata, [])
    return name


@dataclass
class Told:
    """One streamed reply, as its client saw it. Times are in seconds."""

    status: int
    version: str = ""
    fingerprints: set[str] = field(default_factory=set)
    first: float = 0.0
    seconds: float = 0.0  # from the first piece to the last
    gaps: list[float] = field(default_factory=list)
    tokens: int = 0
    whole: bool = False
    began: float = 0.0


@dataclass
class Service:
    """A running `allie serve`."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    listening_seconds: float

    def ask(
        self,
        prompt: str,
        *,
        max_tokens: int,
        model: str = "allie",
        on_begin: Callable[[Told], None] = lambda _: None,
    ) -> Told:
        body = json.dumps(
            {
                "model": model,
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": max_tokens,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        )
        headers = {"Authorization": f"Bearer {self.token}", "X-Allie-Record": "on"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        with contextlib.closing(connection):
            began = last = time.monotonic()
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            told = Told(answer.status, answer.headers.get("X-Allie-Version", ""), began=began)
            on_begin(told)
            for line in answer:
                if not line.startswith(b"data: "):
                    continue
                if line == b"data: [DONE]\n":
                    told.whole = True
                    continue
                document = json.loads(line[6:])
                told.fingerprints.add(document.get("system_fingerprint", "error"))
                if document.get("usage"):
                    told.tokens = document["usage"]["completion_tokens"]
                if document.get("choices") and document["choices"][0]["delta"].get("content"):
                    now = time.monotonic()
                    if told.first:
                        told.gaps.append(now - last)
                        told.seconds = now - began - told.first
                    else:
                        told.first = now - began
                    last = now
        return told

    def rss_megabytes(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def own_megabytes(self) -> float:
        """Memory that is not a file's."""
        return psutil.Process(self.process.pid).memory_full_info().uss / 1e6


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Service]:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "allie_desktop", "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "ALLIE_HOME": str(home)},
    )
    assert process.stdout is not None
    with process.stdout:
        said = json.loads(process.stdout.readline())
        port = int(said["url"].rpartition(":")[2])
        token = Path(said["token_file"]).read_text("ascii")
        try:
            yield Service(process, port, token, time.monotonic() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def activate(program: Program, name: str, fallback: str) -> None:
    """Move the pointer."""
    program.versions.activate(name, fallback=fallback, reason="benchmark", at=program.clock.now())


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def milliseconds(values: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(1000 * percentile(values, 0.5), 1),
        "p95_ms": round(1000 * percentile(values, 0.95), 1),
        "p99_ms": round(1000 * percentile(values, 0.99), 1),
        "n": len(values),
    }


def cold(home: Path, rounds: int) -> dict[str, Any]:
    """From the start of the process to listening, and to the first token."""
    listening, first = [], []
    for i in range(rounds):
        began = time.monotonic()
        with serving(home) as service:
            listening.append(service.listening_seconds)
            told = service.ask(SHORT.format(i), max_tokens=1)
            first.append(told.began + told.first - began)
    return {
        "listening_s": round(statistics.median(listening), 3),
        "first_token_s": round(statistics.median(first), 3),
        "first_token_worst_s": round(max(first), 3),
    }


def speed(home: Path, program: Program, version: str, rounds: int, tokens: int) -> dict[str, Any]:
    """Tokens a second through the API and from the bare engine, in turns, with one version loaded."""
    rates: dict[str, list[float]] = {"api": [], "bare": []}
    bare = program.chat_engines.load(version)
    activate(program, version, "base")
    with serving(home) as service:
        service.ask(SHORT.format(0), max_tokens=4)
        memory = service.rss_megabytes(), service.own_megabytes()
        for i in range(rounds):
            told = service.ask(STORY.format(i), max_tokens=tokens)
            rates["api"].append((told.tokens - 1) / told.seconds)
            rates["bare"].append(bare_rate(bare, STORY.format(i), tokens))
        short = [service.ask(SHORT.format(i), max_tokens=2).first for i in range(4 * rounds)]
        after = service.rss_megabytes(), service.own_megabytes()
    bare.close()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "api_tokens_per_s": round(medians["api"], 1),
        "bare_tokens_per_s": round(medians["bare"], 1),
        "api_over_bare": round(medians["api"] / medians["bare"], 3),
        "first_token_warm": milliseconds(short),
        "rss_mb": [round(memory[0]), round(after[0])],
        "own_mb": [round(memory[1]), round(after[1])],
    }


def bare_rate(engine: Any, prompt: str, tokens: int) -> float:
    """Return the tokens a second of the engine's own server object, without the service around it."""
    text = engine._template.render([Message(role=Role.USER, content=prompt)])
    times: list[float] = []

    def hear(data: str) -> bool:
        if '"text":""' not in data:
            times.append(time.monotonic())
        return False

    body = _body(text, GenerationOptions(max_tokens=tokens, temperature=0.0))
    body["return_progress"] = False
    engine._server.handle_completions(json.dumps(body), hear)
    return (len(times) - 1) / (times[-1] - times[0])


def with_transformers(program: Program, tokens: int, rounds: int) -> dict[str, Any]:
    """Tokens a second of transformers' generate, bfloat16."""
    import torch

    from allie_desktop.models.loading import load_base

    loaded = load_base(program.base(), cache=program.paths.base_cache, device="cpu")
    model = loaded.model.to(torch.bfloat16)
    rates = []
    for i in range(rounds):
        turns = [{"role": "user", "content": STORY.format(i)}]
        asked = loaded.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        ids = loaded.tokenizer(asked, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            began = time.monotonic()
            made = model.generate(**ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
            seconds = time.monotonic() - began
        rates.append((made.shape[1] - ids["input_ids"].shape[1]) / seconds)
    return {"transformers_tokens_per_s": round(statistics.median(rates), 1)}


class Clients:
    """Streaming clients that ask again and again until told to stop."""

    def __init__(self, service: Service, count: int, tokens: int) -> None:
        self._service = service
        self._tokens = tokens
        self._stopping = threading.Event()
        self.told: list[Told] = []
        self.last = Told(0)  # the reply that began last
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        turn = 0
        while not self._stopping.is_set():
            turn += 1
            prompt = STORY.format(f"{number}-{turn}-{time.monotonic_ns()}")
            try:
                told = self._service.ask(prompt, max_tokens=self._tokens, on_begin=self._note)
                self.told.append(told)
            except (OSError, http.client.HTTPException, ValueError) as error:
                print(f"a client failed: {error!r}", file=sys.stderr)
                self.told.append(Told(0))

    def _note(self, told: Told) -> None:
        self.last = told

    def stop(self) -> list[Told]:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self.told


def swaps(home: Path, program: Program, names: list[str], chosen: argparse.Namespace) -> dict[str, Any]:
    """Move the pointer from version to version under streaming clients; each time wait until a reply that
    began after it comes from the new version. The version before stays in memory for a while, so that of
    two versions none is loaded again, and of three each."""

    activate(program, names[0], names[1])
    with serving(home) as service:
        service.ask(SHORT.format(0), max_tokens=4)
        still = Clients(service, chosen.clients, chosen.reply_tokens)
        time.sleep(QUIET_SECONDS)
        before = still.stop()
        moving = Clients(service, chosen.clients, chosen.reply_tokens)
        began, done, early, waits = time.monotonic(), 0, 0.0, []
        while done < chosen.swaps and time.monotonic() - began < chosen.limit_seconds:
            new, old = names[(done + 1) % len(names)], names[done % len(names)]
            moved = time.monotonic()
            activate(program, new, old)
            while (moving.last.version, moving.last.began >= moved) != (new, True):
                assert time.monotonic() - moved < 120, f"{new} does not answer"
                time.sleep(0.005)
            waits.append(time.monotonic() - moved)
            done += 1
            if done == 10:
                early = service.rss_megabytes()
        told = moving.stop()
        late = service.rss_megabytes()
    activate(program, "base", "base")
    failed = [one for one in told if one.status != 200 or not one.whole]
    mixed = [one for one in told if one.fingerprints != {one.version}]
    quiet, busy = ([t.first for t in some if t.first] for some in (before, told))
    quiet_gaps, busy_gaps = ([g for t in some for g in t.gaps] for some in (before, told))
    return {
        "swaps": done,
        "versions": len(names),
        "requests": len(told),
        "failed": len(failed),
        "of_two_versions": len(mixed),
        "answered_by": {name: sum(one.version == name for one in told) for name in names},
        "swap_s_p50": round(percentile(waits, 0.5), 3),
        "first_token_without": milliseconds(quiet),
        "first_token_with": milliseconds(busy),
        "added_first_token_p99_ms": round(1000 * (percentile(busy, 0.99) - percentile(quiet, 0.99)), 1),
        "gap_without": milliseconds(quiet_gaps),
        "gap_with": milliseconds(busy_gaps),
        "added_gap_p99_ms": round(1000 * (percentile(busy_gaps, 0.99) - percentile(quiet_gaps, 0.99)), 1),
        "rss_mb_after_10": round(early, 1),
        "rss_mb_at_the_end": round(late, 1),
    }


def learning(home: Path, requests: int) -> dict[str, Any]:
    """First tokens without and with an episode in another process, some seconds apart as people ask."""
    environment = {**os.environ, "ALLIE_HOME": str(home)}
    allie = [sys.executable, "-m", "allie_desktop"]
    samples = str(resource("sample_conversations.jsonl"))
    subprocess.run([*allie, "import", samples], env=environment, check=True, stdout=subprocess.DEVNULL)

    def first_tokens(service: Service) -> list[float]:
        found = []
        for i in range(requests):
            found.append(service.ask(SHORT.format(i), max_tokens=24).first)
            time.sleep(2.5)
        return found

    with serving(home) as service:
        service.ask(SHORT.format(0), max_tokens=4)
        without = first_tokens(service)
        episode = subprocess.Popen(
            [*allie, "learn", "--now", "--json"], env=environment, stdout=subprocess.DEVNULL
        )
        time.sleep(30)  # into its work, past its start
        beside = first_tokens(service)
        ran_on = episode.poll() is None
        episode.terminate()
        episode.wait(120)
    return {
        "without": milliseconds(without),
        "with": milliseconds(beside),
        "ratio_p50": round(percentile(beside, 0.5) / percentile(without, 0.5), 2),
        "ratio_p95": round(percentile(beside, 0.95) / percentile(without, 0.95), 2),
        "episode_ran_all_the_time": ran_on,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ["speed", "cold", "swaps", "learning"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts[:3])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--versions", type=int, default=2, help="that take turns; three: load for each swap")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--reply-tokens", type=int, default=48, help="of each streamed reply under swaps")
    parser.add_argument("--limit-seconds", type=float, default=1800, help="most time for the swaps")
    parser.add_argument("--requests", type=int, default=30, help="of each kind beside learning")
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    found: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Program(AppPaths.in_folder(home).prepare()) as program:
            names = [seal_version(program, seed) for seed in range(1, 1 + chosen.versions)]
            if "speed" in chosen.only:
                found["speed"] = speed(home, program, names[0], chosen.rounds, chosen.tokens)
                print(json.dumps(found["speed"]), flush=True)
            if chosen.transformers:
                found["transformers"] = with_transformers(program, chosen.tokens, min(3, chosen.rounds))
                print(json.dumps(found["transformers"]), flush=True)
            if "cold" in chosen.only:
                found["cold"] = cold(home, chosen.rounds)
                print(json.dumps(found["cold"]), flush=True)
            if "swaps" in chosen.only:
                found["swaps"] = swaps(home, program, names, chosen)
                print(json.dumps(found["swaps"]), flush=True)
            if "learning" in chosen.only:
                found["learning"] = learning(home, chosen.requests)
                print(json.dumps(found["learning"]), flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
