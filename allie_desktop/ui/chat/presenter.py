"""What happens when: between the window's parts, the chat process and the person's conversations."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum

from PySide6.QtCore import QObject, QTimer, Signal

from allie_desktop.domain.conversation import Conversation, Rating, Role, normalised
from allie_desktop.domain.errors import AllieError, UnknownConversationError
from allie_desktop.domain.ports import ConversationRow
from allie_desktop.ui.chat.client import ChatClient, ReplyStream
from allie_desktop.ui.chat.conversation_model import ConversationModel
from allie_desktop.ui.chat.desk import LibraryDesk
from allie_desktop.ui.chat.dialogue import Dialogue, ReplyState
from allie_desktop.ui.chat.ports import ChatLibrary, ChatServer, Draft, DraftStore, ServerPhase, ServerState
from allie_desktop.ui.chat.problems import Problem
from allie_desktop.ui.presenters.language import translate

#: The transcript is brought up to date at most so often while a reply streams, in milliseconds.
_FRAME_MILLISECONDS = 33

#: How often the chat process is asked whether its model is loaded.
_LOOK_MILLISECONDS = 400

_TITLE_CHARACTERS = 80


class Standing(str, Enum):
    """What the line above the composer says."""

    WELL = "well"
    STARTING = "starting"
    LOADING = "loading"
    FAILED = "failed"


@dataclass(kw_only=True, eq=False)
class Session:
    """An open conversation."""

    dialogue: Dialogue
    title: str = ""
    excluded: bool = False
    stream: ReplyStream | None = None
    waits_for_server: bool = False
    is_new: bool = False  # nothing was asked yet
    pieces: list[str] = field(default_factory=list)
    response_id: str = ""

    @property
    def id(self) -> str:
        """The conversation's id."""
        return self.dialogue.conversation_id


