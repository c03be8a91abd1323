"""The chat window's own part of the style sheet, in the tokens of the theme."""

from __future__ import annotations

from dataclasses import fields

from allie_desktop.ui.theme import Theme

_SHEET = """
QWidget#chatPage, QWidget#chatMain { background: $window; }
QWidget#chatSide { background: $sidebar; }
QFrame#chatLine { background: $border; border: none; }

QAbstractScrollArea#transcript { background: transparent; border: none; }
QTextBrowser#prose, QTextBrowser#prose:focus { background: transparent; border: none; padding: 0;
    margin: 0; font-size: @prosept; color: $text; selection-background-color: $accent;
    selection-color: $on_accent; }
QPlainTextEdit#codeText, QPlainTextEdit#codeText:focus { background: transparent; border: none; padding: 0;
    font-family: "@mono"; font-size: @codept; color: $text; selection-background-color: $accent;
    selection-color: $on_accent; }
QLabel#codeLanguage { color: $text_soft; font-size: @smallpt; }
QToolButton#codeCopy { color: $text_soft; font-size: @smallpt; padding: 2px 8px; border: 1px solid transparent;
    border-radius: 6px; background: transparent; }
QToolButton#codeCopy:hover { background: $hover; color: $text; }
QToolButton#codeCopy:focus { border: 1px solid $accent; }

QToolButton#iconButton { border: 1px solid transparent; border-radius: 8px; padding: 0; background: transparent; }
QToolButton#iconButton:hover { background: $hover; }
QToolButton#iconButton:focus { border: 2px solid $accent; }
QToolButton#iconButton::menu-indicator { image: none; }
QToolButton#jumpDown { border: 1px solid $border; border-radius: 18px; background: $surface; padding: 0; }
QToolButton#jumpDown:hover { background: $hover; }
QToolButton#jumpDown:focus { border: 2px solid $accent; }

QLabel#version { color: $text_soft; font-size: @smallpt; }
QFrame#note { background: transparent; border: none; border-radius: 10px; }
QFrame#note[failed="true"] { background: $danger_soft; }
QFrame#note QLabel { color: $text_soft; font-size: @smallpt; }
QFrame#note[failed="true"] QLabel { color: $text; font-size: @bodypt; }

QFrame#editor { background: $surface; border: 1px solid $accent; border-radius: 12px; }
QPlainTextEdit#editorText, QPlainTextEdit#editorText:focus { background: transparent; border: none;
    padding: 0; font-size: @prosept; }

QFrame#composer { background: $surface; border: 1px solid $border_strong; border-radius: 18px; }
QFrame#composer[active="true"] { border: 2px solid $accent; }
QPlainTextEdit#composerText, QPlainTextEdit#composerText:focus { background: transparent; border: none;
    padding: 0; font-size: @prosept; }
QToolButton#send { background: $accent; border: 2px solid $accent; border-radius: 17px; padding: 0; }
QToolButton#send:hover { background: $accent_hover; border-color: $accent_hover; }
QToolButton#send:focus { border: 2px solid $text; }
QToolButton#send:disabled { background: $hover; border-color: $hover; }
QLabel#composerHint { color: $text_soft; font-size: @smallpt; }

QListView#conversations QScrollBar::handle:vertical, QAbstractScrollArea#transcript QScrollBar::handle:vertical {
    background: $border; }
QListView#conversations QScrollBar::handle:vertical:hover,
QAbstractScrollArea#transcript QScrollBar::handle:vertical:hover { background: $border_strong; }
QListView#conversations { background: transparent; border: none; padding: 0; border-radius: 0; }
QListView#conversations:focus { border: none; }
QPushButton#newChat { border-radius: 9px; padding: 8px 12px; text-align: left; font-weight: 600; }
QPushButton#newChat:focus { padding: 7px 11px; }

QLabel#chatTitle { font-size: @leadpt; font-weight: 600; }
QWidget#status QLabel { color: $text_soft; font-size: @smallpt; }
QWidget#status[failed="true"] { background: $danger_soft; border-radius: 10px; }
QWidget#status[failed="true"] QLabel { color: $text; font-size: @bodypt; }
QProgressBar#loading { background: transparent; border: none; border-radius: 0; min-height: 3px; max-height: 3px; }
QProgressBar#loading::chunk { background: $accent; border-radius: 0; }
QLabel#welcome { font-size: @hugept; font-weight: 600; }
QLabel#welcomeText { color: $text_soft; font-size: @prosept; }
"""

#: Sizes of text, as parts of the platform's own.
_SIZES = {"small": 0.9, "body": 1.0, "lead": 1.1, "prose": 1.1, "code": 0.98, "huge": 1.9}


def chat_sheet(theme: Theme, points: float, mono: str) -> str:
    """Return the style sheet; ``points`` is the platform's size of text, ``mono`` the family of code."""
    sheet = _SHEET.replace("@mono", mono.replace('"', ""))
    for name, factor in _SIZES.items():
        sheet = sheet.replace(f"@{name}pt", f"{points * factor:.2f}pt")
    # Longest names first: $accent is the beginning of $accent_hover.
    for name in sorted((field.name for field in fields(Theme)), key=len, reverse=True):
        sheet = sheet.replace(f"${name}", str(getattr(theme, name)))
    return sheet
