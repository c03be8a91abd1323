"""Checkpoints survive a kill, a full disk and a damaged file, and hold nothing that could run."""

from __future__ import annotations

import json
import math
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from allie_desktop.learning.checkpoint import Checkpoint, CheckpointFolder

PLAN = "d" * 64


def checkpoint(step, *, value=None):
    draw = torch.Generator().manual_seed(step)
    tensors = {
        "adapter/a": torch.randn(3, 4, generator=draw),
        "exp_avg/a": torch.randn(3, 4, generator=draw),
        "exp_avg_sq/a": torch.rand(3, 4, generator=draw),
        "step/a": torch.tensor(float(step)),
    }
    if value is not None:
        tensors["adapter/a"] = torch.full((3, 4), value)
    return Checkpoint(step, tensors, {"best_objective": 1.0 / 3.0, "norms": [0.1, 0.2], "none": None})


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path / "checkpoints", PLAN)


def names(tmp_path):
    return sorted(file.name for file in (tmp_path / "checkpoints").iterdir())


def test_what_was_written_comes_back_bit_for_bit(folder):
    written = checkpoint(7)
    folder.write(written)

    read = folder.newest()

    assert (read.step, read.numbers) == (7, written.numbers)
    assert read.tensors.keys() == written.tensors.keys()
    for name, tensor in written.tensors.items():
        assert torch.equal(read.tensors[name], tensor)
        assert read.tensors[name].shape == tensor.shape
        assert read.tensors[name].dtype == tensor.dtype


def test_groups_with_similar_names_are_kept_apart():
    groups = checkpoint(1)

    assert list(groups.group("exp_avg")) == ["a"]
    assert torch.equal(groups.group("exp_avg")["a"], groups.tensors["exp_avg/a"])
    assert torch.equal(groups.group("exp_avg_sq")["a"], groups.tensors["exp_avg_sq/a"])
    assert groups.group("best") == {}


def test_nothing_written_is_nothing_to_resume(folder):
    assert folder.newest() is None


def test_the_newest_two_are_kept(folder, tmp_path):
    paths = [folder.write(checkpoint(step)) for step in (1, 2, 9, 10, 100)]

    assert names(tmp_path) == ["step-00000010", "step-00000100"]
    assert folder.newest().step == 100
    assert paths[-1] == tmp_path / "checkpoints" / "step-00000100"


def test_the_same_step_again_replaces_it(folder, tmp_path):
    folder.write(checkpoint(3, value=1.0))
    folder.write(checkpoint(3, value=2.0))

    assert names(tmp_path) == ["step-00000003"]
    assert float(folder.newest().tensors["adapter/a"][0, 0]) == 2.0


def test_a_transposed_tensor_is_written_as_it_looks(folder):
    turned = torch.arange(6.0).reshape(2, 3).T
    folder.write(Checkpoint(1, {"adapter/a": turned}))

    assert torch.equal(folder.newest().tensors["adapter/a"], turned)


def test_there_is_json_and_safetensors_and_no_pickle(folder):
    path = folder.write(checkpoint(5))

    assert sorted(file.name for file in path.iterdir()) == ["state.json", "tensors.safetensors"]
    assert json.loads((path / "state.json").read_text("utf-8"))["step"] == 5
    assert load_file(path / "tensors.safetensors").keys() == checkpoint(5).tensors.keys()
    assert not any(b"\x80\x04" in file.read_bytes()[:2] for file in path.iterdir())


def test_one_of_another_plan_is_passed_over(folder, tmp_path):
    folder.write(checkpoint(4))

    assert CheckpointFolder(tmp_path / "checkpoints", "e" * 64).newest() is None
    assert folder.newest().step == 4


