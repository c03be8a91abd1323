"""Charts painted by Allie itself: lines over the steps of training, and bars before and after.

A chart is a picture, so each one has a name and its numbers in a sentence for those who cannot see it
(the accessible description, which is also its tooltip).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from allie_desktop.ui import theme
from allie_desktop.ui.theme import Theme

Points = Sequence[tuple[float, float]]
Place = Callable[[float, float], QPointF]

_MARGIN = 8.0
_LEGEND_GAP = 18.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. ``color_name`` names its colour in the theme; ``dots`` marks single measurements."""

    name: str
    points: tuple[tuple[float, float], ...]
    color_name: str = "chart_1"
    dots: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A measure before and after. ``better`` is None where neither is."""

    name: str
    before: float
    after: float
    before_words: str
    after_words: str
    better: bool | None = None


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from at most ``low`` to at least ``high``."""
    if not high - low > 1e-9:
        high = low + 1.0
    raw = (high - low) / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def smoothed(points: Points, window: int) -> tuple[tuple[float, float], ...]:
    """Return the running mean over ``window`` points; fewer at both ends."""
    if window < 2 or len(points) < 3:
        return tuple(points)
    half = window // 2
    means = []
    for index, (x, _) in enumerate(points):
        near = points[max(0, index - half) : index + half + 1]
        means.append((x, math.fsum(y for _, y in near) / len(near)))
    return tuple(means)


