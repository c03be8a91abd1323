from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from xml.etree import ElementTree as ET

import pytest
from PySide6.QtCore import QCoreApplication, QTranslator

import allie_desktop.ui
from allie_desktop.ui.windows.confirm import Confirmation

UI = Path(allie_desktop.ui.__file__).parent


def tool(name: str) -> str:
    # Beside the interpreter, which need not be on the path.
    found = which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.process
def test_what_the_windows_say_can_be_extracted_translated_and_shown(qtbot, qapp, tmp_path):
    sources = [
        str(UI / "windows" / "confirm.py"),
        str(UI / "windows" / "sidebar.py"),
        str(UI / "presenters" / "live.py"),
    ]
    words = tmp_path / "de.ts"
    subprocess.run(
        [tool("pyside6-lupdate"), *sources, "-ts", str(words)], check=True, capture_output=True, timeout=60
    )
    tree = ET.parse(words)
    found = {
        (context.findtext("name"), message.findtext("source"))
        for context in tree.iter("context")
        for message in context.iter("message")
    }
    assert {("Confirmation", "Cancel"), ("Sidebar", "Learn now"), ("Live", "Preparing")} <= found
    for message in tree.iter("message"):
        if message.findtext("source") == "Cancel":
            message.find("translation").text = "Abbrechen"
            message.find("translation").attrib.clear()
    tree.write(words, encoding="utf-8", xml_declaration=True)
    subprocess.run([tool("pyside6-lrelease"), str(words)], check=True, capture_output=True, timeout=60)
    translator = QTranslator()
    assert translator.load(str(words.with_suffix(".qm")))
    QCoreApplication.installTranslator(translator)
    try:
        question = Confirmation(None, title="", sentence="", action="")
        qtbot.addWidget(question)
        assert question._keep.text() == "Abbrechen"
    finally:
        QCoreApplication.removeTranslator(translator)
