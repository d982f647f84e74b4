"""Writes the parts of the documentation that are lists of what is in the code; a test compares them."""

import enum
import importlib
import inspect
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from cryptography.fernet import Fernet
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined
from sqlmodel import SQLModel

import prefcentre
from prefcentre import app as composition
from prefcentre.cli.root import app as command_line
from prefcentre.context import open_context
from prefcentre.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
# Set by "prefcentre demo" for itself and by tests; nobody else has to know them.
_INTERNAL = {"demo", "demo_inbox", "failpoint"}


def settings() -> str:
    """Every setting: its variable, its default, what it is."""
    rows = [row for row in _fields(Settings, "PREFCENTRE_") if row[0] not in _INTERNAL]
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    lines += [f"| `{variable}` | {default} | {text} |" for _, variable, default, text in rows]
    return "\n".join(lines)


def commands() -> str:
    """Every command with its arguments and options."""
    return "\n\n".join(_section(name, command) for name, command in leaves())


def command_table() -> str:
    """Every command on a line of its own."""
    lines = ["| command | what it does |", "|---|---|"]
    lines += [
        f"| `prefcentre {name}` | {_first_sentence(command.help)} |" for name, command in leaves()
    ]
    return "\n".join(lines)


def routes() -> str:
    """Every address that the web server answers, without the style sheets."""
    lines = ["| address | methods | what it is |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for rule, methods, text in _rules(Path(folder)):
            lines.append(f"| `{rule}` | {methods} | {text} |")
    return "\n".join(lines)


def tables() -> str:
    """Every table and what a row of it is."""
    lines = ["| table | class | what a row is |", "|---|---|---|"]
    lines += [
        f"| `{found.__tablename__}` | `{found.__name__}` | {_first_sentence(found.__doc__)} |"
        for found in sorted(_classes(SQLModel), key=lambda one: str(one.__tablename__))
    ]
    return "\n".join(lines)


def values() -> str:
    """Every list of named values, with its members."""
    lines = ["| name | what it says | values |", "|---|---|---|"]
    for found in sorted(_classes(enum.Enum), key=lambda one: (one.__name__, one.__module__)):
        home = found.__module__.removeprefix("prefcentre.")
        members = ", ".join(f"`{_value(member)}`" for member in found)
        lines.append(
            f"| {found.__name__} ({home}) | {_first_sentence(found.__doc__)} | {members} |"
        )
    return "\n".join(lines)


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("docs/settings.md", settings),
    "commands": ("docs/commands.md", commands),
    "command-table": ("README.md", command_table),
    "routes": ("docs/routes.md", routes),
    "tables": ("docs/glossary.md", tables),
    "values": ("docs/glossary.md", values),
}


def written(part: str) -> str:
    """What a page says at present between the marks of a part."""
    page = (ROOT / PARTS[part][0]).read_text(encoding="utf-8")
    found = _pattern(part).search(page)
    return found[2].strip() if found else ""


def write(part: str) -> None:
    """Put the present state of the code between the marks of a part."""
    file, make = PARTS[part]
    path, text = ROOT / file, make()
    page = path.read_text(encoding="utf-8")
    changed = _pattern(part).sub(lambda found: f"{found[1]}\n\n{text}\n\n{found[3]}", page)
    path.write_text(changed, encoding="utf-8")


def leaves(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, as people type it."""
    command = command or typer.main.get_command(command_line)
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for word, child in children.items():
        yield from leaves(child, f"{name} {word}".strip())


def _pattern(part: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {part}: [^\n]*-->)\n(.*?)\n(<!-- end of {part} -->)", re.DOTALL)


def _section(name: str, command: Any) -> str:
    shown = [
        one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"
    ]
    arguments = "".join(
        f" {one.name.upper()}" for one in shown if one.param_type_name == "argument"
    )
    text = " ".join((command.help or "").split())
    lines = [f"### `prefcentre {name}{arguments}`", "", text]
    rows = [f"| `{_spelling(one)}` | {one.help or ''} |" for one in shown]
    return "\n".join(
        [*lines, *(["", "| option | what it does |", "|---|---|", *rows] if rows else [])]
    )


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name.upper())
    words = ", ".join([*parameter.opts, *parameter.secondary_opts])
    if parameter.is_flag:
        return words
    return f"{words} {parameter.metavar or parameter.name.upper()}"


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name}".upper()
        if (group := _group(field.annotation)) is not None:
            yield from _fields(group, f"{variable}__")
        else:
            yield name, variable, _default(field.default), field.description or ""


def _group(annotation: Any) -> type[BaseModel] | None:
    # A group that is off until it is set may be missing.
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one if one is annotation or type(None) in get_args(annotation) else None
    return None


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined or value in ("", ()):
        return "none"
    assert not isinstance(value, SecretStr)  # noqa: S101 - a secret must never become a documented default.
    return f"`{value}`"


def _rules(folder: Path) -> Iterator[tuple[str, str, str]]:
    keys = {
        name: ["a key that is used for nothing"]
        for name in ("secret_keys", "lookup_keys", "chain_keys")
    }
    made = Settings(home=folder, tracking_keys=[Fernet.generate_key().decode()], **keys)  # type: ignore[arg-type]
    with open_context(made) as context:
        app = composition.create_app(context)
        for rule in sorted(
            app.url_map.iter_rules(), key=lambda one: (one.rule, sorted(one.methods or ()))
        ):
            if rule.rule.startswith("/style/"):
                continue
            view = app.view_functions[rule.endpoint]
            text = _first_sentence(inspect.getdoc(getattr(view, "func", view)))
            methods = ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
            yield _address(rule.rule), methods, text


def _address(rule: str) -> str:
    names = {"text": "token", "number": "n"}
    return re.sub(r"<(?:[^<>:]*:)?(\w+)>", lambda found: f"<{names.get(found[1], found[1])}>", rule)


def _classes(base: type) -> Iterator[Any]:
    for module in sorted(
        found.name for found in pkgutil.walk_packages(prefcentre.__path__, "prefcentre.")
    ):
        if {"migrations", "testing", "__main__"}.isdisjoint(module.split(".")):
            for found in vars(importlib.import_module(module)).values():
                if _is_own(found, module) and issubclass(found, base):
                    yield found


def _is_own(found: Any, module: str) -> bool:
    if not inspect.isclass(found) or found.__module__ != module or found.__name__.startswith("_"):
        return False
    return issubclass(found, enum.Enum) or hasattr(found, "__table__")


def _value(member: enum.Enum) -> str:
    return member.value if isinstance(member.value, str) else member.name.lower()


def _first_sentence(text: str | None) -> str:
    first = " ".join((text or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", first)[0].replace("``", "`")


if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        write(name)
