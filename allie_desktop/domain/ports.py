"""The interfaces that services speak to; adapters implement them, ``bootstrap`` joins them.

Unless a method says otherwise it may block on the disk, raises :class:`StoreError` when the store
cannot be used, and is to be called from the thread that made the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from allie_desktop.domain.chat import Evidence, Exchange, GenerationOptions, ReplyEvent
from allie_desktop.domain.comparison import Comparison
from allie_desktop.domain.conversation import Conversation, Rating, Refusal
from allie_desktop.domain.events import Job, WorkerCommand, WorkerEvent
from allie_desktop.domain.lifecycle import Episode, EpisodeState, Outcome
from allie_desktop.domain.planning import Message, Plan, Split
from allie_desktop.domain.quality import LearningTarget, Quality, TargetOrigin
from allie_desktop.domain.requests import DecisionRecord, Notice, QueuedRequest
from allie_desktop.domain.validation import WorkerReport
from allie_desktop.domain.versions import ActivePointer, Version, VersionMetadata, VersionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """A conversation with all that was found out about it when it came in; the store keeps the whole.

    ``signature`` is a MinHash signature for near-duplicate search (bytes, empty when too short).
    ``best_origin`` is the strongest origin among ``targets``; None without targets.
    """

    conversation: Conversation
    content_hash: str
    quality: Quality
    targets: tuple[LearningTarget, ...]
    best_origin: TargetOrigin | None
    split: Split
    topic: str
    characters: int
    signature: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddResult:
    """What the store did with a batch: new, already known, and known but with new feedback."""

    added: int
    duplicates: int
    updated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialCounts:
    """The trigger terms, from indexes alone (under 10 ms at 100,000 conversations)."""

    conversations: int
    eligible_new: int  # eligible, not excluded, not learnt yet
    eligible_new_quality: float  # their mean score; 0.0 when there are none
    taught_new: int  # of those, with a taught target
    learned: int
    excluded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What planning needs to choose from, without the texts."""

    id: str
    content_hash: str
    source: str
    topic: str
    created_at: datetime
    score: float
    origin: TargetOrigin
    split: Split
    characters: int
    signature: bytes
    learned_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRow:
    """A line in a list of conversations."""

    id: str
    created_at: datetime
    source: str
    title: str
    turns: int
    score: float
    eligible: bool
    excluded: bool
    learned: bool


class ConversationRepository(Protocol):
    """The person's conversations and what became of them."""

    def add(self, batch: Sequence[Assessed]) -> AddResult:
        """Add a batch in one transaction: all or nothing.

        A known content hash is a duplicate; new ratings or corrections on it are kept (``updated``,
        and the new assessment replaces the old). A known id with other content gets a new id, unless
        the new turns continue the old ones: then they replace them (``updated``); turns that the
        known ones already continue are a duplicate. ``added + duplicates + updated`` is the size of
        the batch.
        """

    def get(self, conversation_id: str) -> Assessed:
        """Return one; raise :class:`UnknownConversationError`. A unique prefix of the id will do."""

    def get_many(self, ids: Sequence[str]) -> Mapping[str, Assessed]:
        """Return those that exist."""

    def rows(
        self, *, limit: int = 50, offset: int = 0, search: str = "", source: str = ""
    ) -> tuple[ConversationRow, ...]:
        """Return list lines, newest first. ``search`` is full text over turns and titles."""

    def counts(self) -> MaterialCounts:
        """Return the trigger terms."""

    def candidates(self, *, learned: bool, limit: int | None = None) -> Iterator[Candidate]:
        """Yield eligible, not excluded conversations: new ones best first, or learnt ones newest first."""

    def mark_learned(
        self, ids: Sequence[str], *, version: str, at: datetime, as_of: datetime | None = None
    ) -> None:
        """Remember which version learnt them (kept a version, so that a rollback can be undone).

        ``as_of`` is when the plan was frozen (default: ``at``): a conversation whose targets changed
        since then still counts as new, and so does one whose targets change later.
        """

    def unmark_learned(self, *, version: str) -> None:
        """After a rollback the material of ``version`` is new again. :meth:`learned_by` and
        :meth:`forget` still know that it learnt it, since the version itself still does."""

    def learned_by(self, version: str) -> tuple[str, ...]:
        """Return the ids that ``version`` learnt, rolled back or not."""

    def versions_of(self, conversation_id: str) -> tuple[str, ...]:
        """Return the versions that learnt from it: what :meth:`forget` will return, to be marked before
        the deletion, since a crash after it would lose them."""

    def rate(self, conversation_id: str, turn_index: int, rating: Rating | None) -> None:
        """Set or clear a rating; the caller re-assesses and calls :meth:`replace`."""

    def replace(self, assessed: Assessed) -> None:
        """Replace turns, feedback and assessment of a known id."""

    def set_excluded(self, conversation_id: str, excluded: bool) -> None:
        """Keep a conversation out of learning, or let it in again."""

    def forget(self, conversation_id: str) -> tuple[str, ...]:
        """Delete it everywhere in the store (secure delete); return the versions that learnt from it."""

    def export(self, *, source: str = "") -> Iterator[Conversation]:
        """Yield all conversations, oldest first, in constant memory."""


