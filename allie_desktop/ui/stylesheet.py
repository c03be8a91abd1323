"""The style sheet of the windows. ``$name`` is a colour of the theme, ``@name`` a size of text.

Properties that widgets set to be found here: ``kind`` (what a button or label is for), ``role`` (what a
frame is), ``invalid`` (a field whose value cannot be used).
"""

from __future__ import annotations

SHEET = """
* { font-size: @body; }
QWidget { color: $text; }
QMainWindow, QDialog, QWidget[role="page"], QStackedWidget[role="pages"] { background: $window; }
QLabel { background: transparent; }
QLabel[kind="title"] { font-size: @title; font-weight: 600; }
QLabel[kind="heading"] { font-size: @heading; font-weight: 600; }
QLabel[kind="subheading"] { font-weight: 600; }
QLabel[kind="lead"] { font-size: @lead; }
QLabel[kind="soft"] { color: $text_soft; }
QLabel[kind="small"] { color: $text_soft; font-size: @small; }
QLabel[kind="overline"] { color: $text_soft; font-size: @small; font-weight: 600; }
QLabel[kind="error"] { color: $danger; font-size: @small; }
QLabel[kind="success"] { color: $success; }
QLabel[kind="warning"] { color: $warning; }
QLabel[kind="number"] { font-size: @title; font-weight: 600; }
QLabel[kind="brand"] { font-size: @heading; font-weight: 700; }
QLabel[kind="badge"] { border-radius: 8px; padding: 2px 8px; font-size: @small; font-weight: 600;
    background: $sunken; color: $text_soft; }
QLabel[kind="badge"][tone="success"] { background: $success_soft; color: $success; }
QLabel[kind="badge"][tone="warning"] { background: $warning_soft; color: $warning; }
QLabel[kind="badge"][tone="danger"] { background: $danger_soft; color: $danger; }
QLabel[kind="badge"][tone="accent"] { background: $accent_soft; color: $accent; }

QFrame[role="sidebar"] { background: $sidebar; border: none; border-right: 1px solid $border; }
QFrame[role="card"] { background: $surface; border: 1px solid $border; border-radius: 10px; }
QFrame[role="well"] { background: $sunken; border: 1px solid $border; border-radius: 8px; }
QFrame[role="accent"] { background: $accent_soft; border: 1px solid $accent_soft; border-radius: 10px; }
QFrame[role="success"] { background: $success_soft; border: 1px solid $success_soft; border-radius: 10px; }
QFrame[role="warning"] { background: $warning_soft; border: 1px solid $warning_soft; border-radius: 10px; }
QFrame[role="danger"] { background: $danger_soft; border: 1px solid $danger_soft; border-radius: 10px; }
QFrame[role="drop"] { background: $surface; border: 2px dashed $border_strong; border-radius: 12px; }
QFrame[role="drop"][over="true"] { background: $accent_soft; border-color: $accent; }
QWidget[role="ruled"] { background: transparent; border: none; border-top: 1px solid $border; }
QFrame[role="line"] { background: $border; border: none; max-height: 1px; min-height: 1px; }
QFrame[role="toast"] { background: $text; border: none; border-radius: 8px; }
QFrame[role="toast"] QLabel { color: $window; }
QFrame[role="toast"] QPushButton { color: $window; background: transparent; border: 1px solid transparent;
    font-weight: 600; text-decoration: underline; padding: 3px 8px; }
QFrame[role="toast"] QPushButton:focus { border: 1px solid $window; }

QPushButton { background: $surface; border: 1px solid $border_strong; border-radius: 6px;
    padding: 6px 14px; min-height: 18px; }
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $border; }
QPushButton:focus { border: 2px solid $accent; padding: 5px 13px; }
QPushButton:disabled { color: $text_faint; border-color: $border; background: $window; }
QPushButton::menu-indicator { image: url(allie:chevron-down-$name.svg); width: 12px; height: 12px;
    subcontrol-origin: padding; subcontrol-position: right center; right: 8px; }
QPushButton[menu="true"] { padding-right: 28px; }
QPushButton[kind="primary"] { background: $accent; color: $on_accent; border-color: $accent; font-weight: 600; }
QPushButton[kind="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[kind="primary"]:pressed { background: $accent_pressed; border-color: $accent_pressed; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; }
QPushButton[kind="primary"]:disabled { background: $hover; color: $text_faint; border-color: $hover; }
QPushButton[kind="danger"] { color: $danger; border-color: $danger; }
QPushButton[kind="danger"]:hover { background: $danger_soft; }
QPushButton[kind="danger"]:disabled { color: $text_faint; border-color: $border; }
QPushButton[kind="danger-primary"] { background: $danger; color: $on_danger; border-color: $danger;
    font-weight: 600; }
QPushButton[kind="danger-primary"]:hover { background: $danger_hover; }
QPushButton[kind="danger-primary"]:focus { border: 2px solid $text; }
QPushButton[kind="danger-primary"]:disabled { background: $hover; color: $text_faint; border-color: $hover; }
QPushButton[kind="quiet"] { background: transparent; border-color: transparent; color: $text_soft; }
QPushButton[kind="quiet"]:hover { background: $hover; color: $text; }
QPushButton[kind="quiet"]:focus { border: 2px solid $accent; }
QPushButton[kind="icon"] { background: transparent; border: 1px solid transparent; padding: 5px; min-height: 0; }
QPushButton[kind="icon"]:hover { background: $hover; }
QPushButton[kind="icon"]:focus { border: 2px solid $accent; padding: 4px; }
QPushButton[kind="link"] { background: transparent; border: 1px solid transparent; color: $accent; padding: 2px 4px;
    text-align: left; }
QPushButton[kind="link"]:hover { text-decoration: underline; }
QPushButton[kind="link"]:focus { border: 1px solid $accent; }
QPushButton[kind="link"]:disabled { color: $text_faint; }
QPushButton[kind="nav"] { background: transparent; border: 2px solid transparent; border-radius: 8px;
    padding: 8px 10px; text-align: left; }
QPushButton[kind="nav"]:hover { background: $hover; }
QPushButton[kind="nav"]:checked { background: $accent_soft; color: $accent; font-weight: 600; }
QPushButton[kind="nav"]:focus { border: 2px solid $accent; }
QPushButton[kind="tile"] { background: $surface; border: 1px solid $border; border-radius: 10px; padding: 12px;
    text-align: left; }
QPushButton[kind="tile"]:checked { border: 2px solid $accent; background: $accent_soft; }

QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 4px; }
QToolButton:hover { background: $hover; }
QToolButton:focus { border: 1px solid $accent; }
QToolButton::menu-indicator { image: none; }

QLineEdit, QPlainTextEdit, QTextEdit, QComboBox, QSpinBox, QDoubleSpinBox, QTimeEdit {
    background: $surface; border: 1px solid $border_strong; border-radius: 6px; padding: 5px 9px;
    selection-background-color: $accent; selection-color: $on_accent; }
QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox, QTimeEdit { min-height: 20px; }
QLineEdit:hover, QComboBox:hover { border-color: $text_soft; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QComboBox:focus, QSpinBox:focus,
QDoubleSpinBox:focus, QTimeEdit:focus { border: 2px solid $accent; padding: 4px 8px; }
QLineEdit[invalid="true"], QLineEdit[invalid="true"]:focus { border: 2px solid $danger; padding: 4px 8px; }
QLineEdit:disabled, QComboBox:disabled, QPlainTextEdit:disabled { color: $text_faint; background: $window;
    border-color: $border; }
QLineEdit[kind="search"] { border-radius: 15px; padding: 4px 12px; background: $surface; border-color: $border; }
QLineEdit[kind="search"]:focus { padding: 3px 11px; border: 2px solid $accent; }
QComboBox::drop-down { border: none; width: 26px; }
QComboBox::down-arrow { image: url(allie:chevron-down-$name.svg); width: 12px; height: 12px; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $border; outline: none; padding: 4px;
    selection-background-color: $accent_soft; selection-color: $text; }
QComboBox QAbstractItemView::item { min-height: 26px; padding: 2px 8px; border-radius: 4px; }

QCheckBox, QRadioButton { background: transparent; spacing: 8px; padding: 3px; border: 1px solid transparent;
    border-radius: 4px; }
QCheckBox:focus, QRadioButton:focus { border: 1px solid $accent; }
QCheckBox::indicator, QRadioButton::indicator { width: 16px; height: 16px; border: 1px solid $border_strong;
    background: $surface; }
QCheckBox::indicator { border-radius: 4px; }
QRadioButton::indicator { border-radius: 9px; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url(allie:check-$name.svg); }
QRadioButton::indicator:checked { background: $surface; border: 5px solid $accent; width: 8px; height: 8px; }
QCheckBox:disabled, QRadioButton:disabled { color: $text_faint; }
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled { border-color: $border; background: $window; }

QProgressBar { background: $border; border: none; border-radius: 3px; min-height: 6px; max-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QScrollArea { background: transparent; border: none; }
QScrollArea > QWidget > QWidget[role="scrolled"] { background: transparent; }
QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar::handle:vertical { background: $text_faint; border-radius: 4px; min-height: 32px; margin: 2px; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle:horizontal { background: $text_faint; border-radius: 4px; min-width: 32px; margin: 2px; }
QScrollBar::handle:hover { background: $text_soft; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; border: none; background: none; }
QScrollBar::add-page, QScrollBar::sub-page { background: none; }

QTableView, QListView, QTreeView { background: $surface; border: 1px solid $border; border-radius: 10px;
    outline: none; gridline-color: transparent; selection-background-color: $accent_soft;
    selection-color: $text; alternate-background-color: $surface; }
QTableView::item, QListView::item { padding: 6px 10px; border: none; }
QTableView::item:selected, QListView::item:selected { background: $accent_soft; color: $text; }
QTableView::item:hover, QListView::item:hover { background: $sunken; }
QTableView:focus { border: 1px solid $accent; }
QListView[kind="groups"] { background: transparent; border: none; }
QListView[kind="groups"]::item { padding: 8px 10px; border-radius: 7px; border: 1px solid transparent;
    color: $text; margin: 1px 0; }
QListView[kind="groups"]::item:hover { background: $hover; }
QListView[kind="groups"]::item:selected { background: $accent_soft; color: $accent; }
QListView[kind="groups"]:focus { border: none; }
QListView[kind="groups"]::item:selected:focus { border: 1px solid $accent; }
QHeaderView { background: transparent; border: none; }
QHeaderView::section { background: $surface; color: $text_soft; border: none; border-bottom: 1px solid $border;
    padding: 8px 10px; font-size: @small; font-weight: 600; }
QHeaderView::section:first { border-top-left-radius: 9px; }
QHeaderView::section:last { border-top-right-radius: 9px; }
QTableCornerButton::section { background: $surface; border: none; }

QTabBar { background: transparent; qproperty-drawBase: 0; }
QTabBar::tab { background: transparent; color: $text_soft; padding: 8px 14px; border: none;
    border-bottom: 2px solid transparent; }
QTabBar::tab:hover { color: $text; }
QTabBar::tab:selected { color: $accent; border-bottom: 2px solid $accent; font-weight: 600; }
QTabBar::tab:selected:focus { background: $accent_soft; border-top-left-radius: 6px; border-top-right-radius: 6px; }
QTabWidget::pane { border: none; }

QMenu { background: $surface; border: 1px solid $border; border-radius: 8px; padding: 5px; }
QMenu::item { padding: 6px 22px 6px 12px; border-radius: 5px; }
QMenu::item:selected { background: $accent_soft; color: $text; }
QMenu::item:disabled { color: $text_faint; }
QMenu::separator { height: 1px; background: $border; margin: 5px 8px; }
QToolTip { background: $text; color: $window; border: none; padding: 5px 8px; }
QSplitter::handle { background: $border; }
QSplitter::handle:horizontal { width: 1px; }
QStatusBar { background: $window; color: $text_soft; }
"""
