"""``allie models``: which base models there are, fetching one, choosing one."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allie_desktop.cli.output import JsonOption, console, print_json, print_table, say, say_aside
from allie_desktop.domain.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.progress import Progress, TaskID
    from typing_extensions import Self

    from allie_desktop.models.download import DownloadStep
    from allie_desktop.models.offers import Offer

models = typer.Typer(
    help="Show, download and choose base models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_LINE_SECONDS = 10.0

_NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="As in `allie models list`, or OWNER/NAME[@REVISION] of the hub."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(models, name="models")


@models.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the base models that Allie knows."""
    from allie_desktop import bootstrap
    from allie_desktop.models.catalogue import base_name
    from allie_desktop.models.offers import OFFERS

    with bootstrap.open_program() as program:
        downloads, chosen = program.downloads(), base_name(program.preferences.base_model)
        rows = [(offer, not offer.repository or downloads.installed(offer) is not None) for offer in OFFERS]
    if as_json:
        print_json(
            [
                {
                    "name": offer.name,
                    "title": offer.title,
                    "description": offer.description,
                    "licence": offer.licence,
                    "repository": offer.repository,
                    "revision": offer.revision,
                    "size_bytes": offer.size_bytes,
                    "memory_bytes": offer.memory_bytes,
                    "here": here,
                    "chosen": offer.title == chosen,
                }
                for offer, here in rows
            ]
        )
        return
    print_table(
        ("Name", "Model", "Download", "Memory", "Licence", "About"),
        [
            (
                ("* " if offer.title == chosen else "  ") + offer.name,
                offer.title,
                "here" if here else _gb(offer.size_bytes),
                _gb(offer.memory_bytes),
                offer.licence,
                offer.description,
            )
            for offer, here in rows
        ],
    )
    if chosen not in {offer.title for offer, _ in rows}:
        say(f"* {chosen} is in use.")


@models.command()
def get(name: _NameArgument, as_json: JsonOption = False) -> None:
    """Download a base model: weights as safetensors, never a program.

    Ctrl+C ends it; started again, it goes on from where it was.
    """
    from allie_desktop import bootstrap
    from allie_desktop.models.offers import offer_of

    offer = offer_of(name)
    with bootstrap.open_program() as program, _Bar(offer.title, quiet=as_json) as bar:
        folder = program.downloads().fetch(offer, bar.show)
    assert folder is not None  # nobody cancelled it
    if as_json:
        print_json({"name": offer.name, "path": str(folder)})
    else:
        say(f"{offer.title} is in {folder}. `allie models use {_setting(offer.name, folder)}` chooses it.")


@models.command()
def use(name: _NameArgument, as_json: JsonOption = False) -> None:
    """Choose the base model to talk to and to learn on: a name, a GGUF file, or a folder.

    Each base model has versions of its own; those of the other one stay.
    """
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        base = program.choose_base(_chosen(name, program.downloads().installed))
        versions = [v.metadata.version for v in program.versions.all()]
    if as_json:
        print_json({"base": base.name, "path": base.path, "sha256": base.sha256, "versions": versions})
        return
    say(f"{base.name} is the base model now.")
    say(f"Its versions: {', '.join(versions)}." if versions else "There are no versions of it yet.")


def _chosen(name: str, installed: Callable[[Offer], Path | None]) -> str:
    """Return what goes into the settings: an offer's name as it is, a path absolute, a repository of the
    hub as the folder that it was downloaded to."""
    from allie_desktop.models.offers import known_offer, offer_of

    if known_offer(name) is not None:
        return name.lower()
    path = Path(name).expanduser()
    with contextlib.suppress(OSError):
        if path.exists():
            return str(path.resolve())
    try:
        offer = offer_of(name)
    except ModelError:
        return name
    if known_offer(offer.name) is not None:
        return offer.name
    folder = installed(offer)
    return name if folder is None else str(folder)


def _setting(name: str, folder: Path) -> str:
    from allie_desktop.models.offers import known_offer

    return name if known_offer(name) is not None else f'"{folder}"'


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes else ""


class _Bar:
    """Progress on stderr: a bar where there is a terminal, now and then a line where not."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self._title, self._quiet = title, quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            columns = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            text = TextColumn("{task.description}")
            self._bar = Progress(text, BarColumn(bar_width=30), *columns, console=console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, step: DownloadStep) -> None:
        """Show how far it is."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step.done_bytes, total=step.total_bytes)
        elif not self._quiet and time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            say_aside(f"{self._title}: {_gb(step.done_bytes) or '0.0 GB'} of {_gb(step.total_bytes)}")