class EpisodeRepository(Protocol):
    """Episodes with their state history."""

    def create(self, episode: Episode) -> None:
        """Persist a new episode in state PLANNED."""

    def change(self, episode_id: str, state: EpisodeState, *, at: datetime, reason: str = "") -> None:
        """Persist a transition before its action; refuses one that :data:`TRANSITIONS` does not allow."""

    def update(self, episode: Episode) -> None:
        """Persist everything but the state and its history."""

    def get(self, episode_id: str) -> Episode | None:
        """Return one with its history."""

    def latest(self, *, limit: int = 1, offset: int = 0) -> tuple[Episode, ...]:
        """Return the newest first, without histories where ``limit`` > 1."""

    def unfinished(self) -> tuple[Episode, ...]:
        """Return those in no final state, oldest first."""

    def count(self) -> int:
        """Return how many there are."""


class ComparisonRepository(Protocol):
    """What the person said in blind comparisons, without the words that were compared."""

    def add(self, comparison: Comparison) -> bool:
        """Keep it; return False when this pair was asked before, whose first choice stays."""

    def of_episode(self, episode_id: str) -> tuple[Comparison, ...]:
        """Return those about the version that an episode made, by their places."""


class SettingsRepository(Protocol):
    """Named values that differ from their defaults."""

    def load(self) -> Mapping[str, object]:
        """Return what was saved; unreadable values are left out."""

    def save(self, name: str, value: object) -> None:
        """Save one value (JSON types)."""

    def remove(self, name: str) -> None:
        """Go back to the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should know. ``key`` de-duplicates: one open alert a key."""

    key: str
    severity: str  # info | warning | critical
    message: str
    remedy: str = ""
    raised_at: datetime | None = None
    seen: bool = False


class AlertRepository(Protocol):
    """Alerts, shown once."""

    def raise_(self, alert: Alert) -> bool:
        """Save it; return False when one with this key is open already."""

    def open(self) -> tuple[Alert, ...]:
        """Return those not resolved, newest first."""

    def mark_seen(self, key: str) -> None:
        """Remember that the person saw the open alert with this key."""

    def resolve(self, key: str) -> None:
        """Close it."""


class RequestRepository(Protocol):
    """The queue of wanted episodes; it outlives the program."""

    def all(self) -> tuple[QueuedRequest, ...]:
        """Return them as they come up: the most urgent wish first, then the oldest."""

    def put(self, request: QueuedRequest) -> None:
        """Add it, or replace the one with its key."""

    def remove(self, key: str) -> None:
        """Take it out; does nothing when it is not there."""


