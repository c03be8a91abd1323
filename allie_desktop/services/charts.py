"""Line charts as inline SVG: no scripts, no fonts of their own, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 40
_MOST_POINTS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line. ``style`` names its CSS class (``line-<style>``); ``points`` are (x, y), x not falling.

    Points that are not finite are left out.
    """

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    dots: bool = False


def line_chart(title: str, series: Sequence[Series], *, x_label: str, y_label: str) -> str:
    """Return an ``<svg>`` with a legend; empty where there is nothing to draw. Same input, same text."""
    drawn = [(line, _thinned(tuple(_finite(line.points)))) for line in series]
    drawn = [(line, points) for line, points in drawn if points]
    if not drawn:
        return ""
    xs = [x for _, points in drawn for x, _ in points]
    ys = [y for _, points in drawn for _, y in points]
    x_ticks, y_ticks = _ticks(min(xs), max(xs)), _ticks(min(0.0, *ys), max(ys))

    def across(x: float) -> str:
        return f"{_LEFT + (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (_WIDTH - _LEFT - _RIGHT):.1f}"

    def down(y: float) -> str:
        share = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return f"{_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM):.1f}"

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for tick in y_ticks:
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(tick)}" y2="{down(tick)}"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{down(tick)}" dy="4" text-anchor="end">{tick:g}</text>')
    parts += [
        f'<text x="{across(tick)}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in x_ticks
    ]
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{middle_x:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="rotate(-90)" x="-{middle_y:.0f}" y="14" text-anchor="middle">{escape(y_label)}</text>'
    )
    for line, points in drawn:
        path = " ".join(f"{across(x)},{down(y)}" for x, y in points)
        parts.append(f'<polyline class="line-{line.style}" points="{path}"/>')
        if line.dots or len(points) == 1:
            parts += [
                f'<circle class="dot-{line.style}" cx="{across(x)}" cy="{down(y)}" r="3"/>' for x, y in points
            ]
    parts.append("</svg>")
    legend = "".join(
        f'<li><span class="key key-{line.style}"></span>{escape(line.name)}</li>' for line, _ in drawn
    )
    return f'<figure>{"".join(parts)}<figcaption><ul class="legend">{legend}</ul></figcaption></figure>'


def _finite(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    # A diverged run would squeeze all the others into the axis.
    return ((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y) and abs(y) < 1e6)


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return at most :data:`_MOST_POINTS`: means of neighbours, so that no spike is drawn as the rule."""
    stride = -(-len(points) // _MOST_POINTS)
    if stride <= 1:
        return tuple(points)
    buckets = [points[start : start + stride] for start in range(0, len(points), stride)]
    return tuple((bucket[-1][0], math.fsum(y for _, y in bucket) / len(bucket)) for bucket in buckets)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from at most ``low`` to at least ``high``, four to eight of them."""
    if high - low < 1e-9:
        high = low + 1
    raw = (high - low) / 5
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]
