"""A place to drop files with conversations on, or to choose them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QProgressBar, QVBoxLayout, QWidget

from allie_desktop.domain.conversation import ImportSummary
from allie_desktop.domain.errors import AllieError
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.imports import import_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.pieces import Picture, button, column, frame, restyle, row, text
from allie_desktop.ui.windows.services import WindowServices


class ImportBox(QWidget):
    """Imports files one after the other in a thread, and tells what came of each. GUI thread."""

    imported = Signal(int)  # new conversations of a file

    def __init__(self, services: WindowServices) -> None:
        super().__init__()
        self._services = services
        self._background = Background(self)
        self._background.busy_changed.connect(self._on_busy)
        self.setAcceptDrops(services.import_file is not None)
        words = text(self.tr("Drop files here"), "subheading")
        formats = text(
            self.tr(
                "Exports of ChatGPT, Claude, Open WebUI, Jan and LM Studio, logs of llm, ShareGPT and JSON Lines. "
                "Archives need not be unpacked."
            ),
            "soft",
        )
        for label in (words, formats):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.choose = button(self.tr("Choose files…"), self._on_choose)
        inside = column(spacing=theme.SPACE_2)
        inside.addWidget(Picture("import", "accent", 32), 0, Qt.AlignmentFlag.AlignHCenter)
        inside.addWidget(words)
        inside.addWidget(formats)
        inside.addLayout(row(1, self.choose, 1))
        self._zone: QFrame = frame("drop", inside, margins=theme.SPACE_5)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(self.tr("Importing"))
        self._bar.hide()
        self._results = column(spacing=theme.SPACE_1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self._zone)
        layout.addWidget(self._bar)
        layout.addLayout(self._results)

    @property
    def busy(self) -> bool:
        """Whether a file is being read."""
        return self._background.busy

    def take(self, path: Path) -> None:
        """Import a file."""
        import_file = self._services.import_file
        if import_file is None:
            return
        name = path.name
        self._background.run(
            lambda: import_file(path),
            lambda summary: self._on_done(name, summary),
            lambda error: self._on_failed(name, error),
        )

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Take files, and nothing else."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            self._light_up(on=True)
            event.acceptProposedAction()

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:  # noqa: N802 - Qt's name
        """Nothing is held over the box any more."""
        self._light_up(on=False)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Import what was dropped."""
        self._light_up(on=False)
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.take(Path(url.toLocalFile()))
        event.acceptProposedAction()

    def _light_up(self, *, on: bool) -> None:
        self._zone.setProperty("over", on)
        restyle(self._zone)

    def _on_choose(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, self.tr("Import conversations"))
        for name in names:
            self.take(Path(name))

    def _on_busy(self, busy: bool) -> None:
        self._bar.setVisible(busy)

    def _on_done(self, name: str, summary: ImportSummary) -> None:
        good = summary.imported > 0 or summary.duplicates > 0
        self._add(name, import_words(summary), good=good)
        self.imported.emit(summary.imported)
        self._services.feed.conversations_changed.emit()

    def _on_failed(self, name: str, error: AllieError) -> None:
        self._add(name, str(error), good=False)

    def _add(self, name: str, sentence: str, *, good: bool) -> None:
        icon, color_name = ("done", "success") if good else ("warning", "warning")
        words = text(f"{name}: {sentence}")
        line = row(Picture(icon, color_name, 18), words, spacing=theme.SPACE_2)
        line.setStretch(1, 1)
        holder = QWidget()
        holder.setLayout(line)
        self._results.addWidget(holder)
