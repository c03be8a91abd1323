"""Downloads of base models, from a hub on this machine: resumed, pinned, checked, cancelled, refused."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import huggingface_hub.constants
import pytest

from allie_desktop.domain.errors import (
    BadInputError,
    CorruptModelError,
    DiskFullError,
    ModelError,
    UnknownModelError,
    UnsafeModelError,
)
from allie_desktop.models import download
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.download import DownloadStep, ModelDownloads
from allie_desktop.models.offers import OFFERS, Offer, known_offer, offer_of
from tests.unit.models.hub_server import COMMIT, FakeHub
from tests.unit.models.test_catalogue import FILES, tensors

WEIGHTS = tensors(*(random.Random(1).random() for _ in range(100_000)))
REPOSITORY = {
    **FILES,
    "model.safetensors": WEIGHTS,
    "LICENSE": b"free",
    "README.md": b"# not wanted",
    "pytorch_model.bin": b"\x80\x04 a pickle" * 5000,
    "modeling_evil.py": b"print('evil')",
    "onnx/model.onnx": b"not wanted",
    "../escape.json": b"{}",
}
WANTED = ["LICENSE", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
OFFER = Offer(
    name="tiny",
    title="Tiny-Chat",
    description="",
    licence="free",
    repository="tiny/chat",
    revision=COMMIT,
    sha256={"model.safetensors": hashlib.sha256(WEIGHTS).hexdigest()},
)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # the tests forbid it elsewhere
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with FakeHub(dict(REPOSITORY)) as served:
        yield served


@pytest.fixture
def downloads(hub, tmp_path):
    return ModelDownloads(tmp_path / "bases", endpoint=hub.endpoint, wait_seconds=(0.01,))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "bases" / "Tiny-Chat"


def names(folder):
    return sorted(f.name for f in folder.iterdir())


def refused(call, kind, words):
    with pytest.raises(ModelError) as caught:
        call()
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert caught.value.remedy


# -- what comes --------------------------------------------------------------------------------------


def test_a_download_is_a_whole_model_without_anything_that_could_run(hub, downloads, folder, tmp_path):
    steps = []
    assert downloads.fetch(OFFER, steps.append) == folder

    assert names(folder) == sorted([*WANTED, "allie-source.json"])
    assert all((folder / name).read_bytes() == REPOSITORY[name] for name in WANTED)
    assert resolve_base(str(folder), tmp_path / "cache").name == "Tiny-Chat"
    assert names(tmp_path / "bases") == [".Tiny-Chat.lock", "Tiny-Chat"]
    total = sum(len(REPOSITORY[name]) for name in WANTED)
    assert steps[0] == DownloadStep(done_bytes=0, total_bytes=total)
    assert steps[-1] == DownloadStep(done_bytes=total, total_bytes=total, file="model.safetensors")
    assert [s.done_bytes for s in steps] == sorted(s.done_bytes for s in steps)


def test_a_model_that_is_here_is_not_downloaded_again(hub, downloads, folder):
    assert downloads.installed(OFFER) is None
    downloads.fetch(OFFER)
    asked = len(hub.requests)

    assert downloads.fetch(OFFER) == folder
    assert downloads.installed(OFFER) == folder
    assert len(hub.requests) == asked


def test_nothing_is_sent_but_the_requests_for_the_files(hub, downloads, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_the_person")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("hf_secret_in_a_file")

    downloads.fetch(OFFER)

    assert {method for method, _, _ in hub.requests} == {"GET"}
    assert [path for _, path, _ in hub.requests[:1]] == [f"/api/models/tiny/chat/revision/{COMMIT}"]
    assert len(hub.requests) == 1 + len(WANTED)
    said = json.dumps(hub.requests)
    assert "hf_secret" not in said
    assert "torch" not in said
    assert socket.gethostname() not in said


def test_a_branch_is_resolved_once_and_remembered(hub, downloads, folder):
    hub.stalls_at = 1000
    branch = replace(OFFER, revision="main")
    assert downloads.fetch(branch, cancelled=hub.stalled.is_set) is None
    hub.released.set()
    hub.api_status = 500  # the hub need not be asked again

    assert downloads.fetch(branch) == folder
    source = json.loads((folder / "allie-source.json").read_text("utf-8"))
    assert (source["repository"], source["asked"], source["commit"]) == ("tiny/chat", "main", COMMIT)


# -- connections that break --------------------------------------------------------------------------


def test_a_connection_that_breaks_is_taken_up_again_where_it_was(hub, downloads, folder):
    hub.cuts = [150_000, 100_000]

    downloads.fetch(OFFER)

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    first, second, third = hub.fetched("model.safetensors")
    assert first == ""
    assert 0 < int(second[6:-1]) <= 150_000
    assert int(second[6:-1]) < int(third[6:-1]) <= 250_000


def test_a_body_that_ends_too_soon_is_completed(hub, downloads, folder):
    hub.short = 1

    downloads.fetch(OFFER)

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.fetched("model.safetensors") == ["", f"bytes={len(WEIGHTS) // 2}-"]


def test_a_server_that_knows_no_ranges_sends_all_again(hub, downloads, folder):
    hub.cuts, hub.ignores_ranges = [200_000], True

    downloads.fetch(OFFER)

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_hub_that_always_breaks_off_is_given_up_and_what_came_is_kept(hub, downloads, folder):
    hub.cuts = [100_000] + [0] * 20
    refused(lambda: downloads.fetch(OFFER), ModelError, "The hub cannot be reached")
    hub.cuts = []

    steps = []
    assert downloads.fetch(OFFER, steps.append) == folder
    assert steps[0].done_bytes > 0
    assert int(hub.fetched("model.safetensors")[-1][6:-1]) > 0


def test_a_download_goes_on_after_the_program_was_killed(hub, downloads, folder, tmp_path):
    hub.stalls_at = 200_000
    code = f"""
