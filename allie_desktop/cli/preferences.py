"""``allie settings``: every option, with its range and its meaning."""

from __future__ import annotations

from typing import Annotated

import typer

from allie_desktop.cli.output import JsonOption, print_json, print_table, say
from allie_desktop.domain.errors import SettingError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.options import Kind, OptionSpec
from allie_desktop.domain.settings import Preferences, check, option_specs, saved_value

settings = typer.Typer(
    help="Show and change settings.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `allie settings list` shows it.")]
_SWITCH = {
    "on": True,
    "true": True,
    "yes": True,
    "1": True,
    "off": False,
    "false": False,
    "no": False,
    "0": False,
}


def register(app: typer.Typer) -> None:
    """Add the commands of this family."""
    app.add_typer(settings, name="settings")


@settings.command("list")
def list_settings(
    changed: Annotated[
        bool, typer.Option("--changed", help="Only those that differ from their default.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List all settings."""
    from allie_desktop import bootstrap

    with bootstrap.open_program() as program:
        preferences = program.preferences
        warnings = program.settings.warnings
    specs = [s for s in option_specs() if not changed or getattr(preferences, s.name) != s.default]
    if as_json:
        print_json([_document(spec, preferences) for spec in specs])
        return
    for warning in warnings:
        say(warning)
    rows = [(s.group.value, s.name, _shown(saved_value(preferences, s.name)), s.label) for s in specs]
    print_table(("Page", "Name", "Value", "Meaning"), rows)


@settings.command()
def get(name: _NameArgument, as_json: JsonOption = False) -> None:
    """Show one setting."""
    from allie_desktop import bootstrap

    spec = _spec(name)
    with bootstrap.open_program() as program:
        preferences = program.preferences
    if as_json:
        print_json(_document(spec, preferences))
        return
    say(f"{spec.name} = {_shown(saved_value(preferences, name))}")
    say(f"{spec.label}. {spec.explanation}")
    say(f"Allowed: {spec.allowed}. Default: {_shown(check_default(spec))}.")


@settings.command("set")
def set_(
    name: _NameArgument,
    value: Annotated[str, typer.Argument(help="The new value; a list as a,b,c.")],
    as_json: JsonOption = False,
) -> None:
    """Change one setting."""
    from allie_desktop import bootstrap

    spec = _spec(name)
    with bootstrap.open_program() as program:
        preferences = program.settings.set(name, parsed(spec, value))
    _report(spec, preferences, as_json=as_json)


@settings.command()
def reset(name: _NameArgument, as_json: JsonOption = False) -> None:
    """Go back to a setting's default."""
    from allie_desktop import bootstrap

    spec = _spec(name)
    with bootstrap.open_program() as program:
        preferences = program.settings.reset(name)
    _report(spec, preferences, as_json=as_json)


def parsed(spec: OptionSpec, text: str) -> object:
    """Return what ``text`` means for an option, as far as its kind tells; the domain checks the rest."""
    clean = text.strip()
    if spec.kind is Kind.SWITCH:
        return _SWITCH.get(clean.lower(), text)
    if spec.kind in (Kind.COUNT, Kind.NUMBER):
        try:
            number = parse_json(clean)
        except ValueError:
            return text
        return number if isinstance(number, (int, float)) else text
    if spec.kind is Kind.MOMENT:
        return None if clean.lower() in {"", "none", "nothing"} else clean
    if spec.kind is Kind.TEXTS:
        return [part.strip() for part in clean.split(",") if part.strip()]
    return text if spec.kind is Kind.TEXT else clean


def check_default(spec: OptionSpec) -> object:
    """Return an option's default in JSON types."""
    return saved_value(Preferences(), spec.name)


def _spec(name: str) -> OptionSpec:
    for spec in option_specs():
        if spec.name == name:
            return spec
    check(name, None)  # raises, with the names that are similar
    raise SettingError(f"There is no setting called {name!r}.")


def _document(spec: OptionSpec, preferences: Preferences) -> dict[str, object]:
    return {
        "name": spec.name,
        "value": saved_value(preferences, spec.name),
        "default": check_default(spec),
        "page": spec.group,
        "label": spec.label,
        "explanation": spec.explanation,
        "unit": spec.unit,
        "allowed": spec.allowed,
    }


def _report(spec: OptionSpec, preferences: Preferences, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(spec, preferences))
    else:
        say(f"{spec.name} = {_shown(saved_value(preferences, spec.name))}")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return str(value)