class _Chart(QWidget):
    """What charts share: they repaint with the theme, and take the keyboard's focus to be read aloud."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Repaint in the new colours."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self.updateGeometry()
            self.update()
        super().changeEvent(event)

    def _describe(self, sentence: str) -> None:
        self.setAccessibleDescription(sentence)
        self.setToolTip(sentence)

    def _draw_focus(self, painter: QPainter, colors: Theme) -> None:
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)


class LineChart(_Chart):
    """Lines with axes, a legend, and the values under the mouse."""

    def __init__(
        self,
        name: str,
        *,
        x_label: str,
        y_label: str,
        empty: str,
        height: int = 220,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(name, parent)
        self._x_label, self._y_label, self._empty = x_label, y_label, empty
        self._height = height
        self._lines: tuple[Line, ...] = ()
        self._reached_x = 0.0
        self._mouse_x: float | None = None
        self.setMouseTracking(True)
        self.set_lines(())

    def set_lines(self, lines: Sequence[Line], *, reaches: float = 0.0) -> None:
        """Show these lines; ``reaches`` is where the x axis ends at least (the steps still to come)."""
        clean = []
        for line in lines:
            points = tuple(
                (x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y) and abs(y) < 1e6
            )
            if points:
                clean.append(
                    Line(
                        name=line.name,
                        points=points,
                        color_name=line.color_name,
                        dots=line.dots,
                        dashed=line.dashed,
                    )
                )
        self._lines = tuple(clean)
        self._reached_x = reaches
        self._describe(self._sentence())
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size that suits a card."""
        return QSize(480, self._height)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the smallest size at which it can be read."""
        return QSize(220, self._height)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Show the values at this place."""
        self._mouse_x = event.position().x()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Show no values any more."""
        self._mouse_x = None
        self.update()
        super().leaveEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the chart."""
        colors = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.85)
        painter.setFont(font)
        if not self._lines:
            painter.setPen(colors.color("text_soft"))
            painter.drawText(
                self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._empty
            )
            self._draw_focus(painter, colors)
            return
        metrics = QFontMetricsF(font)
        xs = [x for line in self._lines for x, _ in line.points]
        ys = [y for line in self._lines for _, y in line.points]
        x_ticks = ticks(min(0.0, *xs), max(self._reached_x, *xs), 6)
        y_ticks = ticks(min(0.0, *ys), max(ys), 4)
        right = max(x_ticks[0] + 1e-9, self._reached_x, *xs)
        left_margin = max(metrics.horizontalAdvance(f"{tick:g}") for tick in y_ticks) + 12
        legend_height = metrics.height() + 12
        plot = QRectF(
            left_margin,
            legend_height + metrics.height() + 2,
            self.width() - left_margin - _MARGIN - 8,
            self.height() - legend_height - 3 * metrics.height() - 10,
        )

        def place(x: float, y: float) -> QPointF:
            across = (x - x_ticks[0]) / (right - x_ticks[0])
            up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
            return QPointF(plot.left() + across * plot.width(), plot.bottom() - up * plot.height())

        self._draw_legend(painter, metrics, colors, left_margin)
        painter.setPen(colors.color("text_soft"))
        painter.drawText(QPointF(left_margin, legend_height + metrics.ascent() - 4), self._y_label)
        self._draw_axes(painter, metrics, colors, plot, place, x_ticks, y_ticks, right)
        for line in self._lines:
            self._draw_line(painter, colors, line, place)
        self._draw_reading(painter, metrics, colors, plot, place)
        self._draw_focus(painter, colors)

    def _draw_legend(self, painter: QPainter, metrics: QFontMetricsF, colors: Theme, left: float) -> None:
        x = left
        middle = metrics.height() / 2 + 2
        for line in self._lines:
            painter.setPen(_pen(colors, line, 2.5))
            if line.dots:
                painter.setBrush(colors.color(line.color_name))
                painter.drawEllipse(QPointF(x + 8, middle), 3, 3)
                painter.setBrush(Qt.BrushStyle.NoBrush)
            else:
                painter.drawLine(QPointF(x, middle), QPointF(x + 16, middle))
            painter.setPen(colors.color("text"))
            painter.drawText(QPointF(x + 22, metrics.ascent() + 2), line.name)
            x += 22 + metrics.horizontalAdvance(line.name) + _LEGEND_GAP

    def _draw_axes(
        self,
        painter: QPainter,
        metrics: QFontMetricsF,
        colors: Theme,
        plot: QRectF,
        place: Place,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        right: float,
    ) -> None:
        for tick in y_ticks:
            y = place(x_ticks[0], tick).y()
            painter.setPen(QPen(colors.color("border"), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(colors.color("text_soft"))
            words = f"{tick:g}"
            painter.drawText(
                QPointF(plot.left() - 7 - metrics.horizontalAdvance(words), y + metrics.ascent() / 2 - 1),
                words,
            )
        for tick in x_ticks:
            if tick > right * 1.0001:
                continue
            words = f"{tick:,g}"
            x = place(tick, y_ticks[0]).x() - metrics.horizontalAdvance(words) / 2
            x = min(x, self.width() - metrics.horizontalAdvance(words) - 2)
            painter.drawText(QPointF(x, plot.bottom() + metrics.height() + 2), words)
        words = self._x_label
        painter.drawText(
            QPointF(
                plot.center().x() - metrics.horizontalAdvance(words) / 2,
                plot.bottom() + 2 * metrics.height() + 2,
            ),
            words,
        )

    @staticmethod
    def _draw_line(painter: QPainter, colors: Theme, line: Line, place: Place) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(_pen(colors, line, 2))
        path = QPainterPath(place(*line.points[0]))
        for point in line.points[1:]:
            path.lineTo(place(*point))
        painter.drawPath(path)
        if line.dots or len(line.points) == 1:
            painter.setBrush(colors.color(line.color_name))
            painter.setPen(QPen(colors.color("surface"), 1.5))
            for point in line.points:
                painter.drawEllipse(place(*point), 4, 4)

    def _draw_reading(
        self, painter: QPainter, metrics: QFontMetricsF, colors: Theme, plot: QRectF, place: Place
    ) -> None:
        mouse_x = self._mouse_x
        if mouse_x is None or not plot.left() <= mouse_x <= plot.right():
            return
        near = [min(line.points, key=lambda p: abs(place(*p).x() - mouse_x)) for line in self._lines]
        step = min(near, key=lambda p: abs(place(*p).x() - mouse_x))[0]
        x = place(step, 0).x()
        painter.setPen(QPen(colors.color("border_strong"), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
        rows = [f"{self._x_label} {step:,g}"]
        rows += [f"{line.name}: {y:.3f}" for line, (_, y) in zip(self._lines, near, strict=True)]
        width = max(metrics.horizontalAdvance(row) for row in rows) + 20
        box = QRectF(x + 10, plot.top() + 6, width, len(rows) * metrics.height() + 12)
        if box.right() > plot.right():
            box.moveRight(x - 10)
        painter.setPen(QPen(colors.color("border_strong"), 1))
        painter.setBrush(colors.color("surface"))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(colors.color("text"))
        for index, row in enumerate(rows):
            painter.drawText(
                QPointF(box.left() + 10, box.top() + 6 + index * metrics.height() + metrics.ascent()), row
            )

    def _sentence(self) -> str:
        if not self._lines:
            return self._empty
        parts = []
        for line in self._lines:
            first, last = line.points[0], line.points[-1]
            lowest = min(y for _, y in line.points)
            parts.append(
                self.tr("{name}: from {first} to {last}, lowest {lowest}").format(
                    name=line.name, first=f"{first[1]:.3f}", last=f"{last[1]:.3f}", lowest=f"{lowest:.3f}"
                )
            )
        steps = max(x for line in self._lines for x, _ in line.points)
        return (
            "; ".join(parts)
            + ". "
            + self.tr("{label}: {steps}.").format(label=self._x_label, steps=f"{steps:,g}")
        )


class BeforeAfterChart(_Chart):
    """Two bars a measure, one over the other: before and after."""

    def __init__(self, name: str, *, empty: str, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self._empty = empty
        self._bars: tuple[Bar, ...] = ()
        self.set_bars(())

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show these measures, each on a scale of its own."""
        self._bars = tuple(bar for bar in bars if math.isfinite(bar.before) and math.isfinite(bar.after))
        self._describe(self._sentence())
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a height for all bars."""
        return QSize(480, max(64, round(len(self._bars) * self._row_height() + self._legend_height())))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the smallest size at which it can be read."""
        return QSize(260, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the chart."""
        colors = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._bars:
            painter.setPen(colors.color("text_soft"))
            painter.drawText(
                self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._empty
            )
            self._draw_focus(painter, colors)
            return
        metrics = QFontMetricsF(self.font())
        self._draw_legend(painter, metrics, colors)
        value_width = max(
            metrics.horizontalAdvance(words)
            for bar in self._bars
            for words in (bar.before_words, bar.after_words)
        )
        longest = max(60.0, self.width() - value_width - 20)
        top = self._legend_height()
        thick = 9.0
        for bar in self._bars:
            painter.setPen(colors.color("text"))
            name = metrics.elidedText(bar.name, Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(QPointF(0, top + metrics.ascent()), name)
            scale = longest / max(abs(bar.before), abs(bar.after), 1e-9)
            y = top + metrics.height() + 5
            tone = {True: "success", False: "danger", None: "chart_1"}[bar.better]
            for value, words, color_name in (
                (bar.before, bar.before_words, "chart_muted"),
                (bar.after, bar.after_words, tone),
            ):
                width = max(3.0, abs(value) * scale)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(colors.color(color_name))
                painter.drawRoundedRect(QRectF(0, y + (metrics.height() - thick) / 2, width, thick), 3, 3)
                painter.setPen(colors.color("text" if color_name != "chart_muted" else "text_soft"))
                painter.drawText(QPointF(width + 8, y + metrics.ascent()), words)
                y += metrics.height()
            top += self._row_height()
        self._draw_focus(painter, colors)

    def _draw_legend(self, painter: QPainter, metrics: QFontMetricsF, colors: Theme) -> None:
        x = 0.0
        found = {bar.better for bar in self._bars}
        keys = [(self.tr("before"), "chart_muted")]
        if None in found:
            keys.append((self.tr("after"), "chart_1"))
        if True in found:
            keys.append((self.tr("after, proved better"), "success"))
        if False in found:
            keys.append((self.tr("after, worse"), "danger"))
        for words, color_name in keys:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.color(color_name)))
            painter.drawRoundedRect(QRectF(x, metrics.height() / 2 - 4, 16, 9), 3, 3)
            painter.setPen(colors.color("text_soft"))
            painter.drawText(QPointF(x + 22, metrics.ascent()), words)
            x += 22 + metrics.horizontalAdvance(words) + _LEGEND_GAP

    def _legend_height(self) -> float:
        return QFontMetricsF(self.font()).height() + 14

    def _row_height(self) -> float:
        return 3 * QFontMetricsF(self.font()).height() + 20

    def _sentence(self) -> str:
        if not self._bars:
            return self._empty
        return "; ".join(
            self.tr("{name}: {before} before, {after} after").format(
                name=bar.name, before=bar.before_words, after=bar.after_words
            )
            for bar in self._bars
        )


def _pen(colors: Theme, line: Line, width: float) -> QPen:
    pen = QPen(colors.color(line.color_name), width)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    if line.dashed:
        pen.setStyle(Qt.PenStyle.DashLine)
    return pen
