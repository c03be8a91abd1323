"""Messages and documents that cross the border between the program and its worker.

A *message* is one line of JSON, ``{"v":1,"type":"StepFinished","data":{…}}``; its types are the event
and command classes of ``domain.events``. The two ends are always of one program, so decoding is
strict: whatever is not exactly a message of this version is a :class:`ProtocolError`.

A *document* is a file of pretty JSON that a person can read: plan, job, report, metadata, pointer. Its
form is deterministic. JSON has no word for numbers that are not finite; in a document such a number
is ``{"$float": "nan"}`` (or ``inf``, ``-inf``), so that a report of a training that blew up is still
a report.

Nothing here touches a disk but :func:`load_plan`. All functions may be called from any thread.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast, get_args, get_type_hints

import msgspec

from allie_desktop.domain.errors import DataChangedError, ProtocolError
from allie_desktop.domain.events import PROTOCOL_VERSION, Job, WorkerCommand, WorkerEvent
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.validation import WorkerReport
from allie_desktop.domain.versions import ActivePointer, VersionMetadata

#: The longest line that either side reads, in bytes without its newline.
MAXIMUM_LINE_BYTES = 1024 * 1024

#: Texts in messages are for people; the end of a longer one is cut off when it is sent.
MAXIMUM_TEXT_CHARACTERS = 10_000

_LARGEST_FLOAT = 1.7976931348623157e308
_FLOAT_KEY = "$float"
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_SURROGATE = re.compile("[\ud800-\udfff]")

_EVENTS: dict[str, type] = {cls.__name__: cls for cls in get_args(WorkerEvent)}
_COMMANDS: dict[str, type] = {cls.__name__: cls for cls in get_args(WorkerCommand)}
_OPTIONAL: dict[type, frozenset[str]] = {
    cls: frozenset(name for name, hint in get_type_hints(cls).items() if type(None) in get_args(hint))
    for cls in (*_EVENTS.values(), *_COMMANDS.values())
}

_DOCUMENTS: dict[type, str] = {
    Plan: "plan",
    Job: "job",
    WorkerReport: "worker's report",
    VersionMetadata: "version's metadata",
    ActivePointer: "pointer to the active version",
}

Document = TypeVar("Document", Plan, Job, WorkerReport, VersionMetadata, ActivePointer)


# --- messages ---------------------------------------------------------------------------------------


def encode(message: WorkerEvent | WorkerCommand) -> bytes:
    """Return a message as one line, newline included.

    It never fails for what a message says: a number that is not finite becomes null where a field
    may be empty and else the largest float, since what cannot be measured is as bad as can be; texts
    are cut at :data:`MAXIMUM_TEXT_CHARACTERS` and lose what UTF-8 cannot carry. Raise
    :class:`ProtocolError` for an object that is no message.
    """
    cls = type(message)
    if cls not in _OPTIONAL:
        raise ProtocolError(f"{cls.__name__} is not a message of the protocol.")
    data = {
        field.name: _sendable(getattr(message, field.name), field.name in _OPTIONAL[cls])
        for field in fields(message)
    }
    return msgspec.json.encode({"v": PROTOCOL_VERSION, "type": cls.__name__, "data": data}) + b"\n"


def decode_event(line: bytes) -> WorkerEvent:
    """Return the event that a worker's line tells, or raise :class:`ProtocolError`."""
    return cast("WorkerEvent", _decode(line, _EVENTS, "event"))


def decode_command(line: bytes) -> WorkerCommand:
    """Return the command that a parent's line gives, or raise :class:`ProtocolError`."""
    return cast("WorkerCommand", _decode(line, _COMMANDS, "command"))


def _sendable(value: object, optional: bool) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        if optional:
            return None
        return -_LARGEST_FLOAT if value == -math.inf else _LARGEST_FLOAT
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value[:MAXIMUM_TEXT_CHARACTERS])
    if isinstance(value, tuple):
        return [_sendable(item, False) for item in value]
    return value


def _decode(line: bytes, types: dict[str, type], kind: str) -> object:
    if len(line) > MAXIMUM_LINE_BYTES + 1:
        raise ProtocolError(f"A line of {len(line):,} bytes is too long for an {kind}.")
    try:
        envelope = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"A line is not JSON: {error}.") from error
    if not isinstance(envelope, dict) or envelope.keys() != {"v", "type", "data"}:
        raise ProtocolError("A line is JSON, but not a message.")
    version, name, data = envelope["v"], envelope["type"], envelope["data"]
    if type(version) is not int or version != PROTOCOL_VERSION:
        raise ProtocolError(f"A message speaks protocol {version!r}; this program speaks {PROTOCOL_VERSION}.")
    cls = types.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ProtocolError(f"There is no {kind} called {name!r}.")
    if not isinstance(data, dict):
        raise ProtocolError(f"The data of a {name} is not an object.")
    unknown = data.keys() - {field.name for field in fields(cls)}
    if unknown:
        raise ProtocolError(f"A {name} has no {min(unknown)!r}.")
    try:
        return msgspec.convert(data, cls)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ProtocolError(f"A {name} is not well formed: {error}.") from error


