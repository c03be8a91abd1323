"""What a model's files say of themselves: GGUF headers, folders of safetensors, adapters, chat templates."""

from __future__ import annotations

import json
import struct
from contextlib import ExitStack
from random import Random
from typing import Any

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import AllieError, BadInputError, MissingChatTemplateError
from allie_desktop.domain.planning import Message
from allie_desktop.inference.chat_template import ChatTemplate
from allie_desktop.inference.gguf_adapter import convert_adapter
from allie_desktop.models.catalogue import resolve_base
from allie_desktop.models.gguf_header import read_header
from allie_desktop.models.lora import read_lora
from allie_desktop.store.adapter_files import check_adapter
from tests.fuzz.mad_english import mad_english
from tests.fuzz.mutations import ODD_TEXTS, damaged, nearly
from tests.fuzz.target import Outcome, Target, expect, expect_sentence, quieten

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_MARKS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "</s>")
_STRING, _ARRAY, _U32, _I32, _F32, _U64 = 8, 9, 4, 5, 6, 10
_SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

_Field = tuple[str, int, Any]
_FIELDS: tuple[_Field, ...] = (
    ("general.architecture", _STRING, "llama"),
    ("llama.context_length", _U32, 1024),
    ("llama.block_count", _U32, 1),
    ("llama.attention.head_count", _U32, 4),
    ("llama.attention.head_count_kv", _U32, 2),
    ("llama.rope.freq_base", _F32, 1e4),
    ("tokenizer.chat_template", _STRING, CHATML),
    ("tokenizer.ggml.tokens", _ARRAY, (_STRING, ["<|im_start|>", "<|im_end|>", "a", "b"])),
    ("tokenizer.ggml.token_type", _ARRAY, (_I32, [3, 3, 1, 1])),
    ("tokenizer.ggml.merges", _ARRAY, (_STRING, ["a b"])),
    ("tokenizer.ggml.bos_token_id", _U32, 0),
    ("tokenizer.ggml.eos_token_id", _U32, 1),
)
_SHAPES: dict[str, tuple[int, ...]] = {
    "token_embd.weight": (4, 8),
    "blk.0.attn_q.weight": (8, 8),
    "blk.0.attn_k.weight": (4, 8),
}


def _string(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value: Any) -> bytes:
    if kind == _STRING:
        return _string(str(value))
    if kind == _ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(_value(inner, item) for item in items)
    return struct.pack(f"<{_SIZES[kind]}", value)


