"""The chat page on a real screen, driven by real keys and a real mouse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from allie_desktop.domain.errors import UnknownConversationError
from tests.gui.chat_stage import TOKEN, FakeApi, conversation, keep, stored
from tests.gui.desktop_session import ROOT, DesktopSession, wait_for

pytestmark = [pytest.mark.display, pytest.mark.process]

REPLY = """Rice needs **twice** its volume of water:

1. Wash it.
2. Boil it for *eighteen minutes*.

```python
def cups_of_water(cups_of_rice: int) -> int:
    return 2 * cups_of_rice
```

That is all."""


class Person:
    """Hands and eyes at a chat window."""

    def __init__(self, desktop: DesktopSession, home: Path, api: FakeApi, *options: str) -> None:
        self.desktop = desktop
        self._state = desktop.folder / "state.json"
        program = ROOT / "tests" / "gui" / "chat_window.py"
        desktop.python(program, home, api.url, TOKEN, self._state, *options)
        self.wait(lambda: bool(self.see()), "the window")
        wait_for(lambda: self.see()["focus"] == "Your message", self.complaint("the focus"))

    def complaint(self, what: str) -> str:
        return f"{what}; the program says: {self.desktop.log('program')[-2000:]}"

    def see(self) -> dict:
        try:
            return json.loads(self._state.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def wait(self, condition, what: str) -> None:
        try:
            wait_for(condition, what)
        except AssertionError as error:
            raise AssertionError(self.complaint(f"{error} {self.see()}")) from error

    def type(self, text: str) -> None:
        self.desktop.xdotool("type", "--delay", "8", text)

    def key(self, *keys: str) -> None:
        self.desktop.xdotool("key", "--delay", "30", *keys)

    def click(self, name: str) -> None:
        self.wait(lambda: name in self.see()["places"], name)
        x, y = self.see()["places"][name]
        self.desktop.click(x, y)

    def shoot(self, name: str) -> None:
        file = self.desktop.artefacts / f"{name}.png"
        self.desktop.run("import", "-window", "root", file)
        assert file.stat().st_size > 10_000


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def api(home):
    server = FakeApi(home)
    yield server
    server.close()


def test_a_person_asks_rates_corrects_and_finds_again(desktop, home, api):
    keep(home, [conversation(number, f"Older question {number}", "Answer") for number in range(3)])
    api.script = [REPLY[:150], "<wait>", *[REPLY[start : start + 5] for start in range(150, len(REPLY), 5)]]
    person = Person(desktop, home, api)
    person.type("How do I cook rice?")
    person.wait(lambda: person.see()["typed"] == "How do I cook rice?", "the question")
    person.key("Return")
    person.wait(lambda: person.see()["texts"][-1:] == [REPLY[:150]], "the first half")
    person.type("And now")
    person.shoot("chat-screen-streaming")
    api.go.set()
    person.wait(lambda: person.see()["texts"][-1:] == [REPLY], "the reply")
    person.wait(lambda: person.see()["typed"] == "And now", "what was typed meanwhile")
    name = person.see()["conversation"]
    # by mouse
    person.click("like-1")
    wait_for(lambda: stored(home, name).turns[1].rating == 1, "the thumb in the store")
    # by keyboard: from the thumb to the pencil
    person.key("Tab", "Tab", "space")
    person.wait(lambda: person.see()["focus"] == "Your correction of the answer", "the editor")
    person.key("ctrl+a")
    person.type("Twice the water, eighteen minutes.")
    person.shoot("chat-screen-editing")
    person.key("ctrl+Return")
    wait_for(
        lambda: stored(home, name).turns[1].correction == "Twice the water, eighteen minutes.",
        "the correction in the store",
    )
    person.shoot("chat-screen-corrected")
    person.key("ctrl+k")
    person.wait(lambda: person.see()["focus"] == "Search in all conversations", "the search field")
    person.type("older")
    person.wait(lambda: person.see()["listed"] == 3, "what is found")
    person.key("Return")
    person.wait(lambda: person.see()["texts"] == ["Older question 2", "Answer"], "the first found")
    person.key("ctrl+n")
    person.wait(lambda: person.see()["texts"] == [] and person.see()["typed"] == "", "a new chat")


def test_a_person_stops_an_answer_and_closes_the_window(desktop, home, api):
    api.script = ["Half an answer", "<wait>", *["more "] * 5_000]
    person = Person(desktop, home, api, "--dark")
    person.type("Stop soon")
    person.key("Return")
    person.wait(lambda: person.see()["texts"][-1:] == ["Half an answer"], "the first half")
    person.key("Escape")
    person.wait(lambda: not person.see()["busy"], "the stop")
    api.go.set()
    wait_for(api.hung_up.is_set, "the server to notice")
    person.type("half a thought")
    person.wait(lambda: person.see()["typed"] == "half a thought", "the draft")
    person.shoot("chat-screen-dark")
    name = person.see()["conversation"]
    wait_for(
        lambda: (
            "half a thought" in (home / "drafts.json").read_text()
            if (home / "drafts.json").exists()
            else False
        ),
        "the draft on the disk",
    )
    with pytest.raises(UnknownConversationError):
        stored(home, name)
