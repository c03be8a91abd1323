"""A blind comparison from the report on the disk to the metric that scripts read, over a real home."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from allie_desktop.bootstrap import Program
from allie_desktop.domain.comparison import Choice
from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.validation import AnswerSample
from allie_desktop.ipc.protocol import encode_document
from allie_desktop.paths import AppPaths
from tests.adapters import make_metadata, write_adapter
from tests.episode_stage import make_report
from tests.plans import WHEN, make_plan

pytestmark = pytest.mark.usefixtures("known_base")

SAMPLES = tuple(
    AnswerSample(
        prompt=f"question {number}",
        reference="",
        base="",
        active=f"answer before {number}",
        candidate=f"answer after {number}",
        kind="ordinary",
    )
    for number in range(6)
)


def fill(program: Program, scratch: Path) -> str:
    """Make an episode with its plan, report and version; return its id."""
    plan = program.files.seal(make_plan())
    program.files.write_plan(plan)
    report = make_report(episode_id=plan.id, plan_digest=plan.digest)
    report = replace(report, measurements=replace(report.measurements, samples=SAMPLES))
    program.files.report(plan.id).write_bytes(encode_document(report))
    episode = Episode(
        id=plan.id, created_at=WHEN, state=EpisodeState.PLANNED, trigger="", plan_digest=plan.digest
    )
    program.episodes.create(episode)
    for state in ("PREPARING", "TRAINING", "VALIDATING", "DEPLOYING", "COMPLETED"):
        program.episodes.change(plan.id, EpisodeState[state], at=WHEN)
    program.episodes.update(replace(episode, version="v1.0"))
    base = program.base()
    metadata = make_metadata(episode_id=plan.id, base_name=base.name, base_sha256=base.sha256)
    program.versions.seal("v1.0", write_adapter(scratch), metadata, ())
    program.versions.activate("v1.0", fallback="base", reason="learnt", at=WHEN)
    return plan.id


def test_what_was_preferred_is_told_with_the_version_and_its_report(quick, allie_home, tmp_path):
    with Program(AppPaths.in_folder(allie_home).prepare()) as program:
        episode_id = fill(program, tmp_path / "candidate")
    assert [row["preference"] for row in quick("versions", "--json").json] == [None]

    with Program(AppPaths.in_folder(allie_home)) as program:
        blind = program.blind_comparisons
        for choice in (Choice.NEW, Choice.NEW, Choice.OLD, Choice.SKIPPED):
            pair = blind.next_pair(episode_id)
            assert pair is not None
            assert pair.question == f"question {pair.place}"
            blind.note(pair, choice)

    (version,) = quick("versions", "--json").json
    counts = {name: version["preference"][name] for name in ("comparisons", "new", "old", "same", "skipped")}
    assert counts == {"comparisons": 3, "new": 2, "old": 1, "same": 0, "skipped": 1}
    assert version["preference"]["low"] < version["preference"]["share"] < version["preference"]["high"]
    assert quick("report", episode_id, "--json").json["preference"] == version["preference"]
    assert "preferred in 2 of 3 blind" in " ".join(quick("versions").out.split())


def test_the_windows_get_the_same(qapp, allie_home, tmp_path):
    from allie_desktop.cli.desktop_windows import _Comparisons

    paths = AppPaths.in_folder(allie_home).prepare()
    with Program(paths) as program:
        episode_id = fill(program, tmp_path / "candidate")
    windows = _Comparisons(lambda: Program(paths))
    pair = windows.next_pair(episode_id)
    assert pair is not None
    windows.note(pair, Choice.NEW)
    windows.skip_all(episode_id)
    assert windows.next_pair(episode_id) is None
    assert (windows.preference(episode_id).new, windows.preference(episode_id).skipped) == (1, 4)
