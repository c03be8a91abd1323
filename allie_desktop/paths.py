"""Where the program keeps its files. ``ALLIE_HOME`` moves every one of them into one folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from allie_desktop.domain.errors import AllieError

#: The environment variable that moves everything.
HOME_VARIABLE = "ALLIE_HOME"

_PROGRAM = "allie-desktop"
_FOLDER_MODE = 0o700  # conversations are nobody else's business


class HomeError(AllieError):
    """Allie's own folder cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPaths:
    """Allie's folders. ``data`` is the person's and must not be lost; ``cache`` may be deleted at any time.
    ``unpacked`` is another home's cache, to share what was made there of base models.

    Making an object touches no disk; :meth:`prepare` creates the folders.
    """

    data: Path
    cache: Path
    logs: Path
    unpacked: Path | None = None

    @classmethod
    def in_folder(cls, home: Path) -> AppPaths:
        """Return paths that all lie in ``home``."""
        return cls(data=home, cache=home / "cache", logs=home / "logs")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> AppPaths:
        """Return the paths that ``ALLIE_HOME`` names, or else the platform's own places."""
        chosen = (os.environ if environment is None else environment).get(HOME_VARIABLE, "")
        if chosen.strip():
            return cls.in_folder(Path(os.path.abspath(Path(chosen).expanduser())))
        import platformdirs  # only here: a tenth of the time of `allie --help`

        folders = platformdirs.PlatformDirs(_PROGRAM, appauthor=False)
        return cls(
            data=Path(folders.user_data_dir),
            cache=Path(folders.user_cache_dir),
            logs=Path(folders.user_log_dir),
        )

    @property
    def base_cache(self) -> Path:
        """Unpacked base models and their hashes: nothing in there is the person's."""
        return self.unpacked or self.cache

    @property
    def converted_adapters(self) -> Path:
        """Copies of the versions in the chat engine's form."""
        return self.cache / "gguf-adapters"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data / "allie.sqlite3"

    @property
    def models(self) -> Path:
        """The folder with one folder a base model, each with the versions made on top of it."""
        return self.data / "models"

    @property
    def bases(self) -> Path:
        """The folder with the base models that were downloaded."""
        return self.data / "bases"

    @property
    def episodes(self) -> Path:
        """The folder with one folder an episode: plan, checkpoints, candidate, report."""
        return self.data / "episodes"

    @property
    def drafts(self) -> Path:
        """What was typed in the chat window and not sent."""
        return self.data / "drafts.json"

    @property
    def log_file(self) -> Path:
        """The program's log."""
        return self.logs / "allie.log"

    @property
    def api_token(self) -> Path:
        """The token of the local service."""
        return self.data / "api-token"

    @property
    def chat_busy(self) -> Path:
        """The sign that somebody is being answered; see ``ipc.chat_busy``."""
        return self.data / "chat.busy"

    @property
    def chat_log(self) -> Path:
        """What the chat process writes to its stderr."""
        return self.logs / "chat.log"

    def prepare(self) -> AppPaths:
        """Create the folders, readable by this person alone; raise :class:`HomeError` when it cannot be."""
        for folder in (self.data, self.cache, self.logs, self.models, self.episodes):
            try:
                folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            except FileExistsError:
                raise HomeError(f"{folder} is a file, not a folder.", _REMEDY) from None
            except OSError as error:
                raise HomeError(f"The folder {folder} cannot be made: {_why(error)}.", _REMEDY) from error
        # A folder that exists may still refuse files (another owner, a read-only disk).
        try:
            with tempfile.TemporaryFile(dir=self.data):
                pass
        except OSError as error:
            raise HomeError(f"Nothing can be written to {self.data}: {_why(error)}.", _REMEDY) from error
        return self


_REMEDY = f"Set the environment variable {HOME_VARIABLE} to a folder that you may write to."


def resource(name: str) -> Path:
    """Return a file that comes with the program; raise :class:`AllieError` when there is none.

    A wheel carries the resources inside the package, a checkout beside it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "resources", package.parent / "resources"):
        file = folder / name
        if file.exists():
            return file
    raise AllieError(
        f"The program's own file {name} is missing.", "Install Allie again; its installation is not complete."
    )


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
