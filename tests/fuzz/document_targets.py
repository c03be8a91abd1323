"""What the program and its worker write for each other: plan, job, report, metadata, and an episode's folder."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from functools import cache
from random import Random
from typing import Any

from allie_desktop.domain.errors import AllieError, DataChangedError, ProtocolError
from allie_desktop.domain.events import Job
from allie_desktop.domain.measurement import without_texts
from allie_desktop.domain.validation import WorkerReport
from allie_desktop.domain.versions import ActivePointer
from allie_desktop.ipc.episode_folder import EpisodeFolders
from allie_desktop.ipc.process import end_leftover
from allie_desktop.ipc.protocol import decode_document, encode_document, load_plan, seal_plan
from tests.adapters import make_metadata, write_adapter
from tests.fuzz.mutations import nearly, written
from tests.fuzz.target import Outcome, Target, expect, expect_sentence, quieten
from tests.plans import WHEN, make_plan

_POINTER = ActivePointer(active="v1.1", fallback="v1.0", changed_at=WHEN, reason="because")
_JOB = Job(
    episode_id="20260301-a",
    folder="/h/episodes/20260301-a",
    plan="/h/episodes/20260301-a/plan.json",
    plan_digest="d" * 64,
    cache="/h/cache",
    parent_adapter=None,
)


def _plain(data: bytes) -> Any:
    return json.loads(data)


@cache
def _report() -> WorkerReport:
    from tests.unit.ipc.test_protocol_documents import report

    return report()


@cache
def _documents() -> tuple[tuple[type, Any], ...]:
    documents = (seal_plan(make_plan()), _JOB, _report(), make_metadata(), _POINTER)
    return tuple((type(one), _plain(encode_document(one))) for one in documents)


class Documents(Target):
    """Plan, job, report, metadata and pointer; a number in front says which."""

    name = "documents"
    group = "plan"
    share = 6

    def make(self, random: Random) -> bytes:
        index = random.randrange(len(_documents()))
        others = [plain for _, plain in _documents()]
        data = nearly(others[index], random, others=others)
        return b"%d" % index + data

    def attempt(self, data: bytes) -> Outcome:
        kind: Any = _documents()[int(data[:1])][0]
        without_texts(data[1:])
        try:
            document = decode_document(data[1:], kind)
        except ProtocolError as error:
            expect_sentence(error)
            return Outcome.REFUSED
        sent = encode_document(document)
        expect(
            encode_document(decode_document(sent, kind)) == sent, "a document does not come back as it was"
        )
        return Outcome.TAKEN


class Episodes(Target):
    """An episode's folder: a plan that was changed is never taken for the one that was sealed."""

    name = "episodes"
    group = "plan"
    share = 3

    def prepare(self, stack: ExitStack) -> None:
        quieten(stack)
        self._folders = EpisodeFolders(self.folder / "episodes")
        self._plan = seal_plan(make_plan())
        self._home = self._folders.write_plan(self._plan).parent
        write_adapter(self._home / "candidate")

    def make(self, random: Random) -> bytes:
        """A JSON object of file names and their texts in Latin-1."""
        plan = seal_plan(make_plan())
        whole = {
            "plan.json": _plain(encode_document(plan)),
            "job.json": _plain(encode_document(_JOB)),
            "report.json": _plain(encode_document(_report())),
            "worker.pid": {"pid": 2**22 + 1, "started": 1.5, "command": ["allie"]},
        }
        files = {name: nearly(document, random) for name, document in whole.items()}
        if random.random() < 0.3:
            files["plan.json"] = written(whole["plan.json"], random)  # the same in other words
        return json.dumps({name: data.decode("latin-1") for name, data in files.items()}).encode()

    def attempt(self, data: bytes) -> Outcome:
        for name, text in json.loads(data).items():
            (self._home / name).write_bytes(text.encode("latin-1"))
        name = self._home.name
        outcome = Outcome.REFUSED
        try:
            plan = load_plan(self._home / "plan.json", self._plan.digest)
        except DataChangedError as error:
            expect_sentence(error)
        else:
            expect(plan == self._plan, "another plan was taken for the sealed one")
            outcome = Outcome.TAKEN
        self._folders.proof(name, self._plan.digest)
        self._folders.read_job(name)
        with suppress(AllieError):
            self._folders.read_report(name)
        self._folders.report_to_keep(name)
        end_leftover(self._home, grace_seconds=0)
        return outcome


TARGETS = (Documents, Episodes)
