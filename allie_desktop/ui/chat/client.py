"""One reply from the local API, streamed. Qt does the waiting: nothing here blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QTimer, QUrl, Signal
from PySide6.QtNetwork import (
    QNetworkAccessManager,
    QNetworkProxy,
    QNetworkReply,
    QNetworkRequest,
)

from allie_desktop.domain.planning import Message
from allie_desktop.ui.chat import problems
from allie_desktop.ui.chat.completions import (
    Done,
    Finish,
    Piece,
    StreamEvent,
    StreamProblem,
    health_status,
    interpret,
    request_body,
)
from allie_desktop.ui.chat.ports import Endpoint
from allie_desktop.ui.chat.problems import Problem
from allie_desktop.ui.chat.sse import OverlongEventError, ServerEvent, SseParser

#: The window goes on painting after so many events, and takes the next ones then.
_EVENTS_AT_ONCE = 100

#: What Qt holds of a reply that nobody has read yet; the server waits beyond it.
_BUFFER_BYTES = 256 * 1024
_READ_BYTES = 16 * 1024

#: A server that says nothing for so long, not even that it is alive, has gone wrong.
_SILENCE_MILLISECONDS = 300_000

_ERROR_BODY_BYTES = 64 * 1024

_LOOK_MILLISECONDS = 3_000

_GONE = frozenset(
    {
        QNetworkReply.NetworkError.ConnectionRefusedError,
        QNetworkReply.NetworkError.RemoteHostClosedError,
        QNetworkReply.NetworkError.HostNotFoundError,
        QNetworkReply.NetworkError.UnknownNetworkError,
    }
)


class ChatClient(QObject):
    """Asks the local API. GUI thread."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._network = QNetworkAccessManager(self)
        self._network.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))  # it is this computer
        self._network.setAutoDeleteReplies(False)

    def ask(self, endpoint: Endpoint, conversation_id: str, messages: Sequence[Message]) -> ReplyStream:
        """Send a conversation that ends with a question; return the reply to come, a child of this."""
        request = QNetworkRequest(QUrl(f"{endpoint.url.rstrip('/')}/v1/chat/completions"))
        for name, value in (
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream"),
            ("Authorization", f"Bearer {endpoint.token}"),
            ("X-Allie-Conversation", conversation_id),
            ("X-Allie-Source", "chat"),
        ):
            request.setRawHeader(name.encode(), value.encode("latin-1", "replace"))
        # A redirection would carry the person's words to who knows where.
        request.setAttribute(
            QNetworkRequest.Attribute.RedirectPolicyAttribute,
            QNetworkRequest.RedirectPolicy.ManualRedirectPolicy,
        )
        request.setAttribute(QNetworkRequest.Attribute.Http2AllowedAttribute, False)
        return ReplyStream(self._network.post(request, request_body(messages)), self)

    def look(self, endpoint: Endpoint, tell: Callable[[str], None]) -> None:
        """Ask how the model is and tell its one word: ``ok``, ``loading``, ``idle``; empty for no answer."""
        request = QNetworkRequest(QUrl(f"{endpoint.url.rstrip('/')}/healthz"))
        request.setTransferTimeout(_LOOK_MILLISECONDS)
        reply = self._network.get(request)

        def done() -> None:
            reply.deleteLater()
            tell(health_status(bytes(reply.readAll().data())))

        reply.finished.connect(done)


class ReplyStream(QObject):
    """A reply as it comes. After ``ended`` or ``failed`` nothing follows, and it deletes itself."""

    accepted = Signal(str, str)  # the version that answers, the conversation's id; either may be empty
    piece = Signal(str, str)  # text, response id
    ended = Signal(str)  # OpenAI's finish reason
    failed = Signal(object)  # Problem

    def __init__(self, reply: QNetworkReply, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reply = reply
        self._parser = SseParser()
        self._events: deque[ServerEvent] = deque()
        self._status = 0
        self._body = bytearray()
        self._reason = ""
        self._over = False
        reply.setParent(self)
        reply.setReadBufferSize(_BUFFER_BYTES)
        reply.metaDataChanged.connect(self._on_headers)
        reply.readyRead.connect(self._on_more)
        reply.finished.connect(self._on_finished)
        self._next = QTimer(self)
        self._next.setSingleShot(True)
        self._next.timeout.connect(self._on_more)
        self._silence = QTimer(self)
        self._silence.setSingleShot(True)
        self._silence.timeout.connect(lambda: self._fail(Problem(sentence=problems.SILENT)))
        self._silence.start(_SILENCE_MILLISECONDS)

    def stop(self) -> None:
        """Hang up; no signal follows."""
        self._close()

    def _on_headers(self) -> None:
        status = self._reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        if self._over or self._status or not isinstance(status, int):
            return
        self._status = status
        if status == 200:
            self.accepted.emit(self._header("X-Allie-Version"), self._header("X-Allie-Conversation"))

    def _on_more(self) -> None:
        """Take what there is, a bounded part at a time."""
        if self._over:
            return
        self._silence.start()
        while not self._events and self._reply.bytesAvailable() and not self._over:
            chunk = bytes(self._reply.read(_READ_BYTES).data())
            if self._status != 200:
                self._body += chunk[: _ERROR_BODY_BYTES - len(self._body)]
                continue
            try:
                self._events.extend(self._parser.feed(chunk))
            except OverlongEventError:
                self._fail(Problem(sentence=problems.UNREADABLE))
                return
        for _ in range(min(len(self._events), _EVENTS_AT_ONCE)):
            for said in interpret(self._events.popleft()):
                if not self._take(said):
                    return
        if self._events or self._reply.bytesAvailable():
            self._next.start(0)
        elif self._reply.isFinished():
            self._conclude()

    def _take(self, said: StreamEvent) -> bool:
        """Pass on what was said; return whether anything may follow."""
        if isinstance(said, Piece):
            self.piece.emit(said.text, said.response_id)
        elif isinstance(said, Finish):
            self._reason = said.reason
        elif isinstance(said, Done):
            self._close()
            self.ended.emit(self._reason or "stop")
        elif isinstance(said, StreamProblem):
            self._fail(problems.from_stream(said.message))
        return not self._over

    def _on_finished(self) -> None:
        if not self._over:
            self._on_headers()
            self._on_more()

    def _conclude(self) -> None:
        """The connection is closed, and it was not we who closed it."""
        if self._status and self._status != 200:
            problem = problems.from_answer(self._status, bytes(self._body), self._header("Retry-After"))
        elif self._status == 200:
            problem = Problem(sentence=problems.BROKEN_OFF, process_gone=True)
        elif self._reply.error() in _GONE:
            problem = Problem(sentence=problems.UNREACHABLE, process_gone=True)
        else:
            problem = Problem(sentence=problems.UNREADABLE)
        self._fail(problem)

    def _header(self, name: str) -> str:
        return bytes(self._reply.rawHeader(name).data()).decode("latin-1")

    def _fail(self, problem: Problem) -> None:
        if not self._over:
            self._close()
            self.failed.emit(problem)

    def _close(self) -> None:
        self._over = True
        self._silence.stop()
        self._next.stop()
        self._reply.abort()
        self.deleteLater()
