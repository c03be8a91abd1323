"""Icons: drawn from SVG files at whatever size and in whatever colour is asked for.

The files carry two stand-in colours, one for the ink and one for what lies under it, so that one file serves
light and dark windows and panels.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from PySide6.QtCore import QByteArray, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from PySide6.QtSvg import QSvgRenderer

from allie_desktop.paths import resource

_INK = b"#111111"
_GROUND = b"#eeeeee"

#: Sizes that panels ask for, in pixels, from a small panel to a large one at 200 %.
_TRAY_SIZES = (16, 22, 24, 32, 44, 48, 64)

#: A panel's own colour cannot be asked for: white ink with a dark rim reads on dark panels, the reverse on
#: light ones, and the rim keeps either readable on the other.
_DARK_PANEL = (b"#ffffff", b"#23262e")
_LIGHT_PANEL = (b"#2b2e39", b"#ffffff")

_RING_ON_DARK, _RING_ON_LIGHT = QColor("#a3a6ff"), QColor("#4a4fc4")


class TrayState(str, Enum):
    """What the icon in the tray says."""

    IDLE = "idle"  # all is learnt, nothing to do
    WAITING = "waiting"  # there is something to learn, and a hold
    LEARNING = "learning"
    PAUSED = "paused"
    ATTENTION = "attention"


def app_icon() -> QIcon:
    """Return the icon of the program's windows."""
    icon = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        icon.addPixmap(_rendered("allie", (), size, 1.0))
    return icon


def tray_icon(state: TrayState, progress: float = 0.0, *, dark_panel: bool = True) -> QIcon:
    """Return the icon of a state. ``progress`` in [0, 1] is the ring of LEARNING; others ignore it."""
    # A ring has 48 steps: finer ones nobody sees, and each would be sent to the panel.
    steps = round(48 * min(1.0, max(0.0, progress))) if state is TrayState.LEARNING else 0
    return _tray_icon(state, steps, dark_panel=dark_panel)


@lru_cache(maxsize=128)
def icon(name: str, color: str, size: int = 20) -> QIcon:
    """Return a line icon of a page or button in one colour (``#rrggbb``), sharp up to 300 %."""
    made = QIcon()
    for ratio in (1.0, 1.25, 1.5, 2.0, 3.0):
        made.addPixmap(_rendered(name, ((_INK, color.encode()),), size, ratio))
    return made


@lru_cache(maxsize=256)
def pixmap(name: str, color: str, size: int, ratio: float) -> QPixmap:
    """Return one line icon as a picture for a screen of this device pixel ratio."""
    return _rendered(name, ((_INK, color.encode()),), size, ratio)


@lru_cache(maxsize=160)
def _tray_icon(state: TrayState, steps: int, *, dark_panel: bool) -> QIcon:
    ink, rim = _DARK_PANEL if dark_panel else _LIGHT_PANEL
    colors = ((_INK, ink), (_GROUND, rim))
    made = QIcon()
    for size in _TRAY_SIZES:
        picture = _rendered(f"tray-{state.value}", colors, size, 1.0)
        if state is TrayState.LEARNING:
            _draw_ring(picture, steps / 48, dark_panel=dark_panel)
        made.addPixmap(picture)
    return made


def _draw_ring(picture: QPixmap, share: float, *, dark_panel: bool) -> None:
    size = picture.width()
    width = max(2.0, size * 0.12)
    around = QRectF(0, 0, size, size).adjusted(
        width / 2 + 0.5, width / 2 + 0.5, -width / 2 - 0.5, -width / 2 - 0.5
    )
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    rim = QColor("#23262e" if dark_panel else "#ffffff")
    track = QColor("#ffffff" if dark_panel else "#2b2e39")
    track.setAlpha(90)
    for color, pen_width in ((rim, width + 1), (track, width)):
        painter.setPen(QPen(color, pen_width))
        painter.drawEllipse(around)
    pen = QPen(_RING_ON_DARK if dark_panel else _RING_ON_LIGHT, width)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(pen)
    if share >= 1.0:
        painter.drawEllipse(around)
    elif share > 0.0:
        # Qt counts sixteenths of a degree, from three o'clock against the clock.
        painter.drawArc(around, 90 * 16, -round(share * 360 * 16))
    else:
        painter.drawPoint(QPointF(around.center().x(), around.top()))
    painter.end()


def _rendered(name: str, colors: tuple[tuple[bytes, bytes], ...], size: int, ratio: float) -> QPixmap:
    source = _source(name)
    for stand_in, color in colors:
        source = source.replace(stand_in, color)
    picture = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(QByteArray(source)).render(painter, QRectF(picture.rect()))
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


@lru_cache(maxsize=64)
def _source(name: str) -> bytes:
    return resource(f"icons/{name}.svg").read_bytes()
