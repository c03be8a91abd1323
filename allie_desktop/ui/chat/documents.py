"""Markdown as Qt documents: styled by the theme, and harmless whatever stands in it.

HTML is shown as text, images become their description, and a document never loads anything.
"""

from __future__ import annotations

import re
from functools import lru_cache

from PySide6.QtCore import QUrl
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextLength,
    QTextTable,
)

from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.theme import Theme

_FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML

_LINE_HEIGHT_PERCENT = 138.0
_HEADING_FACTORS = {1: 1.45, 2: 1.28, 3: 1.14, 4: 1.05, 5: 1.0, 6: 1.0}
_DEEPEST_INDENT = 8

#: Overrides of the writing direction and other characters that nobody sees would let an address or an
#: answer look like another one.
_DECEPTIVE = re.compile("[\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


#: Lists and quotations within each other beyond all reading: laying them out takes long, so they stay text.
_TOO_DEEP = re.compile(r"^(?:[ \t]*(?:[-*+>]|\d{1,9}[.)])){30}", re.MULTILINE)


class SafeDocument(QTextDocument):
    """A document that cannot load anything, neither from the network nor from the disk."""

    def loadResource(self, kind: int, name: QUrl | str) -> object:  # noqa: N802 - Qt's name
        """Return nothing, whatever is asked for."""
        del kind, name
        return None


def visible(text: str) -> str:
    """Return the text with characters that deceive made visible."""
    return _DECEPTIVE.sub("\ufffd", text)


@lru_cache(maxsize=1)
def monospace_family() -> str:
    """Return the family that code is set in."""
    families = set(QFontDatabase.families())
    wanted = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono")
    fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
    return next((family for family in wanted if family in families), fixed)


def monospace(points: float) -> QFont:
    """Return the font for code."""
    font = QFont(monospace_family())
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPointSizeF(points)
    return font


def fill_plain(document: QTextDocument, text: str) -> None:
    """Show text as it is, in its own lines."""
    document.setPlainText(visible(text))
    _space_lines(document)


def fill_markdown(document: QTextDocument, text: str, theme: Theme, points: float) -> None:
    """Show Markdown. ``points`` is the size of body text."""
    document.setIndentWidth(points * 2.6)
    if _TOO_DEEP.search(text):
        fill_plain(document, text)
        return
    # The newline keeps a rule at the beginning from being taken for the opening of hidden front matter.
    document.setMarkdown("\n" + visible(text), _FEATURES)
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    if "![" in text:
        _describe_images(document, cursor, theme)
    tables = [frame for frame in document.rootFrame().childFrames() if isinstance(frame, QTextTable)]
    for table in tables:
        first = table.cellAt(0, 0)
        inside = first.firstCursorPosition()
        if inside.atBlockEnd() and inside.position() < first.lastPosition():
            inside.deleteChar()  # the end of a quotation before the table lands in its first cell
    block = document.begin()
    while block.isValid():
        _style_block(block, cursor, theme, points)
        block = block.next()
    for table in tables:
        _style_table(table, theme)
    cursor.endEditBlock()


def _space_lines(document: QTextDocument) -> None:
    cursor = QTextCursor(document)
    cursor.select(QTextCursor.SelectionType.Document)
    spaced = QTextBlockFormat()
    spaced.setLineHeight(_LINE_HEIGHT_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    cursor.mergeBlockFormat(spaced)


def _describe_images(document: QTextDocument, cursor: QTextCursor, theme: Theme) -> None:
    """Put words where pictures would be."""
    found: list[tuple[int, int, str]] = []
    block = document.begin()
    while block.isValid():
        part = block.begin()
        while not part.atEnd():
            fragment = part.fragment()
            form = fragment.charFormat()
            if form.isImageFormat():
                name = str(form.property(QTextFormat.Property.ImageAltText) or form.toImageFormat().name())
                found.append((fragment.position(), fragment.length(), name))
            part += 1
        block = block.next()
    plain = QTextCharFormat()
    plain.setForeground(QColor(theme.text_soft))
    plain.setFontItalic(True)
    for position, length, name in reversed(found):
        cursor.setPosition(position)
        cursor.setPosition(position + length, QTextCursor.MoveMode.KeepAnchor)
        words = translate("Chat", "[picture, not loaded: {name}]").format(name=name[:200])
        cursor.insertText(words, plain)


def _style_block(block: QTextBlock, cursor: QTextCursor, theme: Theme, points: float) -> None:
    old = block.blockFormat()
    form = QTextBlockFormat()
    level = old.headingLevel()
    quoted = old.hasProperty(QTextFormat.Property.BlockQuoteLevel)
    root = cursor.document().rootFrame()
    in_table = root != _frame_at(block, cursor)
    if not old.hasProperty(QTextFormat.Property.BlockTrailingHorizontalRulerWidth):
        form.setLineHeight(_LINE_HEIGHT_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    if level:
        form.setTopMargin(points * 1.1)
        form.setBottomMargin(points * 0.45)
    elif in_table:
        form.setTopMargin(0)
        form.setBottomMargin(0)
    else:
        tight = block.textList() is not None
        form.setTopMargin(points * (0.12 if tight else 0.42))
        form.setBottomMargin(points * (0.12 if tight else 0.42))
    if quoted:
        form.setLeftMargin(points * 1.6)
    if old.hasProperty(QTextFormat.Property.BlockCodeLanguage) or old.hasProperty(
        QTextFormat.Property.BlockCodeFence
    ):
        form.setBackground(QColor(theme.sunken))
    if block.textList() is not None and block.textList().format().indent() > _DEEPEST_INDENT:
        shallow = block.textList().format()
        shallow.setIndent(_DEEPEST_INDENT)
        block.textList().setFormat(shallow)
    if not in_table and not block.text() and _frame_at(block.previous(), cursor) != root:
        # Qt wants a paragraph behind a table; nobody else does.
        form.setLineHeight(1, QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        form.setTopMargin(0)
        form.setBottomMargin(0)
    if not block.previous().isValid():
        form.setTopMargin(0)
    if not block.next().isValid():
        form.setBottomMargin(0)
    cursor.setPosition(block.position())
    cursor.mergeBlockFormat(form)
    for position, length, chars in _char_formats(block, theme, points, level=level, quoted=quoted):
        cursor.setPosition(position)
        cursor.setPosition(position + length, QTextCursor.MoveMode.KeepAnchor)
        cursor.setCharFormat(chars)


def _frame_at(block: QTextBlock, cursor: QTextCursor) -> object:
    cursor.setPosition(block.position())
    return cursor.currentFrame()


def _char_formats(
    block: QTextBlock, theme: Theme, points: float, *, level: int, quoted: bool
) -> list[tuple[int, int, QTextCharFormat]]:
    changes: list[tuple[int, int, QTextCharFormat]] = []
    part = block.begin()
    while not part.atEnd():
        fragment = part.fragment()
        old = fragment.charFormat()
        form = QTextCharFormat(old)
        if level:
            form.clearProperty(QTextFormat.Property.FontSizeAdjustment)  # it would win over the size
            form.setFontPointSize(points * _HEADING_FACTORS.get(level, 1.0))
            form.setFontWeight(QFont.Weight.DemiBold)
        if quoted:
            form.setForeground(QColor(theme.text_soft))
        if old.fontFixedPitch():
            form.setFontFamilies([monospace_family()])
            form.setFontPointSize(points * 0.92 * (_HEADING_FACTORS.get(level, 1.0) if level else 1.0))
            form.setBackground(QColor(theme.hover))
        if old.isAnchor():
            form.setForeground(QColor(theme.accent))
            form.setFontUnderline(True)
        if form != old:
            changes.append((fragment.position(), fragment.length(), form))
        part += 1
    return changes


def _style_table(table: QTextTable, theme: Theme) -> None:
    form = table.format()
    form.setBorder(1)
    form.setBorderCollapse(True)
    form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    form.setBorderBrush(QColor(theme.border))
    form.setCellPadding(7)
    form.setCellSpacing(0)
    form.setTopMargin(6)
    form.setBottomMargin(6)
    if table.columns() > 4:
        form.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
    table.setFormat(form)
    bold = QTextCharFormat()
    bold.setFontWeight(QFont.Weight.DemiBold)
    for column in range(table.columns()):
        cell = table.cellAt(0, column)
        cursor = cell.firstCursorPosition()
        cursor.setPosition(cell.lastPosition(), QTextCursor.MoveMode.KeepAnchor)
        cursor.mergeCharFormat(bold)
