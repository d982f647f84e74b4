"""What all commands share: the open context, the ``--json`` option and how an answer is printed."""

import getpass
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from prefcentre import settings
from prefcentre.context import Context, open_context
from prefcentre.log import start_log
from prefcentre.metrics import meters
from prefcentre.migrations import current

JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output and nothing else there."),
]

out = Console(highlight=False, soft_wrap=True)
"""Standard output, for people."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error: progress, hints and warnings, so that they never get into an answer."""


@contextmanager
def opened() -> Iterator[Context]:
    """The context of a command. Raises SettingsError or Unavailable with what to do."""
    found = settings.load()
    # A person at a terminal gets the answer; facts go to whoever collects standard error.
    start_log("command", quiet=found.demo or err.is_terminal)
    meters.keep_in(found.data_dir)
    with open_context(found) as context:
        current.require_current(context.db)
        yield context


def answer(as_json: bool, data: Mapping[str, Any], text: str | None = None) -> None:
    """Print ``data`` as one JSON object, or ``text`` for people (by default the data, a line each)."""
    if as_json:
        typer.echo(json.dumps(data, default=_plain, ensure_ascii=False))
    elif text is not None:
        out.print(text, markup=False)
    else:
        for name, value in data.items():
            out.print(f"{name}: {value}", markup=False)


def staff() -> str:
    """Who sits at this machine, for the account of what was done."""
    try:
        return f"command by {getpass.getuser()}"
    except (OSError, KeyError):
        # A container may run under a number that nobody has given a name.
        return "command"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