def spoil_tensors(path):
    data = bytearray((path / "tensors.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "tensors.safetensors").write_bytes(data)


def cut_tensors(path):
    data = (path / "tensors.safetensors").read_bytes()
    (path / "tensors.safetensors").write_bytes(data[:-3])


def write_state(text):
    return lambda path: (path / "state.json").write_text(text, "utf-8")


DAMAGE = {
    "one bit of a tensor": spoil_tensors,
    "tensors cut": cut_tensors,
    "no tensors": lambda path: (path / "tensors.safetensors").unlink(),
    "no state": lambda path: (path / "state.json").unlink(),
    "empty state": write_state(""),
    "half a state": write_state('{"step": 4, "plan"'),
    "a list for a state": write_state("[]"),
    "a number for a state": write_state("4"),
    "a state without a plan": write_state('{"step": 4}'),
    "a state nested beyond reading": write_state("[" * 100_000),
    "binary state": lambda path: (path / "state.json").write_bytes(b"\xff\xfe\x00\x01"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_one_is_passed_over_for_the_one_before(folder, damage):
    folder.write(checkpoint(3))
    damage(folder.write(checkpoint(4)))

    assert folder.newest().step == 3


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_nothing_but_damaged_ones_is_nothing_to_resume(folder, damage):
    damage(folder.write(checkpoint(4)))

    assert folder.newest() is None


@settings(max_examples=40)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_single_bit_of_the_tensors_may_flip(tmp_path_factory, place, bit):
    folder = CheckpointFolder(tmp_path_factory.mktemp("bits"), PLAN)
    file = folder.write(checkpoint(2)) / "tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[place % len(data)] ^= 1 << bit
    file.write_bytes(data)

    assert folder.newest() is None


@settings(max_examples=40)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 6))
def test_no_single_bit_of_the_step_and_the_numbers_may_flip(tmp_path_factory, place, bit):
    folder = CheckpointFolder(tmp_path_factory.mktemp("bits"), PLAN)
    file = folder.write(checkpoint(2)) / "state.json"
    data = bytearray(file.read_bytes())
    before = json.loads(data)
    data[place % len(data)] ^= 1 << bit
    file.write_bytes(data)

    read = folder.newest()
    assert read is None or json.loads(data) == before


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_write_that_fails_leaves_what_was_there(folder, tmp_path, monkeypatch, call):
    folder.write(checkpoint(3))

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            folder.write(checkpoint(4))

    assert names(tmp_path) == ["step-00000003"]
    assert folder.newest().step == 3
    folder.write(checkpoint(4))
    assert folder.newest().step == 4


def test_what_a_killed_writer_left_is_no_checkpoint(folder, tmp_path):
    folder.write(checkpoint(3))
    # What is on the disk until the rename, and what a rename without its files would look like.
    (tmp_path / "checkpoints" / ".writing-12345").mkdir()
    (tmp_path / "checkpoints" / ".writing-12345" / "state.json").write_text('{"step": 9}')
    (tmp_path / "checkpoints" / "step-00000009").mkdir()

    assert folder.newest().step == 3


def test_everything_is_on_the_disk_before_it_gets_its_name(folder, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle):
        done.append("fsync")
        fsync(handle)

    def noted_replace(source, target):
        done.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    folder.write(checkpoint(1))

    assert done == ["fsync", "fsync", "replace", "fsync"]


def test_odd_floats_survive(folder):
    folder.write(Checkpoint(1, {"adapter/a": torch.tensor([math.inf, -0.0, 1e-45])}, {"loss": 0.1 + 0.2}))
    read = folder.newest()

    assert read.numbers["loss"] == 0.1 + 0.2
    assert read.tensors["adapter/a"].tolist() == torch.tensor([math.inf, -0.0, 1e-45]).tolist()


def test_clearing_removes_all_and_may_be_repeated(folder, tmp_path):
    folder.write(checkpoint(1))
    folder.clear()
    folder.clear()

    assert folder.newest() is None
    assert not (tmp_path / "checkpoints").exists()


def test_what_a_killed_writer_left_is_removed_by_the_next_one(folder, tmp_path):
    for leftover in (".writing-1", ".writing-99999"):
        (tmp_path / "checkpoints" / leftover).mkdir(parents=True)
        (tmp_path / "checkpoints" / leftover / "tensors.safetensors").write_bytes(bytes(100))

    folder.write(checkpoint(1))

    assert names(tmp_path) == ["step-00000001"]