class ChatPresenter(QObject):
    """Owns the open conversations. GUI thread; nothing here waits for disk or network."""

    shown = Signal()  # another conversation is open
    changed = Signal()  # the open one says more, or something else
    draft = Signal(str)  # what the composer is to show
    standing = Signal(object, str)  # Standing, a sentence
    told = Signal(str)  # something the person should know at once
    announced = Signal(str)  # for a screen reader

    def __init__(
        self,
        *,
        server: ChatServer,
        desk: LibraryDesk,
        model: ConversationModel,
        drafts: DraftStore,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._server = server
        self._desk = desk
        self._model = model
        self._drafts = drafts
        self._client = ChatClient(self)
        self._sessions: dict[str, Session] = {}
        self.session = _new_session()
        self._typed = ""
        self._opening = 0
        self._frame = QTimer(self)
        self._frame.setSingleShot(True)
        self._frame.timeout.connect(self._on_frame)
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_LOOK_MILLISECONDS)
        self._look.timeout.connect(self._on_look)
        self._unwatch = server.watch(self._on_server)

    # --- opening ---

    def begin(self) -> None:
        """Show the new chat with what was typed last time, and read the list."""
        self._model.reload()
        self._typed = self._drafts.load("").typed
        self.shown.emit()
        self.draft.emit(self._typed)

    def wake(self) -> None:
        """The window is in use: have the chat process ready."""
        self._server.start()
        self._on_server(self._server.state)

    def new_chat(self) -> None:
        """Open an empty conversation."""
        if not self.session.is_new:
            self._leave()
            self._show(_new_session())

    def open(self, row: ConversationRow) -> None:
        """Open a conversation of the list."""
        self._opening += 1
        if row.id == self.session.id:
            return
        known = self._sessions.get(row.id)
        if known is not None:
            self._leave()
            self._show(known)
            return
        opening = self._opening

        def done(dialogue: Dialogue) -> None:
            if opening == self._opening:
                self._leave()
                self._show(Session(dialogue=dialogue, title=row.title, excluded=row.excluded))

        def failed(error: AllieError) -> None:
            self.told.emit(str(error))
            if isinstance(error, UnknownConversationError):
                self._model.remove(row.id)

        self._desk.ask(lambda library: Dialogue.of(library.load(row.id)), done, failed)

    def close(self) -> None:
        """Hang up and keep what is typed; nothing follows."""
        for session in (*self._sessions.values(), self.session):
            if session.stream is not None:
                session.stream.stop()
                session.stream = None
        self._unwatch()
        self._look.stop()
        self._frame.stop()
        # Here and now: the program may be about to end.
        self._drafts.save(self._draft_key(self.session), self._draft_of(self.session, self._typed))

    # --- asking ---

    def note_typed(self, text: str) -> None:
        """Keep what is in the composer."""
        self._typed = text
        self._keep_draft(self.session, text)

    def send(self, text: str) -> None:
        """Ask a question in the open conversation."""
        session = self.session
        if session.dialogue.is_busy or not text:
            return
        if session.is_new:
            session.is_new = False
            session.title = " ".join(text.split())[:_TITLE_CHARACTERS]
            self._keep_draft_text("", Draft())
            self._model.put_first(_provisional_row(session))
        stored_differently = self._may_be_stored_differently(session)
        session.dialogue.ask(text)
        self._typed = ""
        self._keep_draft(session, "")
        self._sessions[session.id] = session
        self.shown.emit() if len(session.dialogue.entries) == 2 else self.changed.emit()
        if stored_differently:
            self._adopt_then_send(session)
        else:
            self._send(session)

    def stop(self) -> None:
        """Stop the reply of the open conversation."""
        session = self.session
        if not session.dialogue.is_busy:
            return
        self._flush(session)
        self._hang_up(session)
        session.dialogue.stop()
        self._keep_draft(session, self._typed)
        self.changed.emit()
        self.announced.emit(translate("Chat", "Stopped"))

    def ask_again(self) -> None:
        """Make the last reply of the open conversation once more."""
        session = self.session
        if session.dialogue.can_ask_again():
            session.dialogue.ask_again()
            self._sessions[session.id] = session
            self.changed.emit()
            self._send(session)

    # --- feedback ---

    def rate(self, place: int, rating: Rating | None) -> None:
        """Rate a reply of the open conversation, or take that back."""
        session = self.session
        before = session.dialogue.entries[place].rating
        session.dialogue.rate(place, rating)
        self.changed.emit()

        def back(error: AllieError) -> None:
            session.dialogue.rate(place, before)
            self._feedback_failed(session, error)

        self._on_turn(session, place, lambda library, turn: library.rate(session.id, turn, rating), back)

    def correct(self, place: int, text: str | None) -> None:
        """Say what a reply should have been, or take that back."""
        session = self.session
        before = session.dialogue.entries[place].correction
        session.dialogue.correct(place, text)
        self.changed.emit()

        def back(error: AllieError) -> None:
            session.dialogue.correct(place, before)
            self._feedback_failed(session, error)

        self._on_turn(session, place, lambda library, turn: library.correct(session.id, turn, text), back)

    def exclude(self, conversation_id: str, *, excluded: bool) -> None:
        """Keep a conversation out of learning, or let it in again."""

        def done(_: object) -> None:
            self._model.change(conversation_id, excluded=excluded)
            if self.session.id == conversation_id:
                self.session.excluded = excluded
                self.changed.emit()

        self._desk.ask(
            lambda library: library.exclude(conversation_id, excluded=excluded), done, self._tell_error
        )

    def rename(self, conversation_id: str, title: str) -> None:
        """Give a conversation a title."""

        def done(_: object) -> None:
            if self.session.id == conversation_id and title.strip():
                self.session.title = " ".join(title.split())
                self.changed.emit()
            self._model.reload()

        self._desk.ask(lambda library: library.rename(conversation_id, title), done, self._tell_error)

    def ask_learnt_by(self, conversation_id: str, tell: Callable[[tuple[str, ...]], None]) -> None:
        """Tell which versions learnt from a conversation."""
        self._desk.ask(lambda library: library.learnt_by(conversation_id), tell, self._tell_error)

    def forget(self, conversation_id: str) -> None:
        """Delete a conversation everywhere."""
        session = self._sessions.get(conversation_id)
        if session is not None and session.dialogue.is_busy:
            self.told.emit(translate("Chat", "Stop the answer first, then forget the conversation."))
            return

        def done(_: object) -> None:
            self._model.remove(conversation_id)
            self._sessions.pop(conversation_id, None)
            self._keep_draft_text(conversation_id, Draft())
            if self.session.id == conversation_id:
                self._show(_new_session())
            self.announced.emit(translate("Chat", "The conversation is forgotten."))

        def failed(error: AllieError) -> None:
            # What was never stored is gone with the window's own copy.
            if isinstance(error, UnknownConversationError):
                done(None)
            else:
                self._tell_error(error)

        self._desk.ask(lambda library: library.forget(conversation_id), done, failed)

    # --- the chat process ---

    def _send(self, session: Session) -> None:
        state = self._server.state
        if state.phase is ServerPhase.READY and state.endpoint is not None:
            session.waits_for_server = False
            stream = self._client.ask(state.endpoint, session.id, session.dialogue.request())
            session.stream = stream
            stream.accepted.connect(lambda version, name: self._on_accepted(session, version, name))
            stream.piece.connect(lambda text, response: self._on_piece(session, text, response))
            stream.ended.connect(lambda reason: self._on_ended(session, reason))
            stream.failed.connect(lambda problem: self._on_failed(session, problem))
            self._on_look()
        else:
            session.waits_for_server = True
            self._server.start()

    def _on_server(self, state: ServerState) -> None:
        if state.phase is ServerPhase.FAILED:
            self._look.stop()
            self.standing.emit(Standing.FAILED, state.problem)
            for session in tuple(self._sessions.values()):
                if session.waits_for_server:
                    session.waits_for_server = False
                    session.dialogue.fail(state.problem)
                    self._after(session)
        elif state.phase is ServerPhase.READY:
            self._on_look()
            for session in tuple(self._sessions.values()):
                if session.waits_for_server:
                    self._send(session)
        elif state.phase is ServerPhase.STARTING:
            self.standing.emit(Standing.STARTING, translate("Chat", "Starting Allie…"))
        else:
            self.standing.emit(Standing.WELL, "")

    def _on_look(self) -> None:
        state = self._server.state
        if state.endpoint is not None:
            self._client.look(state.endpoint, self._on_health)

    def _on_health(self, status: str) -> None:
        if self._server.state.phase is not ServerPhase.READY:
            return
        waiting = any(s.dialogue.is_busy for s in self._sessions.values())
        if status == "loading" or (status == "idle" and waiting):
            self.standing.emit(Standing.LOADING, translate("Chat", "Loading the model…"))
            self._look.start()
        else:
            self.standing.emit(Standing.WELL, "")

    def _on_accepted(self, session: Session, version: str, name: str) -> None:
        if version:
            session.dialogue.answered_by(version)
        if name and name != session.id:
            # What was said before had been changed: the answers are kept as another conversation.
            self._sessions.pop(session.id, None)
            session.dialogue.conversation_id = name
            self._sessions[name] = session
        self.standing.emit(Standing.WELL, "")

    def _on_piece(self, session: Session, text: str, response_id: str) -> None:
        session.pieces.append(text)
        session.response_id = response_id
        if not self._frame.isActive():
            self._frame.start(_FRAME_MILLISECONDS)

    def _on_frame(self) -> None:
        began = time.monotonic()
        for session in tuple(self._sessions.values()):
            self._flush(session)
        self.changed.emit()
        # A slow machine gets fewer pictures, not a window that does not react.
        cost = int((time.monotonic() - began) * 1000)
        if any(session.pieces for session in self._sessions.values()):
            self._frame.start(max(_FRAME_MILLISECONDS, 3 * cost))

    @staticmethod
    def _flush(session: Session) -> None:
        if session.pieces:
            text = "".join(session.pieces)
            session.pieces.clear()
            session.dialogue.more(text, session.response_id)

    def _on_ended(self, session: Session, reason: str) -> None:
        self._flush(session)
        session.stream = None
        session.dialogue.end(reason)
        self._after(session)
        self._model.reload()
        self.announced.emit(translate("Chat", "Allie has answered."))

    def _on_failed(self, session: Session, problem: Problem) -> None:
        self._flush(session)
        session.stream = None
        session.dialogue.fail(problem.sentence)
        self._after(session)
        self.announced.emit(problem.sentence)
        if problem.process_gone:
            self._server.start()

    def _after(self, session: Session) -> None:
        """A reply has ended in one way or another."""
        self._keep_draft(session, self._typed if session is self.session else None)
        if session is self.session:
            self.changed.emit()
        elif session.dialogue.entries[-1].state is ReplyState.DONE:
            self._sessions.pop(session.id, None)

    @staticmethod
    def _hang_up(session: Session) -> None:
        session.waits_for_server = False
        if session.stream is not None:
            session.stream.stop()
            session.stream = None

    # --- what is stored ---

    @staticmethod
    def _may_be_stored_differently(session: Session) -> bool:
        """Whether the last reply broke off, so that the chat process may have kept more or less of it."""
        entries = session.dialogue.entries
        return bool(entries) and entries[-1].state in (ReplyState.STOPPED, ReplyState.FAILED)

    def _adopt_then_send(self, session: Session) -> None:
        """Take over how a broken reply was stored, so that both sides speak of the same conversation."""
        place = len(session.dialogue.entries) - 3
        turn = session.dialogue.turn(place)

        def done(conversation: Conversation | None) -> None:
            entry = session.dialogue.entries[place]
            if conversation is not None and turn is not None and turn < len(conversation.turns):
                stored = conversation.turns[turn].content
                if stored.startswith(entry.text) or entry.text.startswith(stored):
                    session.dialogue.entries[place] = replace(entry, text=stored)
            if session.dialogue.is_busy:
                self._send(session)

        self._desk.ask(lambda library: library.load(session.id), done, lambda _: done(None))

    def _on_turn(
        self,
        session: Session,
        place: int,
        act: Callable[[ChatLibrary, int], None],
        failed: Callable[[AllieError], None],
    ) -> None:
        turn = session.dialogue.turn(place)
        text = session.dialogue.entries[place].text

        def job(library: ChatLibrary) -> None:
            act(library, _stored_turn(library.load(session.id), turn, text))

        self._desk.ask(job, None, failed)

    def _feedback_failed(self, session: Session, error: AllieError) -> None:
        if session is self.session:
            self.changed.emit()
        if isinstance(error, UnknownConversationError):
            self.told.emit(
                translate(
                    "Chat", "This conversation is not kept, so Allie cannot learn what you think of it."
                )
            )
        else:
            self._tell_error(error)

    def _tell_error(self, error: AllieError) -> None:
        self.told.emit(str(error))

    # --- showing ---

    def _show(self, session: Session) -> None:
        self._opening += 1
        self.session = session
        kept = self._drafts.load(self._draft_key(session))
        answered = session.dialogue.entries and not session.dialogue.unanswered
        asked = [entry.text for entry in session.dialogue.entries if entry.role is Role.USER]
        # A question that stands in the transcript need not stand in the field too.
        lost = kept.unanswered if kept.unanswered not in asked or (answered and not asked) else ""
        self._typed = Draft(text=kept.text, unanswered=lost).typed
        self.shown.emit()
        self.draft.emit(self._typed)

    def _leave(self) -> None:
        """Another conversation is about to be shown."""
        session = self.session
        self._keep_draft(session, self._typed)
        last = session.dialogue.entries[-1].state if session.dialogue.entries else ReplyState.DONE
        if not session.dialogue.is_busy and last is ReplyState.DONE:
            self._sessions.pop(session.id, None)

    @staticmethod
    def _draft_key(session: Session) -> str:
        return "" if session.is_new else session.id

    @staticmethod
    def _draft_of(session: Session, text: str) -> Draft:
        return Draft(text=text, unanswered=session.dialogue.unanswered)

    def _keep_draft(self, session: Session, text: str | None) -> None:
        key = self._draft_key(session)
        kept = self._drafts.load(key).text if text is None else text
        self._keep_draft_text(key, self._draft_of(session, kept))

    def _keep_draft_text(self, key: str, draft: Draft) -> None:
        self._desk.ask(lambda _: self._drafts.save(key, draft))


def _new_session() -> Session:
    return Session(dialogue=Dialogue(f"chat-{uuid.uuid4().hex}"), is_new=True)


def _provisional_row(session: Session) -> ConversationRow:
    return ConversationRow(
        id=session.id,
        created_at=datetime.now(timezone.utc),
        source="chat",
        title=session.title,
        turns=1,
        score=0.0,
        eligible=False,
        excluded=False,
        learned=False,
    )


def _stored_turn(conversation: Conversation, turn: int | None, text: str) -> int:
    """Return the stored turn with this text: where it is expected, else the last that says it."""
    wanted = normalised(text)
    if turn is not None and turn < len(conversation.turns):
        there = conversation.turns[turn]
        if there.role is Role.ASSISTANT and normalised(there.content) == wanted:
            return turn
    for place in range(len(conversation.turns) - 1, -1, -1):
        known = conversation.turns[place]
        if known.role is Role.ASSISTANT and normalised(known.content) == wanted:
            return place
    raise AllieError("This answer is not stored.", "Only answers that were kept can be rated or corrected.")