class DecisionRepository(Protocol):
    """The diary of decisions, bounded."""

    def add(self, record: DecisionRecord) -> None:
        """Write a decision down."""

    def latest(self, *, limit: int = 100, offset: int = 0) -> tuple[DecisionRecord, ...]:
        """Return the newest first."""


class NoticeRepository(Protocol):
    """What the person was told and is still to be told; nothing is told twice."""

    def add(self, notice: Notice) -> bool:
        """Keep it until it is shown; return False when its key is known already, shown or not."""

    def waiting(self) -> tuple[Notice, ...]:
        """Return those not shown yet, oldest first."""

    def mark_shown(self, key: str, *, at: datetime) -> None:
        """Remember that it was shown."""


class ReplayRepository(Protocol):
    """Membership of the replay buffer, with a part that never trains."""

    def members(self, *, holdout: bool) -> tuple[str, ...]:
        """Return conversation ids."""

    def set_members(self, train: Sequence[str], holdout: Sequence[str]) -> None:
        """Replace the whole membership in one transaction."""


class VersionRepository(Protocol):
    """Adapter folders on disk, and the pointer. Folders are the truth; there is no second copy of it."""

    def all(self) -> tuple[Version, ...]:
        """Return the lineage, oldest first. A folder whose metadata cannot be read is left out."""

    def get(self, name: str) -> Version:
        """Return one; raise :class:`UnknownVersionError`."""

    def next_name(self) -> str:
        """Return the name for a new version; names are never given twice, not even after pruning."""

    def seal(self, name: str, adapter: Path, metadata: VersionMetadata, extra: Sequence[Path]) -> Version:
        """Copy a candidate to its final, immutable folder with a SHA-256 manifest, atomically:
        a folder with this name either is complete or does not exist."""

    def verify(self, name: str) -> None:
        """Check every file against the manifest; raise :class:`VersionCorruptError`."""

    def pointer(self) -> ActivePointer:
        """Return the active pointer; the base model when nothing was ever deployed. A pointer that
        cannot be read is restored from its spare copy or from the newest version that verifies."""

    def activate(self, name: str, *, fallback: str, reason: str, at: datetime) -> None:
        """Replace the pointer atomically (write, fsync, rename, fsync of the folder)."""

    def set_state(self, name: str, state: VersionState) -> None:
        """Remember a deployment state beside the folder."""

    def set_pinned(self, name: str, pinned: bool) -> None:
        """Keep a version from pruning, or not."""

    def set_tainted(self, name: str, reason: str) -> None:
        """Mark a version that learnt something since forgotten."""

    def remove(self, name: str) -> None:
        """Delete a version's folder; refuses the active and the fallback version."""

    def redact(self) -> None:
        """Take everything that was said out of the reports in sealed versions. A version that was sealed without
        texts stays as it is; one that cannot be changed now is left for another time."""

    def tidy(self) -> None:
        """Delete what killed processes left half done. Raise :class:`OSError`."""


class Importer(Protocol):
    """Reads one foreign format. Never raises for a single bad record: it yields a refusal."""

    name: str

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether this file looks like the format, from its name and its first 64 KiB."""

    def read(self, path: Path) -> Iterator[Conversation | Refusal]:
        """Yield conversations and refusals in constant memory; raise :class:`ImportFileError` when the
        file as a whole is unusable."""


class Redactor(Protocol):
    """Takes secrets and personal data out of a text."""

    def redact(self, text: str) -> tuple[str, Mapping[str, int]]:
        """Return the text with placeholders like ``[EMAIL]``, and how many of each kind there were."""

    def redacted_values(self, text: str) -> tuple[str, ...]:
        """Return what :meth:`redact` takes out, without repetitions. For leak checks; never log it."""


class ToxicityScorer(Protocol):
    """Says how hostile a text is."""

    def score(self, text: str) -> float:
        """Return a number in [0, 1]; 1 is most hostile."""


class NearDuplicates(Protocol):
    """MinHash signatures and their comparison."""

    def signature(self, text: str) -> bytes:
        """Return a signature of fixed size; empty bytes for a text too short to compare."""

    def groups(self, signatures: Mapping[str, bytes]) -> tuple[tuple[str, ...], ...]:
        """Return groups (two or more keys, each in its given order) that nearly say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResult:
    """How a worker process ended. ``returncode`` is None for LOST, and when it could not be started.

    ``last_event`` is the event that told the end, else the last of all. ``log_tail`` is the end of what
    it wrote to stderr.
    """

    outcome: Outcome
    returncode: int | None
    last_event: WorkerEvent | None
    log_tail: str = ""


