"""The report of an episode as one HTML page: no scripts, nothing loaded, light and dark.

What it says comes from :mod:`allie_desktop.services.report`; here is how it looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timezone
from html import escape

from allie_desktop.domain.planning import Example, Plan
from allie_desktop.domain.validation import AnswerSample, Check, Judgement, Verdict, WorkerReport
from allie_desktop.services.charts import Series, line_chart
from allie_desktop.services.report import (
    LONGEST_TEXT,
    MOST_LESSONS,
    ORIGIN_NAMES,
    TITLES,
    clean,
    headline,
    lessons,
    material_facts,
    measure_rows,
    number,
    samples_by_interest,
    shortened,
    training_facts,
)

_KIND_TITLES = {
    "taught": "What you taught it",
    "phrasing": "The same, in words it never trained on",
    "replay": "What it learnt earlier",
    "ordinary": "Your kind of questions",
}
_SEVERITIES = {"ok": ("✓", "passed"), "inconclusive": ("?", "not proved"), "violation": ("✗", "failed")}
_VERDICT_CLASSES = {Verdict.DEPLOY: "ok", Verdict.INCONCLUSIVE: "inconclusive", Verdict.REJECT: "violation"}

_STYLE = """
:root{color-scheme:light dark;--page:#f7f7f5;--card:#fff;--ink:#1d1f23;--soft:#5c626b;--rule:#dcdfe3;
--ok:#1a7f4b;--inconclusive:#8a6100;--violation:#b3261e;--a:#2461c4;--b:#b05a00;--c:#1a7f4b}
@media(prefers-color-scheme:dark){:root{--page:#16181c;--card:#1f2227;--ink:#e8eaed;--soft:#a3abb5;
--rule:#363b43;--ok:#5dcf95;--inconclusive:#e5b84a;--violation:#ff8a80;--a:#7db0ff;--b:#f2a65a;--c:#5dcf95}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:60rem;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2rem 0 .6rem}h3{font-size:1rem;margin:1.2rem 0 .4rem}
.lead{font-size:1.1rem;margin:.4rem 0 1rem}.soft{color:var(--soft)}
.card{background:var(--card);border:1px solid var(--rule);border-radius:.6rem;padding:1rem;margin:.6rem 0}
.verdict{border-left:.4rem solid var(--rule)}
.verdict.ok{border-left-color:var(--ok)}.verdict.inconclusive{border-left-color:var(--inconclusive)}
.verdict.violation{border-left-color:var(--violation)}
.mark{font-weight:700;white-space:nowrap}.mark.ok{color:var(--ok)}.mark.inconclusive{color:var(--inconclusive)}
.mark.violation{color:var(--violation)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;
border-bottom:1px solid var(--rule)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
dl{display:grid;grid-template-columns:8rem 1fr;gap:.3rem .8rem;margin:0}dt{color:var(--soft)}dd{margin:0}
.text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext}
@media(max-width:34rem){dl{grid-template-columns:1fr}}
figure{margin:.6rem 0}svg{width:100%;height:auto;font:12px system-ui,sans-serif;fill:var(--soft)}
polyline{fill:none;stroke-width:2}.grid{stroke:var(--rule)}
.line-a{stroke:var(--a)}.line-b{stroke:var(--b)}.line-c{stroke:var(--c)}
.dot-a,.key-a{fill:var(--a);background:var(--a)}.dot-b,.key-b{fill:var(--b);background:var(--b)}
.dot-c,.key-c{fill:var(--c);background:var(--c)}
.legend{display:flex;flex-wrap:wrap;gap:1rem;list-style:none;padding:0;margin:0;font-size:.9rem}
.key{display:inline-block;width:1.2rem;height:.25rem;margin-right:.4rem;vertical-align:middle}
summary{cursor:pointer}
@media print{details>*{display:block}body{background:#fff}}
"""


def render_html(
    report: WorkerReport, judgement: Judgement, plan: Plan | None = None, *, version: str = ""
) -> str:
    """Return the page as text, to be written as UTF-8. The same arguments give the same page."""
    title = TITLES[judgement.verdict]
    body = [
        f'<header><p class="soft">{_when(plan)}</p><h1>{escape(title)}</h1></header>',
        _verdict(report, judgement, plan, version),
        _answers(report),
        _checks(judgement.checks),
        _numbers(report),
        _material(plan) if plan is not None else "",
        _training(report),
        _footer(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{''.join(f'{part}{chr(10)}' for part in body if part)}</body>\n</html>\n"
    )


def _verdict(report: WorkerReport, judgement: Judgement, plan: Plan | None, version: str) -> str:
    kind = _VERDICT_CLASSES[judgement.verdict]
    name = f"<p>Version <b>{_text(version)}</b></p>" if version else ""
    return (
        f'<section class="card verdict {kind}"><p class="lead">{_text(headline(report, judgement, plan))}</p>'
        f"{name}{_list(judgement.reasons)}</section>"
    )


def _answers(report: WorkerReport) -> str:
    parts = []
    samples = samples_by_interest(report)
    for kind, title in _KIND_TITLES.items():
        found = [sample for sample in samples if sample.kind == kind]
        if found:
            parts.append(f"<h3>{escape(title)}</h3>{''.join(map(_sample, found))}")
    rest = [sample for sample in samples if sample.kind not in _KIND_TITLES]
    if rest:
        shown = "".join(map(_sample, rest))
        parts.append(
            f"<details><summary>{len(rest):,} test question{'' if len(rest) == 1 else 's'}</summary>{shown}</details>"
        )
    return f"<section><h2>Before and after</h2>{''.join(parts)}</section>" if parts else ""


def _sample(sample: AnswerSample) -> str:
    rows = [("Asked", sample.prompt), ("Before", sample.active), ("After", sample.candidate)]
    if sample.reference:
        rows.append(("It should be", sample.reference))
    if sample.base != sample.active:
        rows.append(("Base model", sample.base))
    shown = "".join(f"<dt>{label}</dt><dd>{_block(text)}</dd>" for label, text in rows)
    return f'<div class="card"><dl>{shown}</dl></div>'


def _checks(checks: Sequence[Check]) -> str:
    if not checks:
        return ""
    rows = []
    for check in checks:
        mark, word = _SEVERITIES.get(check.severity, ("?", "not proved"))
        kind = check.severity if check.severity in _SEVERITIES else "inconclusive"
        rows.append(f'<tr><td class="mark {kind}">{mark} {word}</td><td>{_text(check.words)}</td></tr>')
    return (
        '<section><h2>What was checked</h2><div class="scroll"><table><thead><tr><th>Result</th>'
        f"<th>In words</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _numbers(report: WorkerReport) -> str:
    rows = [
        f"<tr><td>{_text(row.name)}</td>"
        + "".join(
            f'<td class="n">{escape(number(v, row.unit))}</td>' for v in (row.base, row.before, row.after)
        )
        + f'<td class="n">{row.items:,}</td></tr>'
        for row in measure_rows(report)
    ]
    if not rows:
        return ""
    return (
        '<section><h2>Numbers</h2><p class="soft">Averages over the same items each time. Loss and KL in nats '
        "a token; less is better. Before: the version that was active.</p>"
        '<div class="scroll"><table><thead><tr><th></th><th class="n">Base model</th><th class="n">Before</th>'
        f'<th class="n">After</th><th class="n">Items</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</div></section>"
    )


def _material(plan: Plan) -> str:
    asked = lessons(plan)
    shown = "".join(map(_lesson, asked[:MOST_LESSONS]))
    if len(asked) > MOST_LESSONS:
        shown += f"<p>And {len(asked) - MOST_LESSONS:,} more, in the plan’s file.</p>"
    details = f"<details><summary>Every lesson</summary>{shown}</details>" if asked else ""
    return f"<section><h2>What it was trained on</h2>{_list(material_facts(plan))}{details}</section>"


def _lesson(example: Example) -> str:
    rows = "".join(
        f"<dt>{escape(message.role.value)}</dt><dd>{_block(message.content)}</dd>"
        for message in example.messages
    )
    origin = f"from {ORIGIN_NAMES[example.origin]}"
    if example.source:
        origin += f", {example.source}"
    return f'<div class="card"><dl>{rows}</dl><p class="soft">{_text(origin)}</p></div>'


def _training(report: WorkerReport) -> str:
    training = report.training
    loss = line_chart(
        "Loss over the steps of training",
        (
            Series(name="training", style="a", points=tuple((p.step, p.loss) for p in training.curve)),
            Series(
                name="repeated lessons",
                style="b",
                points=tuple((p.step, p.replay_loss) for p in training.curve if p.replay_loss is not None),
            ),
            Series(
                name="held-out conversations",
                style="c",
                points=tuple((p.step, p.loss) for p in training.held_out),
                dots=True,
            ),
        ),
        x_label="step",
        y_label="loss, nats/token",
    )
    drift = line_chart(
        "Distance to the base model over the steps of training",
        (
            Series(
                name="general questions while training",
                style="a",
                points=tuple((p.step, p.kl) for p in training.curve if p.kl is not None),
            ),
            Series(
                name="held-out general questions",
                style="c",
                points=tuple((p.step, p.kl) for p in training.held_out),
                dots=True,
            ),
        ),
        x_label="step",
        y_label="KL, nats/token",
    )
    return f"<section><h2>How it trained</h2>{_list(training_facts(report))}{loss}{drift}</section>"


def _footer(report: WorkerReport) -> str:
    return (
        f'<footer class="soft"><p>Episode {_text(report.episode_id)}, plan {_text(report.plan_digest[:16])}. '
        "This page was made on your computer and loads nothing.</p></footer>"
    )


def _when(plan: Plan | None) -> str:
    if plan is None:
        return "Learning episode"
    return f"Learning episode, planned {plan.created_at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _list(items: Iterable[str]) -> str:
    shown = "".join(f"<li>{_text(item)}</li>" for item in items)
    return f"<ul>{shown}</ul>" if shown else ""


def _block(text: str) -> str:
    shown = clean(shortened(text, LONGEST_TEXT)).strip()
    return (
        f'<div class="text" dir="auto">{escape(shown)}</div>'
        if shown
        else '<span class="soft">(nothing)</span>'
    )


def _text(text: str) -> str:
    return escape(clean(text))