import allie_desktop.models.download as d
from allie_desktop.models.offers import Offer
offer = Offer(name="tiny", title="Tiny-Chat", description="", licence="", repository="tiny/chat", revision={COMMIT!r})
d.ModelDownloads(d.Path({str(tmp_path / "bases")!r}), endpoint={hub.endpoint!r}).fetch(offer)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    unfinished = tmp_path / "bases" / "Tiny-Chat.part" / "model.safetensors.part"
    deadline = time.monotonic() + 30
    try:
        while not (hub.stalled.is_set() and unfinished.exists() and unfinished.stat().st_size > 0):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    hub.released.set()
    assert not folder.exists()
    have = unfinished.stat().st_size

    assert downloads.fetch(replace(OFFER, sha256={})) == folder
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    if have < len(WEIGHTS):
        assert hub.fetched("model.safetensors")[-1].startswith("bytes=")


def test_a_download_can_be_cancelled_and_goes_on_later(hub, downloads, folder):
    seen = []

    assert downloads.fetch(OFFER, seen.append, cancelled=lambda: len(seen) > 3) is None
    assert not folder.exists()
    assert downloads.fetch(OFFER) == folder


def test_a_cancellation_does_not_wait_for_the_next_try(hub, tmp_path):
    hub.cuts = [0] * 20
    waits = ModelDownloads(tmp_path / "bases", endpoint=hub.endpoint, wait_seconds=(60,))
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()

    assert waits.fetch(OFFER, cancelled=stop.is_set) is None
    timer.join()


# -- what is refused ---------------------------------------------------------------------------------


def test_a_file_that_was_changed_on_its_way_is_fetched_again(hub, downloads, folder):
    hub.flips = 1

    downloads.fetch(OFFER)

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.fetched("model.safetensors") == ["", ""]


def test_a_file_that_stays_wrong_is_refused(hub, downloads, folder):
    hub.flips = 9

    refused(
        lambda: downloads.fetch(OFFER),
        CorruptModelError,
        "model.safetensors of Tiny-Chat came twice with another content than was pinned.",
    )
    assert not folder.exists()


def test_small_files_are_checked_by_the_sum_of_git(hub, downloads):
    right = hub.files["tokenizer.json"]

    def spoil(step):
        hub.files["tokenizer.json"] = right.replace(b"{", b"[")

    refused(
        lambda: downloads.fetch(OFFER, spoil), CorruptModelError, "tokenizer.json of Tiny-Chat came twice"
    )


def test_weights_that_are_not_those_that_were_looked_at_are_refused(hub, downloads):
    hub.files["model.safetensors"] = tensors(*([1.0] * 100_000))

    refused(
        lambda: downloads.fetch(OFFER),
        CorruptModelError,
        "The hub describes model.safetensors of Tiny-Chat otherwise",
    )


def test_another_commit_than_the_pinned_one_is_refused(hub, downloads):
    hub.commit = "d" * 40

    refused(lambda: downloads.fetch(OFFER), CorruptModelError, "does not give Tiny-Chat as it was pinned")


def test_a_repository_with_pickles_alone_is_refused(hub, downloads):
    del hub.files["model.safetensors"]

    refused(
        lambda: downloads.fetch(replace(OFFER, sha256={})), UnsafeModelError, "has no weights as safetensors"
    )
    assert len(hub.requests) == 1


