"""Answers from llama.cpp: a GGUF base model, mapped into memory once, with one adapter or none.

Each engine is a server object of the library in this process. It is spoken to by function calls; the
socket that it insists on opening lies in a private folder and is removed before anybody could find it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from allie_desktop.domain.chat import FinishReason, GenerationOptions, ReplyEnd, ReplyEvent, TextPiece
from allie_desktop.domain.errors import CorruptModelError, ModelError, VersionCorruptError
from allie_desktop.domain.planning import Message
from allie_desktop.inference.chat_template import ChatTemplate
from allie_desktop.inference.context_pool import ContextPool, Lease
from allie_desktop.inference.context_window import fit
from allie_desktop.models.gguf_header import GgufHeader
from allie_desktop.resident_memory import give_back, share_heaps, trim_heaps

_log = logging.getLogger(__name__)

#: Replies that one engine makes at once, and the tokens that they share.
SLOTS = 4
CONTEXT_TOKENS = 3072

#: A reply begins with this share of the context reserved (or with all that it may have, if that is less),
#: and gets more in steps as it grows.
_FIRST_SHARE = 8
_STEP = 128
#: How far the library may be ahead of what was heard of it, in tokens, for each reply.
_SLACK = 64

#: Tokens computed between two looks at the clock and at the client, while a prompt is read.
_BATCH = 128
#: How long a reply waits for its next piece before it looks whether anybody still wants it.
_LOOK_SECONDS = 0.1
_CLOSE_SECONDS = 60.0
_QUIET = -1

#: What the context is kept in, as the library numbers it: eight bits for each number, in blocks of so many.
#: Half the memory of the usual sixteen bits, for a difference far below what quantised weights make.
_EIGHT_BITS, _BLOCK = 8, 32

#: Enough that nobody sees the difference to the whole vocabulary, and much quicker to sort.
_TOP_K = 200

# The library keeps a process-wide handler for shutting down, and changes it unguarded.
_one_at_a_time = threading.Lock()


class LlamaEngine:
    """:class:`domain.ports.ChatEngine` over llama.cpp.

    ``adapter`` is a GGUF LoRA file. ``threads`` None: one for each physical core. Loading blocks, and holds up
    all other Python threads while the library reads the model (0.2 s for the starter model); raises
    :class:`VersionCorruptError` when only the adapter can be at fault, and :class:`CorruptModelError`.
    """

    def __init__(
        self,
        base: Path,
        header: GgufHeader,
        *,
        adapter: Path | None = None,
        threads: int | None = None,
        context_tokens: int = CONTEXT_TOKENS,
        slots: int = SLOTS,
    ) -> None:
        self._template = ChatTemplate(
            header.chat_template,
            bos=header.token("bos"),
            eos=header.token("eos"),
            marks=header.control_tokens,
        )
        self._context = min(context_tokens, header.number("context_length", context_tokens))
        self._slots = slots
        self._pool = ContextPool(self._context, slots)
        self._closed = threading.Event()
        self._running = 0
        self._idle = threading.Condition()
        self._server: Any = _start(base, header, adapter, threads, self._context, slots)
        give_back()

    @property
    def context_tokens(self) -> int:
        """Most tokens of a prompt with its reply."""
        return self._context

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancelled: Callable[[], bool]
    ) -> Iterator[ReplyEvent]:
        """See the port. ``cancelled`` is also asked from another thread."""
        watch = _Watch(cancelled, options.time_limit_seconds, self._closed)
        counted: dict[str, int] = {}
        kept, dropped = fit(
            messages,
            lambda part: self._count(self._template.render(part), counted, watch),
            context=self._context,
            max_tokens=options.max_tokens,
        )
        text = self._template.render(kept)
        limit = self._context if options.max_tokens is None else options.max_tokens
        first = min(limit, self._context // _FIRST_SHARE)
        lease = self._pool.take(self._count(text, counted, watch) + first, watch.ended)
        if lease is None:
            yield ReplyEnd(
                reason=watch.reason(), prompt_tokens=0, completion_tokens=0, dropped_messages=dropped
            )
            return
        generation = _Generation(watch, lease, first=first, limit=limit, context=self._context)
        try:
            self._begin(_body(text, options), generation)
            yield from generation.events(dropped)
        finally:
            generation.stop()

    def close(self) -> None:
        """Free the memory; requests in flight end with an error. Twice is once."""
        self._closed.set()
        with self._idle:
            if not self._idle.wait_for(lambda: not self._running, _CLOSE_SECONDS):
                _log.error("an engine with %d replies that do not end stays in memory", self._running)
                return
        with _one_at_a_time:
            self._server = None
        trim_heaps()

    def _count(self, text: str, counted: dict[str, int], watch: _Watch) -> int:
        """Return the tokens of a prompt: exactly, or for a short one at least as many."""
        size = len(text.encode()) + 1
        if size <= self._context // _FIRST_SHARE:  # no token is shorter than a byte
            return size
        if text not in counted:
            lease = self._pool.take(0, watch.ended)
            if lease is None:
                watch.reason()
                return size
            # The library counts, and computes nothing, when it is asked for more than the context holds.
            filler = [0] * (self._context + _SLACK * self._slots)
            generation = _Generation(watch, lease)
            self._begin({"prompt": [text, *filler], "stream": True, "max_tokens": 1}, generation)
            counted[text] = generation.refused_tokens() - len(filler)
        return counted[text]

    def _begin(self, body: dict[str, Any], generation: _Generation) -> None:
        with self._idle:
            if self._server is None or self._closed.is_set():
                generation.end()
                raise _unloaded()
            self._running += 1
        # Not a daemon: a thread that the interpreter kills inside the library takes the process with it.
        threading.Thread(target=self._work, args=(body, generation), name="allie-reply").start()

    def _work(self, body: dict[str, Any], generation: _Generation) -> None:
        try:
            # Nothing but the engine may hold the server: whoever drops it last destroys it, there and then.
            self._server.handle_completions(json.dumps(body), generation.take)
        except Exception as error:  # noqa: BLE001 - C++ exceptions of every kind
            generation.fail(str(error))
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()
            generation.end()


class _Watch:
    """Whether anybody still wants a reply."""

    def __init__(self, cancelled: Callable[[], bool], seconds: float, closed: threading.Event) -> None:
        self._cancelled = cancelled
        self._deadline = time.monotonic() + seconds
        self._closed = closed
        self._over = False

    def ended(self) -> bool:
        """Whether it is over; what is over stays so."""
        if not self._over:
            self._over = self._closed.is_set() or time.monotonic() >= self._deadline or self._cancelled()
        return self._over

    def reason(self) -> FinishReason:
        """Say why it ended; raise :class:`ModelError` when the engine was closed."""
        if self._closed.is_set():
            raise _unloaded()
        return "time" if time.monotonic() >= self._deadline else "cancelled"


class _Generation:
    """One request: what the library's thread hears, and what the caller's thread gets of it."""

    def __init__(
        self, watch: _Watch, lease: Lease, *, first: int = 0, limit: int = 0, context: int = 0
    ) -> None:
        self._watch = watch
        self._lease = lease
        self._first = first  # tokens of the reply that are reserved from the beginning
        self._limit = limit
        self._context = context
        self._heard: queue.SimpleQueue[str | dict[str, Any] | None] = queue.SimpleQueue()
        self._stopped = False
        self._prompt_tokens = 0
        self._tokens = 0
        self._full = False

    # --- the library's thread ---

    def take(self, data: str) -> bool:
        """Take one message; True ends the generation."""
        message: dict[str, Any] = json.loads(data)
        if "error" in message:
            self._heard.put(message)
            return True
        progress = message.get("prompt_progress")
        if progress is not None:
            self._prompt_tokens = int(progress["total"])
            self._lease.resize(min(self._prompt_tokens + self._first, self._context))
            return self._stopped or self._watch.ended()
        choice = message["choices"][0]
        if choice["finish_reason"] is not None:
            self._heard.put(message)
            return True
        self._tokens += 1
        if choice["text"]:
            self._heard.put(choice["text"])
        self._grow(self._prompt_tokens + self._tokens)
        return self._full or self._stopped or self._watch.ended()

    def _grow(self, used: int) -> None:
        """Reserve more in time: the library is always some tokens ahead of what is heard of it."""
        most = min(self._prompt_tokens + self._limit, self._context)
        if self._lease.tokens < most and used + _SLACK >= self._lease.tokens:
            self._lease.resize(min(self._lease.tokens + _STEP, most))
        self._full = used >= self._lease.tokens and self._tokens < self._limit

    def fail(self, message: str) -> None:
        self._heard.put({"error": {"message": message}})

    def end(self) -> None:
        self._lease.release()
        self._heard.put(None)

    # --- the caller's thread ---

    def stop(self) -> None:
        """Let the library end soon."""
        self._stopped = True

    def refused_tokens(self) -> int:
        """Return the length of a prompt that the library refuses for its length."""
        found = None
        while (message := self._heard.get()) is not None:
            found = message
        error = found.get("error", {}) if isinstance(found, dict) else {}
        if "n_prompt_tokens" not in error:
            raise _broken(error)
        return int(error["n_prompt_tokens"])

    def events(self, dropped: int) -> Iterator[ReplyEvent]:
        """Yield the reply as it comes."""
        while True:
            try:
                message = self._heard.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if not self._watch.ended():
                    continue
                self.stop()
                message = None
            if isinstance(message, str):
                yield TextPiece(text=message)
                continue
            if message is None:
                if not (self._full or self._watch.ended()):
                    raise _broken({})
                yield self._end("length" if self._full else self._watch.reason(), dropped)
                return
            if error := message.get("error"):
                raise _broken(error)
            if choices := message.get("choices"):
                usage = message.get("usage", {})
                self._prompt_tokens = int(usage.get("prompt_tokens", self._prompt_tokens))
                self._tokens = int(usage.get("completion_tokens", self._tokens))
                if last := choices[0]["text"]:
                    yield TextPiece(text=last)
                yield self._end("length" if choices[0]["finish_reason"] == "length" else "stop", dropped)
                return

    def _end(self, reason: FinishReason, dropped: int) -> ReplyEnd:
        return ReplyEnd(
            reason=reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._tokens,
            dropped_messages=dropped,
        )


def _body(text: str, options: GenerationOptions) -> dict[str, Any]:
    """Return the request in the library's words."""
    body: dict[str, Any] = {
        "prompt": text,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "max_tokens": -1 if options.max_tokens is None else options.max_tokens,
        "temperature": options.temperature,
        "samplers": ["penalties", "top_k", "temperature", "top_p"],
        "top_k": _TOP_K,
        "top_p": options.top_p,
        "min_p": 0.0,
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
        "repeat_last_n": CONTEXT_TOKENS,
        "stop": list(options.stop),
    }
    if options.seed is not None:
        body["seed"] = options.seed % 2**32
        body["cache_prompt"] = False  # what was computed in other company is rounded otherwise
    return body