# --- documents --------------------------------------------------------------------------------------


def encode_document(document: Document) -> bytes:
    """Return a document as pretty, deterministic JSON in UTF-8 with a final newline."""
    if type(document) not in _DOCUMENTS:
        raise ProtocolError(f"{type(document).__name__} is not a document of the protocol.")
    plain = _without_odd_floats(msgspec.to_builtins(document, str_keys=True, order="deterministic"))
    return _utf8(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)) + b"\n"


def encode_text(text: str) -> bytes:
    """Return a text as it stands in a document, quotes included; for looking it up there."""
    return _utf8(json.dumps(text, ensure_ascii=False))


def decode_document(data: bytes, document: type[Document]) -> Document:
    """Return the document in ``data``, or raise :class:`ProtocolError` that says what is wrong where.

    Keys that this program does not know are ignored; a document of a newer format is refused.
    """
    return _converted(_parsed(data, _DOCUMENTS[document]), document)


def _utf8(text: str) -> bytes:
    # A lone surrogate is legal in a Python string and has no UTF-8; its escape is legal JSON.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode("utf-8")


def _parsed(data: bytes, what: str) -> dict[str, Any]:
    try:
        plain = parse_json(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ProtocolError(f"The {what} is not a text file.") from error
    except ValueError as error:
        raise ProtocolError(f"The {what} is not JSON: {error}.") from error
    if not isinstance(plain, dict):
        raise ProtocolError(f"The {what} is JSON, but not an object.")
    return plain


def _converted(plain: dict[str, Any], document: type[Document]) -> Document:
    what = _DOCUMENTS[document]
    known = {field.name: field.default for field in fields(document)}.get("format")
    found = plain.get("format", known)
    if isinstance(known, int) and isinstance(found, int) and found > known:
        raise ProtocolError(
            f"The {what} has format {found}, which a newer Allie wrote; this one knows up to {known}.",
            "Update Allie.",
        )
    try:
        return msgspec.convert(_with_odd_floats(plain), document)
    except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError) as error:
        # UnicodeError: half a surrogate pair where a word of ours is wanted
        raise ProtocolError(f"The {what} is not well formed: {error}.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _without_odd_floats(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT_KEY: str(value)}
    if isinstance(value, dict):
        return {key: _without_odd_floats(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_odd_floats(item) for item in value]
    return value


def _with_odd_floats(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_FLOAT_KEY} and isinstance(name := value[_FLOAT_KEY], str) and name in _FLOATS:
            return _FLOATS[name]
        return {key: _with_odd_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_odd_floats(item) for item in value]
    return value


# --- plans ------------------------------------------------------------------------------------------


def plan_digest(plan: Plan) -> str:
    """Return SHA-256 (hex) over the plan's canonical JSON without its digest.

    The same plan has the same digest before it is written and after it is read.
    """
    return _digest(msgspec.to_builtins(_normal(plan), str_keys=True))


def seal_plan(plan: Plan) -> Plan:
    """Return the plan as it will be read back, with its digest; raise :class:`DataChangedError` for one
    that could not be (a field of the wrong type)."""
    normal = _normal(plan)
    return replace(normal, digest=_digest(msgspec.to_builtins(normal, str_keys=True)))


def load_plan(path: Path, expected_digest: str) -> Plan:
    """Return the plan in a file; raise :class:`DataChangedError` unless it is, byte for byte in meaning,
    the plan that was hashed as ``expected_digest``."""
    remedy = "Start learning again; Allie then makes a new plan."
    try:
        plain = _parsed(path.read_bytes(), "plan")
        plan = _converted(plain, Plan)
    except OSError as error:
        raise DataChangedError(
            f"The plan {path} cannot be read: {error.strerror or type(error).__name__}.", remedy
        ) from error
    except ProtocolError as error:
        raise DataChangedError(f"{error.message.rstrip('.')} ({path}).", error.remedy or remedy) from error
    # Over the file as it is: a key that this program does not know is a change too.
    if not plan.digest == expected_digest == _digest(_with_odd_floats(plain)) == plan_digest(plan):
        raise DataChangedError(f"The plan {path} was changed after it was made.", remedy)
    return plan


def _normal(plan: Plan) -> Plan:
    # An int in a float field is read back as a float; the digest must not depend on that.
    try:
        return msgspec.convert(msgspec.to_builtins(plan, str_keys=True), Plan)
    except (msgspec.ValidationError, TypeError, OverflowError, UnicodeError) as error:
        raise DataChangedError(f"The plan is not well formed: {error}.") from error


def _digest(plain: dict[str, Any]) -> str:
    content = _without_odd_floats({key: value for key, value in plain.items() if key != "digest"})
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