def gguf(fields: list[tuple[str, bytes]], shapes: dict[str, tuple[int, ...]], *, version: int = 3) -> bytes:
    """Return a GGUF file with these fields (a name, and kind and value as bytes) and float32 tensors of zeros."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(shapes), len(fields))
    for name, data in fields:
        head += _string(name) + data
    offset = 0
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        head += _string(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", size % 2**64) for size in reversed(shape)) + struct.pack(
            "<IQ", 0, offset % 2**64
        )
        offset += -(-count * 4 // 32) * 32
    head += b"\x00" * (-len(head) % 32)
    return head + b"\x00" * min(offset, 10_000)


def sound_fields() -> list[tuple[str, bytes]]:
    """Return the fields of a small model."""
    return [(name, struct.pack("<I", kind) + _value(kind, value)) for name, kind, value in _FIELDS]


def odd_gguf(random: Random) -> bytes:
    """Return a GGUF file that is nearly one."""
    fields, shapes = sound_fields(), dict(_SHAPES)
    for _ in range(random.randint(0, 3)):
        place = random.randrange(len(fields))
        name = fields[place][0]
        match random.randrange(7):
            case 0:
                kind = random.choice(tuple(_SIZES))
                fields[place] = (
                    name,
                    struct.pack("<I", kind) + random.randbytes(struct.calcsize(_SIZES[kind])),
                )
            case 1:
                fields[place] = (name, struct.pack("<I", _STRING) + _string(random.choice(ODD_TEXTS)))
            case 2:
                depth = random.choice((2, 50, 2000, 50_000))
                inner = struct.pack("<IQ", _ARRAY, 1) * depth + struct.pack("<IQ", _U32, 0)
                fields[place] = (name, struct.pack("<I", _ARRAY) + inner)
            case 3:
                count = random.choice((0, 1, 2**31, 2**32, 2**62, 2**64 - 1))
                inner_kind = random.choice((0, 4, 7, 8, 9, 12, 99))
                fields[place] = (name, struct.pack("<IIQ", _ARRAY, inner_kind, count) + bytes(64))
            case 4:
                fields[place] = (
                    random.choice((name, "", "x" * 1000, "a.b")),
                    fields[random.randrange(len(fields))][1],
                )
            case 5:
                del fields[place]
                fields = fields or sound_fields()
            case _:
                tensor = random.choice(tuple(shapes))
                shapes[tensor] = random.choice(((), (1,), (0, 8), (2**63, 2**63), (1,) * 40, (8, 9)))
    data = gguf(fields, shapes, version=random.choice((1, 2, 3, 3, 3, 3, 4, 2**31)))
    return damaged(data, random, most=4) if random.random() < 0.5 else data


class GgufHeaders(Target):
    """The header of a GGUF file, and what chat makes of it."""

    name = "gguf-headers"
    group = "gguf"
    share = 6

    def prepare(self, stack: ExitStack) -> None:
        self._path = self.folder / "model.gguf"

    def make(self, random: Random) -> bytes:
        return odd_gguf(random)

    def attempt(self, data: bytes) -> Outcome:
        self._path.write_bytes(data)
        try:
            header = read_header(self._path)
        except AllieError as error:
            expect_sentence(error)
            return Outcome.REFUSED
        expect(isinstance(header.number("context_length"), int), "a length is no number")
        expect(all(isinstance(token, str) for token in header.control_tokens), "a token is no text")
        try:
            template = ChatTemplate(
                header.chat_template,
                bos=header.token("bos"),
                eos=header.token("eos"),
                marks=header.control_tokens,
            )
            template.render([Message(role=Role.USER, content="Hello")])
        except (MissingChatTemplateError, BadInputError) as error:
            expect_sentence(error)
        return Outcome.TAKEN


class ModelFiles(Target):
    """A base model that a person chose: a GGUF file, or a folder in Hugging Face's form."""

    name = "model-files"
    group = "gguf"
    share = 2
    memory_bytes = None  # numpy reserves address space

    def prepare(self, stack: ExitStack) -> None:
        quieten(stack)

    def make(self, random: Random) -> bytes:
        """A GGUF file, or a JSON object of the files in a folder (Latin-1)."""
        if random.random() < 0.4:
            return odd_gguf(random)
        files = {
            "config.json": nearly({"model_type": "llama", "architectures": ["L"], "vocab_size": 4}, random),
            "tokenizer_config.json": nearly({"chat_template": CHATML, "bos_token": "<s>"}, random),
            "tokenizer.json": b"{}",
            "model.safetensors": safetensors_file(random),
        }
        if random.random() < 0.3:
            files["model.safetensors.index.json"] = nearly({"weight_map": {"a": "model.safetensors"}}, random)
        for name in random.sample(list(files), random.randint(0, 3)):
            if random.random() < 0.6:  # most of them sound, or one fault would hide the others
                files[name] = {
                    "config.json": b'{"model_type": "llama"}',
                    "tokenizer_config.json": json.dumps({"chat_template": CHATML}).encode(),
                }.get(name, files[name])
        return json.dumps({name: data.decode("latin-1") for name, data in files.items()}).encode()

    def attempt(self, data: bytes) -> Outcome:
        cache = self.folder / "cache"
        if data[:1] == b"{":
            path = self.folder / "model"
            path.mkdir(exist_ok=True)
            for name, text in json.loads(data).items():
                (path / name).write_bytes(text.encode("latin-1"))
        else:
            path = self.folder / "model.gguf"
            path.write_bytes(data)
        try:
            resolve_base(str(path), cache)
        except AllieError as error:
            expect_sentence(error)
            return Outcome.REFUSED
        finally:
            for left in path.iterdir() if path.is_dir() else (path,):
                left.unlink()
        return Outcome.TAKEN


