"""Conversations kept as trees: every regeneration and edit is a branch, and one leaf is the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Node = Mapping[str, object]


def chosen_branch(
    nodes: Mapping[str, object],
    leaf: object,
    *,
    parent_of: Callable[[Node], object],
    newest: Callable[[], object],
) -> list[Node]:
    """Return the nodes from the root to ``leaf``, which names the chosen one.

    ``newest`` names the leaf to take when there is no such node. What is not a node ends the way up, and
    so does a node that was met before, so that damaged trees end too.
    """
    if not (isinstance(leaf, str) and isinstance(nodes.get(leaf), dict)):
        leaf = newest()
    branch: list[Node] = []
    met: set[str] = set()
    while isinstance(leaf, str) and leaf not in met:
        met.add(leaf)
        node = nodes.get(leaf)
        if not isinstance(node, dict):
            break
        branch.append(node)
        leaf = parent_of(node)
    branch.reverse()
    return branch