class WorkerClient(Protocol):
    """One worker process, for as long as it lives. Used from one thread, but ``send`` and ``kill``
    may be called from any."""

    def run(
        self,
        job: Job,
        on_event: Callable[[WorkerEvent], None],
        on_tick: Callable[[], None] | None = None,
    ) -> WorkerResult:
        """Write ``job.json``, start a worker on it, pass its events to ``on_event`` in the calling thread,
        and return when it ended. ``on_tick`` is called there too, several times a second, events or not.
        Should either raise, the worker is killed and the exception goes on."""

    def send(self, command: WorkerCommand) -> None:
        """Send a command; silently nothing when no worker runs."""

    def suspend(self) -> None:
        """Freeze the process at once (frees CPU and GPU, not memory)."""

    def unfreeze(self) -> None:
        """Let a frozen process go on."""

    def kill(self) -> None:
        """End it without asking."""

    def end_leftover(self, folder: Path) -> bool:
        """End the worker that a dead parent left behind in an episode's folder, giving it the time of a
        stop to write its checkpoint. Return whether there was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeProof:
    """What an episode's folder proves, whatever state was recorded.

    ``plan``: the plan is there and is the one that was hashed. ``attempt``: the attempt whose job was
    written last, 0 for none. ``result``: candidate and report are complete and belong to that job.
    """

    plan: bool
    attempt: int
    result: bool


class EpisodeFiles(Protocol):
    """One folder an episode. The plan of attempt 1 is ``plan.json``; a fallback attempt N has its own,
    ``attempt-N/plan.json``, with its own digest. A worker keeps the checkpoints of attempt N in
    ``attempt-N/`` and writes ``candidate/`` first and ``report.json`` last, each atomically."""

    def seal(self, plan: Plan) -> Plan:
        """Return the plan with its digest; writes nothing."""

    def write_plan(self, plan: Plan, *, attempt: int = 1) -> Path:
        """Write a sealed plan durably and atomically; return its path."""

    def read_plan(self, episode_id: str, digest: str, *, attempt: int = 1) -> Plan:
        """Return a plan; raise :class:`DataChangedError` when it is missing or not the one hashed."""

    def folder(self, episode_id: str) -> Path:
        """Return the episode's folder (absolute), whether it exists or not."""

    def candidate(self, episode_id: str) -> Path:
        """Return the folder where a worker leaves its adapter."""

    def report(self, episode_id: str) -> Path:
        """Return the path of ``report.json``."""

    def read_job(self, episode_id: str) -> Job | None:
        """Return the job that was written last; None when there is none that can be read."""

    def report_to_keep(self, episode_id: str) -> Path:
        """Write the report without anything that was said, for the version; return its path. Raise OSError."""

    def read_report(self, episode_id: str) -> WorkerReport:
        """Return the report; raise :class:`TrainingError` when it or the candidate is not complete."""

    def proof(self, episode_id: str, digest: str) -> EpisodeProof:
        """Say what the folder proves; ``digest`` is of the plan of attempt 1. Never raises for bad files."""

    def clear_result(self, episode_id: str) -> None:
        """Remove candidate and report, before an attempt that must not be mistaken for another."""

    def clear(self, episode_id: str) -> None:
        """Remove what an ended episode needs no more; plan, report and log stay for its history."""

    def remove(self, episode_id: str) -> None:
        """Remove the whole folder."""

    def forget(self, conversation_id: str) -> tuple[str, ...]:
        """Remove the whole folder of every episode whose plan holds this conversation; return their ids.
        An unfinished one among them is given up, since its plan is gone."""

    def tidy(self) -> None:
        """Delete what killed processes left half written; while holding the episode slot. Raise OSError."""

    def ids(self) -> tuple[str, ...]:
        """Return the ids that have a folder."""

    def used_bytes(self, episode_id: str) -> int:
        """Return what the folder takes on the disk."""


