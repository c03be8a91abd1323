"""Chat over torch: the same behaviour as llama.cpp's, token by token."""

from __future__ import annotations

import threading

import pytest

from allie_desktop.domain.chat import GenerationOptions, ReplyEnd, TextPiece
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import ModelError
from allie_desktop.domain.planning import Message
from allie_desktop.inference.prompts import PromptTooLongError, user_prompt
from allie_desktop.inference.torch_chat import TorchChat, Words
from allie_desktop.inference.torch_engine import TorchEngine

GREEDY = GenerationOptions(max_tokens=12, temperature=0.0)


def never():
    return False


def events(chat, question, options=GREEDY, cancelled=never):
    messages = user_prompt(question) if isinstance(question, str) else question
    return list(chat.stream(messages, options, cancelled))


def text_of(found):
    return "".join(e.text for e in found if isinstance(e, TextPiece)).rstrip("\ufffd")


@pytest.fixture
def engine(loaded):
    return TorchEngine(loaded)


@pytest.fixture
def released():
    return []


@pytest.fixture
def chat(engine, released):
    return TorchChat(engine, None, released.append)


@pytest.mark.parametrize("question", ["Hi", "What is the colour of the sea?", "¿Qué? 你好 🙂"])
def test_a_stream_says_what_the_batch_engine_says(engine, chat, adapter, question):
    engine.load_adapter("one", adapter)
    adapted = TorchChat(engine, "one", print)

    for made, name in ((chat, None), (adapted, "one")):
        expected = engine.generate([user_prompt(question)], adapter=name, max_tokens=12)[0]
        # Half a character at the end is not shown.
        assert text_of(events(made, question)).strip() == expected.rstrip("\ufffd").strip()


def test_streams_of_different_versions_take_turns_and_do_not_mix(engine, chat, adapter):
    engine.load_adapter("one", adapter)
    adapted = TorchChat(engine, "one", print)
    alone = [text_of(events(c, "Hi")) for c in (chat, adapted)]
    assert alone[0] != alone[1]
    together = [[], []]
    streams = [c.stream(user_prompt("Hi"), GREEDY, never) for c in (chat, adapted)]
    for _ in range(20):
        for heard, stream in zip(together, streams, strict=True):
            heard.extend(e for e in [next(stream, None)] if e is not None)

    assert [text_of(heard) for heard in together] == alone
    assert all(isinstance(heard[-1], ReplyEnd) for heard in together)


def test_counts_and_reasons(engine, chat):
    prompt = len(engine.prompt(user_prompt("Hi")))
    end = events(chat, "Hi")[-1]
    assert end == ReplyEnd(reason="length", prompt_tokens=prompt, completion_tokens=12)

    count = iter(range(100))
    assert events(chat, "Hi", cancelled=lambda: next(count) >= 2)[-1].reason == "cancelled"
    late = GenerationOptions(max_tokens=12, temperature=0.0, time_limit_seconds=0.0)
    assert events(chat, "Hi", late)[-1].reason == "time"
    endless = events(chat, "Hi", GenerationOptions(temperature=0.0))[-1]
    assert endless.prompt_tokens + endless.completion_tokens <= chat.context_tokens == 256


def test_a_stop_text_ends_a_reply_even_across_pieces(chat):
    whole = text_of(events(chat, "Hi"))
    stop = whole[3:6]
    found = events(chat, "Hi", GenerationOptions(max_tokens=12, temperature=0.0, stop=(stop,)))

    assert text_of(found) == whole[: whole.index(stop)]
    assert found[-1].reason == "stop"


def test_seeds_and_penalties(chat):
    def sample(**changes):
        return text_of(events(chat, "Hi", GenerationOptions(max_tokens=12, **changes)))

    assert sample(temperature=1.0, seed=3) == sample(temperature=1.0, seed=3)
    assert len({sample(temperature=1.5, top_p=1.0, seed=s) for s in range(4)}) > 1
    assert sample(temperature=1.0, top_p=0.0001, seed=1) == sample(temperature=0.0)
    assert sample(temperature=0.0, presence_penalty=100.0) != sample(temperature=0.0)


def test_a_long_conversation_loses_its_oldest_turns(engine, chat):
    talk = [Message(role=Role.SYSTEM, content="Be brief.")]
    for i in range(10):
        talk += [
            Message(role=Role.USER, content=f"Question {i}"),
            Message(role=Role.ASSISTANT, content="Yes."),
        ]
    talk.append(Message(role=Role.USER, content="And?"))
    end = events(chat, talk)[-1]

    kept = [talk[0], *talk[1 + end.dropped_messages :]]
    assert end.dropped_messages > 0
    assert end.prompt_tokens == len(engine.prompt(kept)) <= 256 - 12
    with pytest.raises(PromptTooLongError):
        events(chat, "x" * 300)


def test_closing_gives_the_adapter_back_once_and_ends_what_runs(engine, adapter, released):
    engine.load_adapter("one", adapter)
    chat = TorchChat(engine, "one", released.append)
    stream = chat.stream(user_prompt("Hi"), GREEDY, never)
    next(stream)
    chat.close()
    chat.close()

    assert released == [engine]
    assert engine.adapters == ()
    with pytest.raises(ModelError, match="unloaded in the middle of a reply"):
        list(stream)
    with pytest.raises(ModelError):
        events(chat, "Hi")


def test_four_streams_at_once_say_what_each_says_alone(chat):
    questions = ["Hi", "Name a bird", "What?", "Tell me"]
    alone = [text_of(events(chat, q)) for q in questions]
    answers = [""] * 4

    def ask(i):
        answers[i] = text_of(events(chat, questions[i]))

    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers == alone


def test_control_marks_in_a_persons_words_are_words(engine):
    plain = engine.prompt(user_prompt("x y"))

    assert engine.prompt(user_prompt("x<|im_end|>y")) == plain


@pytest.mark.parametrize("text", ["Hello, wörld", "你好 🙂🙂 a", "🏳️‍🌈"])
def test_pieces_are_whole_characters(loaded, text):
    words = Words(loaded.tokenizer)
    tokens = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(tokens) == len(text.encode())  # one token a byte
    pieces = [words.take(t) for t in tokens] + [words.rest()]

    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_are_no_character_do_not_hold_up_the_rest(loaded):
    words = Words(loaded.tokenizer)
    tokenizer = loaded.tokenizer
    half = tokenizer("é", add_special_tokens=False)["input_ids"][0]
    rest = tokenizer("abcdef", add_special_tokens=False)["input_ids"]

    assert "".join([words.take(t) for t in [half, *rest]] + [words.rest()]).endswith("abcdef")


def test_the_beginning_of_a_stop_text_is_held_back_until_it_is_none(loaded):
    words = Words(loaded.tokenizer, stop=("###", "end"))
    tokens = loaded.tokenizer("a##b e en", add_special_tokens=False)["input_ids"]

    assert [words.take(t) for t in tokens] == ["a", "", "", "##b", " ", "", "e ", "", ""]
    assert words.rest() == "en"
