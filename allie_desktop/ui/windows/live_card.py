"""The running episode: what it does, how far it is, and its loss as it falls."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QProgressBar, QVBoxLayout, QWidget

from allie_desktop.ui import theme
from allie_desktop.ui.charts import Line, LineChart, smoothed
from allie_desktop.ui.presenters.live import LiveView
from allie_desktop.ui.presenters.words import percent_words
from allie_desktop.ui.windows.confirm import confirmed
from allie_desktop.ui.windows.feed import LearningFeed
from allie_desktop.ui.windows.pieces import Picture, button, row, text
from allie_desktop.ui.windows.services import WindowServices


class LiveCard(QFrame):
    """Is visible while an episode runs. GUI thread."""

    def __init__(self, services: WindowServices, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.setAccessibleName(self.tr("Running episode"))
        self._services = services
        self._title = text("", "heading", wrap=False)
        self._detail = text("", "soft", wrap=False)
        self._left = text("", "soft", wrap=False)
        self._share = text("", "subheading", wrap=False)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.setAccessibleName(self.tr("Progress of the episode"))
        self.chart = LineChart(
            self.tr("Loss while training"),
            x_label=self.tr("step"),
            y_label=self.tr("loss, nats/token (less is better)"),
            empty=self.tr("The curve begins with training."),
            height=190,
        )
        stop = button(
            self.tr("Stop…"),
            self._on_stop,
            "quiet",
            tip=self.tr("Give this episode up; what was learnt so far is not used"),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_2)
        layout.addLayout(row(Picture("spark", "accent", 22), self._title, 1, self._share, stop))
        layout.addWidget(self._bar)
        layout.addLayout(row(self._detail, 1, self._left))
        layout.addWidget(self.chart)
        feed: LearningFeed = services.feed
        feed.live_changed.connect(self.show_live)
        self.show_live(feed.live)

    def show_live(self, view: LiveView | None) -> None:
        """Show where it stands, or nothing."""
        self.setVisible(view is not None)
        if view is None:
            return
        self._title.setText(view.title)
        self._detail.setText(view.detail)
        self._left.setText(view.left)
        self._share.setText(percent_words(view.share))
        self._bar.setValue(round(1000 * view.share))
        if not self.isVisible():
            return
        self.chart.setVisible(bool(view.training or view.held_out))
        self.chart.set_lines(
            (
                Line(name=self.tr("each step"), points=view.training, color_name="chart_muted"),
                Line(name=self.tr("average"), points=smoothed(view.training, 9), color_name="chart_1"),
                Line(name=self.tr("never trained on"), points=view.held_out, color_name="chart_3", dots=True),
            ),
            reaches=float(view.planned_steps),
        )

    def _on_stop(self) -> None:
        if confirmed(
            self,
            title=self.tr("Stop this episode?"),
            sentence=self.tr(
                "What it has learnt so far is not used. The conversations stay new, and a later episode learns "
                "from them. To only have the computer for yourself there is no need to stop: Allie gives way "
                "at once when you use it."
            ),
            action=self.tr("Stop the episode"),
            keep=self.tr("Let it go on"),
        ):
            self._services.stop_episode()
