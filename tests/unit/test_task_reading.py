"""How the benchmark of tasks reads its files and shares them out. No torch here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tests.benchmarks.tasks import about_tasks, read_pairs, read_task


def talk(asked: str, said: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said, **more}]}


def written(file: Path, *talks: dict[str, object]) -> Path:
    file.write_text("".join(json.dumps(t, ensure_ascii=False) + "\n" for t in talks), "utf-8")
    return file


@pytest.fixture
def colours(tmp_path: Path) -> str:
    train = written(
        tmp_path / "train.jsonl", *(talk(f"Colour {n}?", "grey" if n < 30 else "blue") for n in range(50))
    )
    test = written(tmp_path / "test.jsonl", talk("Colour 51?", "Grey."), talk("Colour 52?", "blue"))
    return f"colours={train},{test}"


def options(**chosen: object) -> argparse.Namespace:
    return argparse.Namespace(**{"train": None, "test": None, **chosen})


def test_the_last_tenth_of_the_training_examples_is_held_out(colours):
    task = read_task(colours, options())

    assert (len(task.train), len(task.validation), len(task.test)) == (45, 5, 2)
    assert task.train[0] == ("Colour 0?", "grey")
    assert task.validation[-1] == ("Colour 49?", "blue")


def test_bounds_take_the_first_ones_and_hold_out_at_least_four(colours):
    task = read_task(colours, options(train=10, test=1))

    assert (len(task.train), len(task.validation), len(task.test)) == (6, 4, 1)
    assert task.validation[-1] == ("Colour 9?", "grey")


def test_what_is_said_of_a_task_is_what_its_commonest_answer_scores(colours):
    assert about_tasks(options(task=[colours])) == [
        {"name": "colours", "train": 45, "validation": 5, "test": 2, "commonest": 0.5}
    ]


def test_a_correction_is_the_right_answer_and_a_system_prompt_is_no_question(tmp_path):
    corrected = talk("What is my dog called?", "I do not know.", correction="Your dog is called Ada.")
    corrected["messages"].insert(0, {"role": "system", "content": "Be brief."})

    assert read_pairs(written(tmp_path / "f.jsonl", corrected), None) == [
        ("What is my dog called?", "Your dog is called Ada.")
    ]


def test_a_talk_without_an_answer_is_refused_with_the_name_of_its_file(tmp_path):
    silent = {"messages": [{"role": "user", "content": "Hello?"}]}

    with pytest.raises(SystemExit, match=r"silent\.jsonl: a conversation does not begin with a question"):
        read_pairs(written(tmp_path / "silent.jsonl", silent), None)


@pytest.mark.parametrize(
    "text", ["", "colours", "colours=", "colours=train.jsonl", "=train.jsonl,test.jsonl"]
)
def test_what_names_no_task_is_refused(text):
    with pytest.raises(SystemExit, match="is not NAME=TRAIN,TEST"):
        read_task(text, options())


def test_a_handful_of_examples_is_no_task(colours):
    with pytest.raises(SystemExit, match="colours: too few examples"):
        read_task(colours, options(train=7))
