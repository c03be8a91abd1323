"""Replies in the making: who is next, which version answers, and that nothing answered is ever lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from typing import Protocol

from allie_desktop.domain.chat import Exchange, ReplyEnd
from allie_desktop.domain.errors import AllieError, BadInputError, UnknownVersionError
from allie_desktop.domain.ports import ChatEngine, Clock, ExchangeRecorder, VersionRouter
from allie_desktop.domain.versions import BASE
from allie_desktop.inference.api.errors import ApiError, closing, from_exception, unknown_model
from allie_desktop.inference.api.limits import Admission, Limits
from allie_desktop.inference.api.pipe import Begun, Pipe, ReplyPart
from allie_desktop.inference.api.replies import Answer
from allie_desktop.inference.api.requests import DEFAULT_MODEL, Asked, Feedback

_log = logging.getLogger(__name__)

_ROUTED_TRIES = 3


class LoadedVersions(Protocol):
    """Versions side by side in memory; see ``inference.live``. Any thread."""

    def use(self, version: str) -> AbstractContextManager[ChatEngine]:
        """Hold an engine for a ``with`` block, loading it first where need be. Whoever routes is told when
        that fails, before the error is raised."""

    def is_loaded(self, version: str) -> bool:
        """Whether a version answers without waiting."""

    def loaded(self) -> Sequence[str]:
        """Return those that do."""

    def unload_all(self) -> None:
        """Free the memory of all of them; what is in use ends first."""


class Reply:
    """One reply on its way. Belongs to the event loop's thread."""

    def __init__(self, asked: Asked, pipe: Pipe, started_at: datetime) -> None:
        self.asked = asked
        self.response_id = f"chatcmpl-{uuid.uuid4().hex}"
        self.started_at = started_at
        self._pipe = pipe
        self.cancelled = threading.Event()
        self.cut = False  # the service, not the client, wants it to end

    async def parts(self) -> list[ReplyPart]:
        """Return the next parts, at least one; the last of all is an answer or an error."""
        return await self._pipe.take()

    def cancel(self) -> None:
        """Make no more of it; what there is is recorded."""
        self.cancelled.set()
        self._pipe.close()

    def end_early(self) -> None:
        """Make no more of it, and tell the client."""
        self.cut = True
        self.cancelled.set()

    @property
    def pipe(self) -> Pipe:
        """Where the thread that makes it puts the parts."""
        return self._pipe


