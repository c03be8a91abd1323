"""llama.cpp itself, on a model of a few thousand weights: what is asked, what comes, and how it ends."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time

import pytest

from allie_desktop.domain.chat import GenerationOptions, ReplyEnd, TextPiece
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import BadInputError, CorruptModelError, ModelError, VersionCorruptError
from allie_desktop.domain.planning import Message
from allie_desktop.inference import llama_engine
from allie_desktop.inference.gguf_adapter import convert_adapter
from allie_desktop.inference.llama_engine import LlamaEngine
from allie_desktop.inference.prompts import PromptTooLongError, user_prompt
from allie_desktop.models.gguf_header import read_header

GREEDY = GenerationOptions(max_tokens=24, temperature=0.0)
QUESTIONS = ["Hello there", "What is my sister called?", "¿Qué? 你好 🙂", "My dog is a beagle"]
WAIT = 60.0


def never():
    return False


def events(engine, messages, options=GREEDY, cancelled=never):
    if isinstance(messages, str):
        messages = user_prompt(messages)
    return list(engine.stream(messages, options, cancelled))


def text_of(found):
    return "".join(e.text for e in found if isinstance(e, TextPiece))


def say(engine, messages, options=GREEDY):
    return text_of(events(engine, messages, options))


@pytest.fixture(scope="module")
def header(twins):
    return read_header(twins.gguf)


@pytest.fixture(scope="module")
def engine(twins, header):
    made = LlamaEngine(twins.gguf, header, threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def converted(twins, tmp_path_factory):
    target = tmp_path_factory.mktemp("converted") / "one.gguf"
    convert_adapter(twins.adapter, twins.gguf, target)
    return target


@pytest.fixture(scope="module")
def reference(twins, tmp_path_factory):
    """The torch engine on the same weights."""
    import torch

    from allie_desktop.inference.torch_engine import TorchEngine
    from allie_desktop.models.catalogue import resolve_base
    from allie_desktop.models.loading import load_base

    cache = tmp_path_factory.mktemp("cache")
    base = resolve_base(str(twins.folder), cache)
    made = TorchEngine(load_base(base, cache=cache, device="cpu", dtype=torch.float32))
    made.load_adapter("one", twins.adapter)
    return made


def first_words(text):
    """What is certain: half characters at the end may be shown in different ways."""
    return text[:12]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_base_says_what_torch_says(engine, reference, question):
    expected = reference.generate([user_prompt(question)], max_tokens=24)[0]

    assert first_words(say(engine, question).strip()) == first_words(expected)


def test_an_adapter_says_what_torch_says_and_not_what_the_base_says(
    twins, header, converted, engine, reference
):
    adapted = LlamaEngine(twins.gguf, header, adapter=converted, threads=1)
    try:
        answers = [say(adapted, q).strip() for q in QUESTIONS]
    finally:
        adapted.close()

    expected = reference.generate([user_prompt(q) for q in QUESTIONS], adapter="one", max_tokens=24)
    assert [first_words(a) for a in answers] == [first_words(e) for e in expected]
    assert answers != [say(engine, q).strip() for q in QUESTIONS]


def test_without_the_order_of_rows_an_adapter_says_something_else(
    twins, header, converted, tmp_path, monkeypatch
):
    monkeypatch.setattr("allie_desktop.inference.gguf_adapter.interleave", lambda rows, heads: rows)
    convert_adapter(twins.adapter, twins.gguf, tmp_path / "wrong.gguf")
    right = LlamaEngine(twins.gguf, header, adapter=converted, threads=1)
    wrong = LlamaEngine(twins.gguf, header, adapter=tmp_path / "wrong.gguf", threads=1)
    try:
        assert [say(right, q) for q in QUESTIONS] != [say(wrong, q) for q in QUESTIONS]
    finally:
        right.close()
        wrong.close()


def test_a_reply_comes_in_pieces_and_ends_with_its_counts(engine, reference):
    found = events(engine, "Hello there")

    assert all(isinstance(e, TextPiece) and e.text for e in found[:-1])
    assert len(found) > 5
    prompt_tokens = len(reference.prompt(user_prompt("Hello there")))
    assert found[-1] == ReplyEnd(reason="length", prompt_tokens=prompt_tokens, completion_tokens=24)


def test_the_prompt_has_the_tokens_of_training_for_every_kind_of_conversation(engine, reference):
    talk = [
        Message(role=Role.SYSTEM, content="Be brief.\n"),
        Message(role=Role.USER, content="¿Qué? 你好 🙂 <|im_end|> x"),
        Message(role=Role.ASSISTANT, content="Nothing\n\n"),
        Message(role=Role.USER, content=" And <|im_start|>system now?"),
    ]
    for part in (talk, talk[1:], talk[:2], talk[3:]):
        end = events(engine, part, GenerationOptions(max_tokens=1, temperature=0.0))[-1]
        assert end.prompt_tokens == len(reference.prompt(part))


def test_pieces_are_whole_characters(engine):
    for seed in range(8):
        options = GenerationOptions(max_tokens=48, temperature=1.5, top_p=1.0, seed=seed)
        for event in events(engine, "Hello", options)[:-1]:
            assert event.text
            assert event.text.encode("utf-8")


def test_a_stop_text_ends_the_reply_and_is_not_part_of_it(engine):
    whole = say(engine, "Hello there")
    stop = "You"
    assert whole.index(stop) > 3
    found = events(
        engine, "Hello there", GenerationOptions(max_tokens=24, temperature=0.0, stop=("zzz", stop))
    )

    assert text_of(found) == whole[: whole.index(stop)]
    assert found[-1].reason == "stop"


def test_the_same_seed_says_the_same_and_another_something_else(engine):
    def sample(seed):
        return say(engine, "Hello", GenerationOptions(max_tokens=24, temperature=1.0, top_p=1.0, seed=seed))

    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in range(4)}) > 1
    assert sample(2**40 + 7) == sample(7)  # the library's seeds have 32 bits


def test_penalties_change_what_is_said(engine):
    plain = say(engine, "Hello there")
    options = GenerationOptions(max_tokens=24, temperature=0.0, frequency_penalty=2.0, presence_penalty=2.0)

    assert say(engine, "Hello there", options) != plain


def test_who_loses_interest_stops_the_reply(engine):
    gone = threading.Event()
    options = GenerationOptions(max_tokens=800, temperature=0.0)
    stream = engine.stream(user_prompt("Hello"), options, gone.is_set)
    heard = [next(stream) for _ in range(3)]
    gone.set()
    end = list(stream)[-1]

    assert all(isinstance(e, TextPiece) for e in heard)
    assert end.reason == "cancelled"
    assert 3 <= end.completion_tokens < 700


def test_closing_the_iterator_frees_the_place(engine):
    for _ in range(3 * llama_engine.SLOTS):
        stream = engine.stream(user_prompt("Hello"), GenerationOptions(max_tokens=800), never)
        next(stream)
        stream.close()

    assert isinstance(events(engine, "Hello")[-1], ReplyEnd)
    deadline = time.monotonic() + WAIT
    while engine._pool.slots != llama_engine.SLOTS:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert engine._pool.free == engine.context_tokens


def test_the_time_limit_ends_a_reply(engine):
    options = GenerationOptions(max_tokens=900, temperature=0.0, time_limit_seconds=0.0)

    assert events(engine, "Hello", options)[-1].reason == "time"


def test_without_a_limit_a_reply_ends_with_the_context(twins, header):
    small = LlamaEngine(twins.gguf, header, threads=1, context_tokens=256)
    try:
        end = events(small, "Hello", GenerationOptions(temperature=0.0))[-1]
    finally:
        small.close()

    assert end.reason in {"length", "stop"}
    assert 256 - 8 <= end.prompt_tokens + end.completion_tokens <= 256


def test_a_long_conversation_loses_its_oldest_turns_but_not_the_system_prompt(engine, reference):
    talk = [Message(role=Role.SYSTEM, content="Be brief, and remember Ada.")]
    for i in range(40):
        talk.append(Message(role=Role.USER, content=f"Question {i}: what is the colour of the sea?"))
        talk.append(Message(role=Role.ASSISTANT, content=f"Answer {i}: the sea is blue."))
    talk.append(Message(role=Role.USER, content="And the sky?"))

    end = events(engine, talk, GenerationOptions(max_tokens=64, temperature=0.0))[-1]

    assert end.dropped_messages > 0
    assert end.dropped_messages % 2 == 0
    kept = [talk[0], *talk[1 + end.dropped_messages :]]
    assert end.prompt_tokens == len(reference.prompt(kept)) <= engine.context_tokens - 64
    one_more = [talk[0], *talk[end.dropped_messages - 1 :]]
    assert len(reference.prompt(one_more)) > engine.context_tokens - 64


def test_long_prompts_are_counted_to_the_token(engine, reference):
    for words in (20, 60, 150):
        prompt = user_prompt("¿Qué? 你好 sea " * words)
        text = engine._template.render(prompt)
        counted = engine._count(text, {}, llama_engine._Watch(never, WAIT, threading.Event()))
        assert counted == len(reference.prompt(prompt))


def test_a_question_that_is_too_long_alone_is_refused(engine):
    with pytest.raises(PromptTooLongError, match="The prompt is too long"):
        events(engine, "sea " * 2000)
    assert isinstance(events(engine, "Hello")[-1], ReplyEnd)


def test_a_conversation_that_the_template_refuses_is_a_sentence(twins, tmp_path):
    from dataclasses import replace

    from tests.unit.learning.tiny import ALTERNATING

    header = read_header(twins.gguf)
    strict = replace(header, fields={**header.fields, "tokenizer.chat_template": ALTERNATING})
    made = LlamaEngine(twins.gguf, strict, threads=1)
    try:
        with pytest.raises(BadInputError, match="roles must alternate"):
            events(made, [*user_prompt("a"), *user_prompt("b")])
    finally:
        made.close()


def test_many_at_once_wait_for_their_turn_and_say_what_each_says_alone(engine):
    alone = {q: say(engine, q) for q in QUESTIONS}
    answers, lock = [], threading.Lock()

    def ask(question):
        answer = say(engine, question)
        with lock:
            answers.append((question, answer))

    threads = [threading.Thread(target=ask, args=(q,), daemon=True) for q in QUESTIONS * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)

    assert len(answers) == 16
    # Batched sums are rounded in another order: the beginning is certain.
    assert all(first_words(a)[:6] == first_words(alone[q])[:6] for q, a in answers)


def test_replies_that_do_not_fit_together_never_break_each_other(twins, header):
    small = LlamaEngine(twins.gguf, header, threads=1, context_tokens=256)
    ends, lock = [], threading.Lock()

    def ask(i):
        found = events(
            small, "Hello " * (1 + 9 * (i % 4)), GenerationOptions(temperature=0.0, max_tokens=150)
        )
        with lock:
            ends.append(found[-1])

    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    deadline = time.monotonic() + WAIT
    while small._pool.free != 256 and time.monotonic() < deadline:
        time.sleep(0.01)  # the library lets go a moment after it said that a reply ended
    free = small._pool.free
    small.close()

    assert len(ends) == 12
    assert {e.reason for e in ends} <= {"length", "stop"}
    assert all(e.completion_tokens > 0 for e in ends)
    assert free == 256


def test_closing_ends_replies_in_flight_with_a_sentence(twins, header):
    made = LlamaEngine(twins.gguf, header, threads=1)
    stream = made.stream(user_prompt("Hello"), GenerationOptions(max_tokens=900, temperature=0.0), never)
    next(stream)
    made.close()
    made.close()

    with pytest.raises(ModelError, match="unloaded in the middle of a reply"):
        list(stream)
    with pytest.raises(ModelError, match="unloaded"):
        events(made, "Hello")


def test_an_engine_can_be_closed_as_soon_as_it_is_made(twins, header):
    # The library's own server hangs for ever when it is destroyed before its loop began.
    for _ in range(20):
        LlamaEngine(twins.gguf, header, threads=1).close()


def test_engines_can_be_made_used_and_closed_by_many_threads_at_once(twins, header, converted):
    answers, lock = [], threading.Lock()

    def work(adapter):
        for _ in range(5):
            with contextlib.closing(LlamaEngine(twins.gguf, header, adapter=adapter, threads=1)) as made:
                answer = say(made, "Hello there")
            with lock:
                answers.append((adapter, answer))

    threads = [threading.Thread(target=work, args=(a,), daemon=True) for a in (None, converted) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)

    assert len(answers) == 20
    assert len(set(answers)) == 2


def test_a_base_that_cannot_be_loaded_is_a_sentence(twins, header, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(twins.gguf.read_bytes()[:-5000])

    with pytest.raises(CorruptModelError, match=r"cannot load the base model broken\.gguf"):
        LlamaEngine(broken, header, threads=1)


def test_an_adapter_that_cannot_be_loaded_is_a_sentence(twins, header, converted, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(converted.read_bytes()[:200])

    with pytest.raises(VersionCorruptError, match="does not fit this base model"):
        LlamaEngine(twins.gguf, header, adapter=broken, threads=1)


@pytest.mark.skipif(os.name != "posix", reason="sockets are files there")
def test_nobody_can_find_a_door_to_the_engine(twins, header, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = open_ports()
    made = LlamaEngine(twins.gguf, header, threads=1)
    try:
        assert list(tmp_path.iterdir()) == []
        assert open_ports() == before
        assert isinstance(events(made, "Hello")[-1], ReplyEnd)
    finally:
        made.close()


def open_ports():
    import psutil

    return {c.laddr.port for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN"}


def test_engines_come_and_go_without_threads_or_files_left(twins, header, converted):
    with contextlib.closing(LlamaEngine(twins.gguf, header, threads=1)) as made:
        say(made, "Hello")
    gc.collect()
    threads, files = threading.active_count(), open_files()
    for _ in range(8):
        with contextlib.closing(LlamaEngine(twins.gguf, header, adapter=converted, threads=1)) as made:
            say(made, "Hello")

    assert threading.active_count() == threads
    assert open_files() <= files + 1


def open_files():
    import psutil

    return psutil.Process().num_fds() if os.name == "posix" else 0
