"""How well a sequence of tasks was learnt and kept: scores of answers, and figures over R[i][j]. No torch here.

R[i][j] is the score on task j after learning task i; rows and columns are counted from nought. Where only tasks
that were learnt already are asked about, row i has i + 1 columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

_WORD = re.compile(r"\w+")
_NO_WORD = re.compile(r"[^\w\s]|_")

Matrix = Sequence[Sequence[float]]


def normalised(text: str) -> str:
    """Return ``text`` in small letters, without punctuation and with single spaces.

    As answers are compared in Super-NaturalInstructions (Wang et al. 2022, arXiv:2204.07705).
    """
    return " ".join(_NO_WORD.sub("", text.lower()).split())


def exact_match(answer: str, reference: str) -> float:
    """Return 1.0 when both are the same but for case, punctuation and spaces, else 0.0."""
    return float(normalised(answer) == normalised(reference))


def rouge_l(answer: str, reference: str) -> float:
    """Return the F measure of the longest common subsequence of words, in [0, 1] (Lin 2004, *ROUGE*, ACL workshop
    *Text Summarization Branches Out*), with precision and recall of equal weight and without stemming."""
    said, wanted = (_WORD.findall(text.lower()) for text in (answer, reference))
    common = _longest_common(said, wanted)
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    above = [0] * (len(second) + 1)
    for one in first:
        row = [0]
        for place, other in enumerate(second):
            row.append(above[place] + 1 if one == other else max(above[place + 1], row[place]))
        above = row
    return above[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Means over the questions of one test, in [0, 1]."""

    exact: float
    rouge_l: float


def score(answers: Sequence[str], references: Sequence[str]) -> Score:
    """Return the mean scores of ``answers``; raise ValueError where they are not as many as ``references``, or
    none at all."""
    pairs = list(zip(answers, references, strict=True))
    if not pairs:
        raise ValueError("no answer to score")
    return Score(exact=fmean(exact_match(*p) for p in pairs), rouge_l=fmean(rouge_l(*p) for p in pairs))


def commonest_score(train_answers: Sequence[str], references: Sequence[str]) -> float:
    """Return the exact match of whoever always gives the commonest training answer."""
    ((commonest, _),) = Counter(map(normalised, train_answers)).most_common(1)
    return fmean(exact_match(commonest, reference) for reference in references)


def average_accuracy(matrix: Matrix) -> float:
    """Return the mean over all tasks of the score after the last one: ACC of Lopez-Paz & Ranzato 2017, *Gradient
    Episodic Memory for Continual Learning*, arXiv:1706.08840, equation 2."""
    return fmean(matrix[-1])


def backward_transfer(matrix: Matrix) -> float | None:
    """Return the mean over all tasks but the last of R[T][j] - R[j][j]: what later tasks did to earlier ones, as
    in Lopez-Paz & Ranzato 2017, arXiv:1706.08840, equation 3. Negative where something was forgotten; None for a
    single task."""
    old = range(len(matrix) - 1)
    return fmean(matrix[-1][j] - matrix[j][j] for j in old) if old else None


def forgetting(matrix: Matrix) -> float | None:
    """Return the mean over all tasks but the last of how far its score is below the best that it ever was before:
    max over l < T of R[l][j], less R[T][j], as in Chaudhry et al. 2018, *Riemannian Walk for Incremental
    Learning*, arXiv:1801.10112, §4. None for a single task.

    As there, the best may have been before the task itself was learnt, where that was measured.
    """
    before = matrix[:-1]
    if not before:
        return None
    last = matrix[-1]
    return fmean(max(row[j] for row in before if j < len(row)) - last[j] for j in range(len(before)))


def matrix_table(
    *matrices: Matrix, names: Sequence[str], rows: Sequence[str] = (), corner: str = "after"
) -> str:
    """Return R as a Markdown table in per cent: a row for what was learnt last (named in ``rows`` where that is
    something else than what is asked), a column for what is asked. Of several matrices of one shape each cell
    shows all values."""
    columns = max(len(row) for row in matrices[0])
    lines = [f"| {corner} | {' | '.join(names[:columns])} |", "|---" * (columns + 1) + "|"]
    for name, *several in zip(rows or names, *matrices, strict=False):
        shown = [" / ".join(f"{value:.0%}" for value in values) for values in zip(*several, strict=True)]
        cells = shown + [""] * (columns - len(shown))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_matrix(matrices: Sequence[Matrix]) -> list[list[float]]:
    """Return the mean, cell by cell, of matrices of one shape."""
    return [[fmean(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]
