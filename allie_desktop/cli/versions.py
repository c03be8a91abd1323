"""``allie versions`` and ``allie rollback``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, print_table, say
from allie_desktop.domain.rollout import Stage
from allie_desktop.domain.versions import BASE

if TYPE_CHECKING:
    from allie_desktop.domain.comparison import Preference
    from allie_desktop.domain.versions import ActivePointer, Version
    from allie_desktop.services.rollout import RolloutStatus

#: Measures that are told in a line of the list; all of them are in the JSON form.
_TOLD = {"taught": "corrections", "new": "conversations", "general_kl": "drift"}


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.command()(versions)
    app.command()(rollback)


def versions(as_json: JsonOption = False) -> None:
    """List the versions that were learnt, oldest first."""
    from allie_desktop import bootstrap
    from allie_desktop.services.blind_comparison import preference_metrics

    with bootstrap.open_program() as program:
        lineage = program.versions.all()
        pointer = program.versions.pointer()
        rollout = program.rollout.status()
        preferences = {
            v.metadata.version: program.blind_comparisons.preference(v.metadata.episode_id) for v in lineage
        }
    if as_json:
        print_json(
            [
                {
                    **version_document(version, pointer),
                    "preference": preference_metrics(preferences[version.metadata.version]),
                    "rollout": rollout_document(rollout)
                    if rollout is not None and rollout.record.version == version.metadata.version
                    else None,
                }
                for version in lineage
            ]
        )
        return
    if not lineage:
        say("There are no versions yet: the base model answers. `allie learn` makes the first one.")
        return
    rows = [
        (
            ("* " if v.metadata.version == pointer.active else "  ") + v.metadata.version,
            v.metadata.parent or BASE,
            f"{v.metadata.created_at.astimezone():%Y-%m-%d %H:%M}",
            v.metadata.conversations,
            v.state.value,
            "; ".join(
                filter(
                    None,
                    (
                        "pinned" if v.pinned else "",
                        v.tainted,
                        metric_words(v),
                        preference_words(preferences[v.metadata.version]),
                    ),
                )
            ),
        )
        for v in lineage
    ]
    print_table(("Version", "From", "Made", "Conversations", "State", "Remarks"), rows)
    if pointer.active == BASE:
        say("The base model answers.")
    if rollout is not None and rollout.record.stage is not Stage.HEALTHY:
        say(rollout.words)


def rollback(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Default: the one before; base is allowed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let another version answer, at once."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        active = program.rollback(version)
    if as_json:
        print_json({"active": active})
    else:
        say("The base model answers now." if active == BASE else f"{active} answers now.")


def version_document(version: Version, pointer: ActivePointer) -> dict[str, object]:
    """Return a version as ``--json`` prints it."""
    metadata = version.metadata
    return {
        "version": metadata.version,
        "path": version.path,
        "active": metadata.version == pointer.active,
        "parent": metadata.parent or BASE,
        "created_at": metadata.created_at,
        "metrics": metadata.metrics,
        "state": version.state,
        "pinned": version.pinned,
        "tainted": version.tainted,
        "base": metadata.base_name,
        "conversations": metadata.conversations,
        "episode": metadata.episode_id,
    }


def rollout_document(rollout: RolloutStatus) -> dict[str, object]:
    """Return how a version takes over as ``--json`` prints it."""
    return {
        "stage": rollout.record.stage,
        "share": rollout.record.share,
        "previous": rollout.record.previous,
        "since": rollout.record.stage_since,
        "reason": rollout.record.reason,
        "replies": rollout.new.replies,
        "liked": rollout.new.liked,
        "disliked": rollout.new.disliked,
        "regenerated": rollout.new.regenerated,
    }


def metric_words(version: Version) -> str:
    """Return the few numbers of a version that fit into a line: what changed against the one before."""
    measures = version.metadata.metrics.get("measures")
    if not isinstance(measures, Mapping):
        return ""
    words = []
    for name, label in _TOLD.items():
        measure = measures.get(name)
        if not isinstance(measure, Mapping):
            continue
        before, after = measure.get("active"), measure.get("candidate")
        if isinstance(before, (int, float)) and isinstance(after, (int, float)):
            words.append(f"{label} {before:.2f} → {after:.2f}")
    return ", ".join(words)


def preference_words(preference: Preference) -> str:
    """Return what blind comparisons said of a version, for a line; empty where nothing was judged."""
    if not preference.comparisons:
        return ""
    return f"preferred in {preference.new} of {preference.comparisons} blind comparisons"