class ChatService:
    """Makes replies in threads, a few at a time, and records each before its client sees the end.

    Coroutines belong to one event loop; everything else may be called from any thread. ``versions`` returns
    the name and time of making (seconds since 1970) of every adapter version. ``busy`` is entered by a
    thread for as long as it generates.
    """

    def __init__(
        self,
        *,
        live: LoadedVersions,
        router: VersionRouter,
        recorder: ExchangeRecorder,
        versions: Callable[[], Sequence[tuple[str, int]]],
        clock: Clock,
        limits: Limits,
        busy: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._live = live
        self._router = router
        self._recorder = recorder
        self._versions = versions
        self._clock = clock
        self._limits = limits
        self._busy = busy
        self._admission = Admission(limits)
        self._running: set[Reply] = set()
        self._ended = threading.Condition()
        self._closing = False
        self._loading = 0
        self._last_used = clock.monotonic()

    # --- what can be asked of it ---

    async def begin(self, asked: Asked) -> Reply:
        """Wait for a turn and begin a reply; raise :class:`ApiError` when it is refused. Cancelling the
        coroutine gives the turn up. Who takes the reply calls :meth:`Reply.cancel` in the end."""
        started_at, arrived = self._clock.now(), self._clock.monotonic()
        if asked.model != DEFAULT_MODEL and asked.model not in await asyncio.to_thread(self._names):
            raise unknown_model(asked.model)
        if self._closing:
            raise closing()
        await self._admission.enter(person=asked.source == "chat")
        pipe = Pipe(
            capacity_characters=self._limits.buffer_characters,
            patience_seconds=self._limits.slow_client_seconds,
        )
        reply = Reply(asked, pipe, started_at)
        self._running.add(reply)
        thread = threading.Thread(
            target=self._make,
            args=(reply, arrived, asyncio.get_running_loop()),
            name="reply",
            daemon=True,  # an engine that hangs must not keep the process
        )
        thread.start()
        return reply

    async def models(self) -> tuple[tuple[str, int], ...]:
        """Return what can be asked: the usual name, the base model, and every version."""
        return ((DEFAULT_MODEL, 0), (BASE, 0), *await asyncio.to_thread(self._versions))

    async def feedback(self, feedback: Feedback) -> None:
        """Keep what somebody thinks of a reply; raise :class:`ApiError` for an unknown one."""
        try:
            await asyncio.to_thread(
                self._recorder.feedback,
                feedback.response_id,
                rating=feedback.rating,
                correction=feedback.correction,
            )
        except BadInputError as error:
            raise ApiError(404, str(error), code="response_not_found", param="response_id") from error

    async def unload(self) -> tuple[str, ...]:
        """Free the model's memory; return what was loaded."""
        loaded = tuple(self._live.loaded())
        await asyncio.to_thread(self._live.unload_all)
        return loaded

    def load_ahead(self) -> None:
        """Load the version that will be asked first. Blocks while it loads; never raises."""
        version = ""
        try:
            version = self._router.wanted()[0]
            with self.loading(), self._live.use(version):
                pass
        except (AllieError, OSError, IndexError) as error:
            _log.error("version %s does not load: %s", version, _named(error))

    def status(self) -> str:
        """Return ``ok`` (a model is loaded), ``loading``, or ``idle`` (the next request loads one)."""
        if self._live.loaded():
            return "ok"
        return "loading" if self._loading else "idle"

    @property
    def loaded(self) -> tuple[str, ...]:
        """The versions that answer without waiting."""
        return tuple(self._live.loaded())

    @property
    def idle_seconds(self) -> float:
        """For how long nobody was answered; 0 while somebody is."""
        return 0.0 if self._running else self._clock.monotonic() - self._last_used

    @property
    def in_flight(self) -> int:
        """How many replies are being made or wait for their turn."""
        return len(self._running) + self._admission.waiting

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Say ``loading`` for a ``with`` block."""
        with self._ended:
            self._loading += 1
        try:
            yield
        finally:
            with self._ended:
                self._loading -= 1

    # --- its end ---

    def refuse(self) -> None:
        """Take no further requests, and send those away that wait for a turn. On the event loop's thread."""
        self._closing = True
        self._admission.refuse_all()

    def cut(self) -> None:
        """End the replies that are being made; what there is of them is sent and recorded."""
        for reply in tuple(self._running):
            reply.end_early()

    def wait_for_threads(self, seconds: float) -> bool:
        """Wait until no thread makes a reply any more; False when one still does."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._running, seconds)

    # --- in the thread that makes a reply ---

    def _make(self, reply: Reply, arrived: float, loop: asyncio.AbstractEventLoop) -> None:
        begun = self._clock.monotonic()
        try:
            with self._busy():
                last: Answer | ApiError = self._answer(reply, arrived)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client is told
            last = from_exception(error)
        if reply.cut and isinstance(last, Answer) and last.end.reason == "cancelled":
            last = closing()
        reply.pipe.put_last(last)
        self._last_used = self._clock.monotonic()
        with self._ended:
            self._running.discard(reply)
            self._ended.notify_all()
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(self._admission.leave, self._last_used - begun)

    def _answer(self, reply: Reply, arrived: float) -> Answer:
        asked = reply.asked
        pieces: list[str] = []
        first_token_seconds: float | None = None
        end: ReplyEnd | None = None
        failure: Exception | None = None
        with ExitStack() as held:
            version, engine = self._engine(asked, held)
            reply.pipe.put(Begun(version=version))
            try:
                for event in engine.stream(asked.messages, asked.options, reply.cancelled.is_set):
                    if isinstance(event, ReplyEnd):
                        end = event
                        continue
                    if first_token_seconds is None:
                        first_token_seconds = self._clock.monotonic() - arrived
                    pieces.append(event.text)
                    if not reply.pipe.put(event):
                        reply.cancelled.set()
            except BadInputError:
                raise
            except Exception as error:  # noqa: BLE001 - recorded as what it was, then passed on
                failure = error
        if end is None:
            end = ReplyEnd(reason="error", prompt_tokens=0, completion_tokens=len(pieces))
        text = "".join(pieces)
        conversation_id = None
        if asked.record and (text or end.reason != "cancelled"):
            seconds = self._clock.monotonic() - arrived
            conversation_id = self._record(
                self._exchange(reply, text, version, end, first_token_seconds, seconds)
            )
        if failure is not None:
            raise failure
        if end.reason == "error":
            raise ApiError(
                503, "The model broke off. Ask again.", code="model_unavailable", kind="server_error"
            )
        return Answer(text=text, end=end, conversation_id=conversation_id)

    def _engine(self, asked: Asked, held: ExitStack) -> tuple[str, ChatEngine]:
        """Return the version that answers and its engine, held in ``held``. When one that the client did not
        name does not load, another one answers: :class:`LoadedVersions` has told the router by then."""
        if asked.model != DEFAULT_MODEL:
            return asked.model, self._held(asked.model, held)
        tried: list[str] = []
        while True:
            version = self._choose(asked)
            if version in tried:
                version = BASE
            try:
                return version, self._held(version, held)
            except (AllieError, OSError) as error:
                _log.error("version %s does not load: %s", version, error)
                if version == BASE or len(tried) == _ROUTED_TRIES:
                    raise
                tried.append(version)

    def _held(self, version: str, held: ExitStack) -> ChatEngine:
        try:
            if self._live.is_loaded(version):
                return held.enter_context(self._live.use(version))
            with self.loading():
                return held.enter_context(self._live.use(version))
        except UnknownVersionError:
            raise unknown_model(version) from None

    def _choose(self, asked: Asked) -> str:
        chosen = self._router.choose(asked.conversation_id, asked.messages)
        if self._live.is_loaded(chosen) or not self._live.loaded():
            return chosen
        # It is still being loaded beside; nobody waits for a swap.
        return next((v for v in self._router.wanted() if self._live.is_loaded(v)), chosen)

    def _exchange(
        self,
        reply: Reply,
        text: str,
        version: str,
        end: ReplyEnd,
        first_token_seconds: float | None,
        seconds: float,
    ) -> Exchange:
        return Exchange(
            response_id=reply.response_id,
            conversation_id=reply.asked.conversation_id,
            source=reply.asked.source,
            messages=reply.asked.messages,
            reply=text,
            version=version,
            finish_reason=end.reason,
            started_at=reply.started_at,
            first_token_seconds=first_token_seconds,
            seconds=seconds,
            prompt_tokens=end.prompt_tokens,
            completion_tokens=end.completion_tokens,
            client=reply.asked.client,
        )

    def _record(self, exchange: Exchange) -> str | None:
        try:
            return self._recorder.record(exchange) or None
        except Exception as error:  # noqa: BLE001 - the person gets the answer all the same
            _log.error("an answer could not be recorded: %s", _named(error))
            return None

    def _names(self) -> set[str]:
        return {BASE, *(name for name, _ in self._versions())}


def _named(error: Exception) -> str:
    return str(error) if isinstance(error, AllieError) else type(error).__name__