def _start(
    base: Path, header: GgufHeader, adapter: Path | None, threads: int | None, context: int, slots: int
) -> Any:
    """Return a running server object."""
    import xllamacpp

    share_heaps()
    params = xllamacpp.CommonParams()
    params.model.path = str(base)
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    params.verbosity = _QUIET
    params.n_ctx = context + _SLACK * slots
    params.n_parallel = slots
    if _head_size(header) % _BLOCK == 0:
        params.cache_type_k = params.cache_type_v = _EIGHT_BITS
    params.kv_unified = True  # one conversation may have the whole context; ContextPool shares it out
    params.n_batch = params.n_ubatch = _BATCH
    if threads is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.no_extra_bufts = True  # repacked weights would be a second copy, for each version again
    params.fit_params = False  # would load the model once more, to see whether it fits
    params.warmup = False  # takes the processor from those who chat; a version is probed anyway
    params.cache_ram_mib = 0
    params.n_ctx_checkpoints = 0
    params.use_jinja = False  # the prompts come rendered
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = 1
    params.api_keys = [secrets.token_urlsafe(32)]
    with _one_at_a_time, _hidden_socket(params):
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            if adapter is not None:
                raise VersionCorruptError(
                    "What was learnt does not fit this base model, or its copy for the chat engine is damaged.",
                    "Go back to another version with `allie rollback`.",
                ) from error
            raise CorruptModelError(
                f"The chat engine cannot load the base model {base.name}.",
                "Download the model again, or choose another one; memory may also have run out.",
            ) from error
    # A server that is destroyed before its loop began never ends. It has begun once it refuses this, which
    # is more than its context holds, so that nothing is computed.
    refused = {"prompt": [0] * (params.n_ctx + 1), "max_tokens": 1}
    server.handle_completions(json.dumps(refused), lambda _: True)
    return server


def _head_size(header: GgufHeader) -> int:
    heads = max(1, header.number("attention.head_count", 1))
    return header.number("attention.key_length", header.number("embedding_length") // heads)


@contextlib.contextmanager
def _hidden_socket(params: Any) -> Iterator[None]:
    """Let the server listen where nobody can find it, as far as the platform has such a place."""
    if not hasattr(socket, "AF_UNIX"):
        yield  # a loopback port of the system's choice; the secret key closes it
        return
    folder = Path(tempfile.mkdtemp(prefix="allie-"))
    try:
        params.hostnames = [str(folder / "engine.sock")]
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unloaded() -> ModelError:
    return ModelError("The chat model was unloaded in the middle of a reply.", "Ask again.")


def _broken(error: dict[str, Any]) -> ModelError:
    return ModelError(f"The chat engine failed: {error.get('message', 'it did not say why')}.", "Ask again.")
