"""Every error a person can meet: one sentence of what happened and one of what to do.

The command line and the windows print ``str(error)``; they never format these
messages themselves. An error class carries the exit code of design section 14.
"""

from __future__ import annotations

from typing import ClassVar


class AllieError(Exception):
    """Something went wrong that a person can understand.

    ``message`` says what happened, ``remedy`` what to do next; both are whole sentences.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class BadInputError(AllieError):
    """The person gave something that cannot be used (exit code 2)."""

    exit_code = 2


class ImportFileError(BadInputError):
    """A whole file could not be read as conversations (single lines are refused one by one)."""


class SettingError(BadInputError):
    """A setting's value is of the wrong type or outside its range."""


class UnknownVersionError(BadInputError):
    """No adapter version has this name."""


class UnknownConversationError(BadInputError):
    """No conversation has this id."""


class StoreError(AllieError):
    """The conversation store cannot be used."""


class StoreTooNewError(StoreError):
    """The store was written by a newer Allie."""


class StoreCorruptError(StoreError):
    """SQLite's integrity check found damage."""


class StoreBusyError(StoreError):
    """Another process holds the store's write lock."""


class DiskFullError(AllieError):
    """There is not enough free disk space."""


class ModelError(AllieError):
    """A base model cannot be used."""


class UnknownModelError(ModelError):
    """The person named a model that there is not (exit code 2)."""

    exit_code = 2


class UnsafeModelError(ModelError):
    """The model folder holds a pickle or asks for remote code."""


class MissingChatTemplateError(ModelError):
    """The model has no chat template, so nobody can tell whose words are whose."""


class CorruptModelError(ModelError):
    """A model file is truncated or not what its name says."""


class VersionCorruptError(AllieError):
    """A sealed version no longer matches its manifest."""


class ProbeError(AllieError):
    """A version could not be tried, which says nothing about the version."""


class HeldError(AllieError):
    """Learning may not run now (exit code 4)."""

    exit_code = 4


class EpisodeBusyError(HeldError):
    """Another process is running an episode in this home."""


class TrainingError(AllieError):
    """Training ended without a candidate."""


class OutOfMemoryError(TrainingError):
    """The device ran out of memory even at the smallest batch."""


class TrainingUnstableError(TrainingError):
    """The loss or its gradient stopped being a number, or spiked beyond recovery."""


class WorkerCrashedError(TrainingError):
    """The worker process ended without saying why."""


class DataChangedError(TrainingError):
    """The plan on disk is not the plan that was hashed."""


class ProtocolError(AllieError):
    """A line between processes was not a message of the protocol."""