def test_a_model_that_brings_program_code_is_refused_before_its_weights_come(hub, downloads):
    hub.files["config.json"] = b'{"auto_map": {"AutoModel": "x.Y"}}'

    refused(lambda: downloads.fetch(OFFER), UnsafeModelError, "needs program code of its own")
    assert hub.fetched("model.safetensors") == []


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {"X-Error-Code": "RepoNotFound"}, "The hub has no tiny/chat that everybody may see."),
        (404, {"X-Error-Code": "RepoNotFound"}, "The hub has no tiny/chat that everybody may see."),
        (
            404,
            {"X-Error-Code": "RevisionNotFound"},
            f"Tiny-Chat has no revision {COMMIT} on the hub any more.",
        ),
        (403, {"X-Error-Code": "GatedRepo"}, "only with an account that accepted its terms"),
        (403, {}, "does not let Tiny-Chat be downloaded without an account"),
        (503, {}, "The hub answered with an error (503)."),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(hub, downloads, status, headers, words):
    hub.api_status, hub.api_headers = status, headers

    refused(lambda: downloads.fetch(OFFER), ModelError, words)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_the_hub_refuses_of_a_file_is_a_sentence(hub, downloads, status):
    hub.status = status

    refused(lambda: downloads.fetch(OFFER), ModelError, "he hub")


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"[]", b'{"siblings": 7}', b"null"])
def test_a_network_that_answers_in_the_place_of_the_hub_is_a_sentence(hub, downloads, body):
    hub.api_body = body

    with pytest.raises(ModelError) as caught:
        downloads.fetch(OFFER)
    assert caught.value.remedy


def test_no_network_is_a_sentence(hub, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        offline = ModelDownloads(tmp_path / "bases", endpoint=endpoint, wait_seconds=(0.01,))
        refused(
            lambda: offline.fetch(OFFER),
            ModelError,
            "The hub cannot be reached, so Tiny-Chat cannot be downloaded.",
        )


def test_downloads_that_are_switched_off_are_a_sentence(hub, downloads, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    refused(
        lambda: downloads.fetch(OFFER), ModelError, "switched off by the environment variable HF_HUB_OFFLINE"
    )
    assert hub.requests == []


def test_too_little_space_is_said_before_anything_comes(hub, downloads, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))

    with pytest.raises(DiskFullError, match="There is no room for Tiny-Chat"):
        downloads.fetch(OFFER)
    assert len(hub.requests) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_is_a_sentence_and_the_download_goes_on_later(hub, downloads, folder):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DiskFullError, match="is full"):
            downloads.fetch(OFFER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert downloads.fetch(OFFER) == folder


def test_two_downloads_of_one_model_do_not_mix(hub, downloads, tmp_path):
    hub.stalls_at = 1000
    thread = threading.Thread(target=downloads.fetch, args=(OFFER,))
    thread.start()
    assert hub.stalled.wait(30)

    other = ModelDownloads(tmp_path / "bases", endpoint=hub.endpoint)
    refused(lambda: other.fetch(OFFER), ModelError, "is being downloaded already")
    hub.released.set()
    thread.join()


# -- the offers --------------------------------------------------------------------------------------


def test_every_offer_of_the_hub_is_pinned_to_a_commit():
    assert [o.name for o in OFFERS] == ["starter", "tinyllama-1.1b-chat"]
    for offer in OFFERS:
        assert offer.licence
        assert offer.memory_bytes > 0
        if offer.repository:
            assert len(offer.revision) == 40
            assert offer.size_bytes > 0
            assert "model.safetensors" in offer.sha256


@pytest.mark.parametrize(
    "name", ["tinyllama-1.1b-chat", "TinyLlama-1.1B-Chat-v1.0", "tinyllama/TinyLlama-1.1B-chat-v1.0"]
)
def test_an_offer_is_found_by_any_of_its_names(name):
    assert offer_of(name) is OFFERS[1]


def test_a_setting_names_an_offer_by_its_short_name_alone():
    assert [known_offer(name) for name in ("", "starter", "TinyLlama-1.1B-Chat")] == [
        OFFERS[0],
        OFFERS[0],
        OFFERS[1],
    ]
    assert known_offer("TinyLlama-1.1B-Chat-v1.0") is None  # may be a folder


def test_any_repository_may_be_asked_for():
    offer = offer_of("owner/Some-Model_1.5@v2.0")

    assert (offer.repository, offer.revision, offer.title) == (
        "owner/Some-Model_1.5",
        "v2.0",
        "owner--Some-Model_1.5",
    )
    assert offer_of("owner/name").revision == "main"


@pytest.mark.parametrize(
    "name", ["nothing", "a/b/c", "../x/y", "/etc/passwd", "a/..", "a b/c", "owner/", "~/x"]
)
def test_what_is_no_model_is_a_sentence(name):
    refused(lambda: offer_of(name), UnknownModelError, "Allie knows no model")


def test_the_starter_model_is_not_downloaded(downloads):
    with pytest.raises(BadInputError, match="comes with the program"):
        downloads.fetch(OFFERS[0])