def safetensors_file(
    random: Random | None, names: tuple[str, ...] = ("a",), rows: tuple[int, ...] = (2,)
) -> bytes:
    """Return a safetensors file of float32 matrices, nearly one when there is a ``random``."""
    header: dict[str, Any] = {}
    offset = 0
    for name, count in zip(names, rows, strict=True):
        header[name] = {"dtype": "F32", "shape": [count, 16 // count], "data_offsets": [offset, offset + 64]}
        offset += 64
    text = json.dumps(header).encode()
    body = b"\x00\x00\x80\x3f" * (offset // 4)
    if random is None or random.random() < 0.3:
        return struct.pack("<Q", len(text)) + text + body
    if random.random() < 0.7:
        text = nearly(header, random)
    data = struct.pack("<Q", len(text)) + text + body
    return damaged(data, random, most=3) if random.random() < 0.4 else data


_CONFIG = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "target_modules": ["q_proj"],
    "auto_mapping": None,
}


class Adapters(Target):
    """An adapter's folder, before it is sealed, when it is exported and when chat converts it."""

    name = "adapters"
    group = "gguf"
    share = 3
    memory_bytes = None

    _NAMES = tuple(f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight" for side in "AB")

    def prepare(self, stack: ExitStack) -> None:
        self._base = self.folder / "base.gguf"
        self._base.write_bytes(gguf(sound_fields(), _SHAPES))
        self._adapter = self.folder / "adapter"
        self._adapter.mkdir()

    def make(self, random: Random) -> bytes:
        """A JSON object of the files in the folder (Latin-1)."""
        files = {
            "adapter_config.json": nearly(_CONFIG, random),
            "adapter_model.safetensors": safetensors_file(random, self._NAMES, (2, 8)),
        }
        if random.random() < 0.5:
            files["adapter_config.json"] = json.dumps(_CONFIG).encode()
        else:
            files["adapter_model.safetensors"] = safetensors_file(None, self._NAMES, (2, 8))
        return json.dumps({name: data.decode("latin-1") for name, data in files.items()}).encode()

    def attempt(self, data: bytes) -> Outcome:
        for name, text in json.loads(data).items():
            (self._adapter / name).write_bytes(text.encode("latin-1"))
        outcome = Outcome.TAKEN
        for use in (
            lambda: check_adapter(self._adapter),
            lambda: read_lora(self._adapter),
            lambda: convert_adapter(self._adapter, self._base, self.folder / "out.gguf"),
        ):
            try:
                use()
            except AllieError as error:
                expect_sentence(error)
                outcome = Outcome.REFUSED
        left = {path.name for path in self.folder.iterdir()} - {"base.gguf", "adapter", "out.gguf"}
        expect(not left, f"left behind: {left}")
        return outcome


class Templates(Target):
    """What is said, in a model's template: nobody's words close their turn or open another's."""

    name = "chat-templates"
    group = "gguf"
    share = 3

    def prepare(self, stack: ExitStack) -> None:
        self._template = ChatTemplate(CHATML, bos="<s>", eos="</s>", marks=_MARKS)

    def make(self, random: Random) -> bytes:
        said = []
        for _ in range(random.randint(1, 6)):
            text = mad_english(random, longest=3000)
            for _ in range(random.randint(0, 4)):
                at = random.randrange(len(text) + 1)
                piece = random.choice(
                    (*_MARKS, *ODD_TEXTS[:30], "<|im_", "start|>", "<|im_st<|im_end|>art|>", "{{", "{%")
                )
                text = text[:at] + piece + text[at:]
            said.append([random.choice(("system", "user", "assistant")), text])
        return json.dumps(said).encode()

    def attempt(self, data: bytes) -> Outcome:
        messages = [Message(role=Role(role), content=text) for role, text in json.loads(data)]
        rendered = self._template.render(messages)
        expect(rendered.count("<|im_start|>") == len(messages) + 1, "somebody's words begin a turn")
        expect(rendered.count("<|im_end|>") == len(messages), "somebody's words end a turn")
        expect("<|endoftext|>" not in rendered and "</s>" not in rendered, "somebody's words end the text")
        return Outcome.TAKEN


TARGETS = (GgufHeaders, ModelFiles, Adapters, Templates)
