"""How much memory and time an import takes, whatever the size of the file.

    python tests/benchmarks/import_memory.py --format chatgpt --size-mb 1024

writes a file of that size into a temporary folder, reads it conversation by conversation, and prints one
JSON object: conversations, megabytes a second, and the peak resident memory of the process before and
after, in MiB. ``--hostile`` makes it one conversation with a single message of that size instead.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from allie_desktop.domain.conversation import Refusal
from allie_desktop.imports.registry import read

WORDS = (
    "the of and to in that it is was for on are as with his they at be this have from or one had by word but"
    " not what all were we when your can said there use an each which she do how their if will up other about"
).split()
TURNS = 12


def texts(seed: int) -> list[str]:
    """Return the messages of one conversation; no two conversations say the same."""
    choose = random.Random(seed)
    return [" ".join(choose.choices(WORDS, k=choose.randint(5, 250))) for _ in range(TURNS)]


def native(seed: int) -> object:
    """Return a conversation in the native form."""
    roles = ("user", "assistant")
    return {
        "id": str(seed),
        "messages": [{"role": roles[turn % 2], "content": text} for turn, text in enumerate(texts(seed))],
    }


def sharegpt(seed: int) -> object:
    """Return a conversation as ShareGPT has it."""
    speakers = ("human", "gpt")
    return {
        "id": str(seed),
        "conversations": [
            {"from": speakers[turn % 2], "value": text} for turn, text in enumerate(texts(seed))
        ],
    }


def chatgpt(seed: int) -> object:
    """Return a conversation as ChatGPT exports it, with all that the import passes over."""
    mapping: dict[str, dict[str, object]] = {}
    for turn, text in enumerate(texts(seed)):
        name = f"{seed:08d}-{turn:04d}-4000-8000-000000000000"
        mapping[name] = {
            "id": name,
            "message": {
                "id": name,
                "author": {"role": ("user", "assistant")[turn % 2], "name": None, "metadata": {}},
                "create_time": 1.7e9 + turn,
                "update_time": None,
                "content": {"content_type": "text", "parts": [text]},
                "status": "finished_successfully",
                "end_turn": True,
                "weight": 1.0,
                "metadata": {
                    "model_slug": "gpt-4o",
                    "finish_details": {"type": "stop", "stop_tokens": [200002]},
                    "citations": [],
                    "content_references": [],
                    "is_complete": True,
                },
                "recipient": "all",
                "channel": None,
            },
            "parent": next(reversed(mapping), None),
            "children": [f"{seed:08d}-{turn + 1:04d}-4000-8000-000000000000"] if turn + 1 < TURNS else [],
        }
    return {
        "title": f"Conversation {seed}",
        "create_time": 1.7e9 + seed,
        "update_time": 1.7e9 + seed,
        "mapping": mapping,
        "moderation_results": [],
        "current_node": next(reversed(mapping)),
        "conversation_id": str(seed),
    }


MAKERS = {"jsonl": native, "sharegpt": sharegpt, "chatgpt": chatgpt, "chatgpt-zip": chatgpt}


def pieces(format_name: str, size_bytes: int) -> Iterator[bytes]:
    """Yield a file of about ``size_bytes``. A thousand different conversations take turns."""
    make = MAKERS[format_name]
    records = [json.dumps(make(seed)).encode() for seed in range(1000)]
    opening, between, closing = (b"", b"\n", b"\n") if format_name == "jsonl" else (b"[", b", ", b"]")
    written = 0
    yield opening
    while written < size_bytes:
        record = records[(written // 1000) % len(records)]
        yield (between if written else b"") + record
        written += len(record) + len(between)
    yield closing


def hostile_pieces(format_name: str, size_bytes: int) -> Iterator[bytes]:
    """Yield one conversation whose first message alone has ``size_bytes``."""
    record = json.dumps(MAKERS[format_name](0)).encode()
    before, after = record.split(texts(0)[0].encode(), 1)
    opening, closing = (b"", b"\n") if format_name == "jsonl" else (b"[", b"]")
    filler = b"word " * 200_000
    yield opening + before
    yield from (filler for _ in range(size_bytes // len(filler)))
    yield after + closing


def write(path: Path, format_name: str, content: Iterator[bytes]) -> None:
    """Write ``content`` to ``path``, packed when the format is a zip."""

    if format_name.endswith("-zip"):
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("conversations.json", "w", force_zip64=True) as member,
        ):
            member.writelines(content)
    else:
        with path.open("wb") as file:
            file.writelines(content)


def peak_mib() -> float:
    """Return the most resident memory that this process had so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1024 ** (2 if sys.platform == "darwin" else 1), 1)


def main() -> None:
    """Measure once and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=sorted(MAKERS), default="jsonl")
    parser.add_argument("--size-mb", type=int, default=256)
    parser.add_argument("--hostile", action="store_true")
    options = parser.parse_args()
    suffix = {"jsonl": "jsonl", "chatgpt-zip": "zip"}.get(options.format, "json")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"conversations.{suffix}"
        make = hostile_pieces if options.hostile else pieces
        write(path, options.format, make(options.format, options.size_mb * 1000**2))
        before_mib, started, cpu_started = peak_mib(), time.perf_counter(), time.process_time()
        conversations = turns = characters = 0
        refusals: list[str] = []
        for outcome in read(path):
            if isinstance(outcome, Refusal):
                refusals.append(outcome.reason)
            else:
                conversations += 1
                turns += len(outcome.turns)
                characters += sum(len(turn.content) for turn in outcome.turns)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        print(
            json.dumps(
                {
                    "format": options.format,
                    "file_mb": round(path.stat().st_size / 1000**2),
                    "text_mb": options.size_mb,
                    "conversations": conversations,
                    "turns": turns,
                    "characters": characters,
                    "refused": len(refusals),
                    "first_refusal": next(iter(refusals), ""),
                    "seconds": round(seconds, 1),
                    "cpu_seconds": round(cpu_seconds, 1),
                    "mb_per_cpu_second": round(options.size_mb / cpu_seconds, 1),
                    "peak_rss_before_mib": before_mib,
                    "peak_rss_mib": peak_mib(),
                }
            )
        )


if __name__ == "__main__":
    main()