class EpisodeLock(Protocol):
    """The one episode slot of a home, over all processes. It ends with the process that took it."""

    def hold(self) -> AbstractContextManager[None]:
        """Take the slot for a ``with`` block; raise :class:`EpisodeBusyError` at once when it is taken."""


class AdapterProbe(Protocol):
    """Tries whether an adapter really answers."""

    def probe(self, adapter: Path) -> tuple[str, ...]:
        """Load the base model with this adapter folder and return its answers to a few prompts; raise
        :class:`AllieError` when it cannot be loaded. May take a minute."""


class ChatEngine(Protocol):
    """One base model in memory, with one adapter or none. Any thread; requests beyond what it can do at
    once wait inside. Never loads or frees anything by itself."""

    @property
    def context_tokens(self) -> int:
        """Most tokens of a prompt with its reply."""

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancelled: Callable[[], bool]
    ) -> Iterator[ReplyEvent]:
        """Yield the pieces of a reply and at last a :class:`ReplyEnd`, in the calling thread.

        ``cancelled`` is asked at least once a token; generation ends soon after it says True, as it does
        when the iterator is closed. A conversation that is too long loses its oldest messages, but never
        the system prompt nor the last question; raise :class:`BadInputError` when those alone do not fit
        or the model's template cannot take the conversation, and :class:`ModelError` when it breaks.
        """

    def close(self) -> None:
        """Free the memory; requests in flight end with an error. Twice is once."""


class ChatEngines(Protocol):
    """Makes engines. All engines of one object share the base model's memory where the backend can."""

    def load(self, version: str) -> ChatEngine:
        """Load the base model with this version's adapter (``base``: without). Blocks for as long as it
        takes. Raise :class:`UnknownVersionError`, :class:`VersionCorruptError` or :class:`ModelError`."""


class ExchangeRecorder(Protocol):
    """Keeps what was said in chat. Any thread; each call is durable when it returns."""

    def record(self, exchange: Exchange) -> str:
        """Keep an exchange, as the beginning or the continuation of a conversation, whose id is returned.
        The same request again is a regenerated reply: it replaces the one before, which is noted."""

    def feedback(self, response_id: str, *, rating: Rating | None, correction: str | None) -> None:
        """Keep what the person thinks of a reply; raise :class:`BadInputError` for an unknown one. None
        leaves what there is; an empty correction takes it back."""


class VersionRouter(Protocol):
    """Says which version answers. Any thread."""

    def choose(self, conversation_id: str | None, messages: Sequence[Message]) -> str:
        """Return the version for this conversation: always the same for one that has begun, as long as it
        can answer, and the new version's share of new ones while it takes over."""

    def wanted(self) -> tuple[str, ...]:
        """Return the versions to keep loaded, the one that answers most first."""

    def failed(self, version: str, reason: str) -> None:
        """Take note that a version cannot be loaded or does not answer: it is rolled back, and the person
        is told."""


class ExchangeRepository(Protocol):
    """What the store knows of exchanges."""

    def evidence(self, version: str, *, since: datetime) -> Evidence:
        """Return what a version's replies brought since then, from indexes alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Memory and disk, as a need or as what is free. ``memory_bytes`` is None when nobody can tell."""

    memory_bytes: int | None
    disk_bytes: int


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> datetime:
        """Return the aware wall-clock time (UTC)."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class Progress(Protocol):
    """Somebody who watches."""

    def __call__(self, event: WorkerEvent) -> None:
        """Take note of an event; must not block."""


ConversationSource = Iterable[Conversation | Refusal]
