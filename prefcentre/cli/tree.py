"""The tree of commands, of which one call loads only what it names: an import needs no templates, a mail no CSV."""

from importlib import import_module

import typer

# Each command or group of commands, in the order of the help: the module under cli/ and the name in it.
_HOMES = {
    "demo": ("demo", "demo"),
    "init": ("setup", "init"),
    "run": ("run", "run"),
    "web": ("run", "web"),
    "worker": ("run", "worker"),
    "doctor": ("doctor", "doctor"),
    "db": ("database", "app"),
    "topics": ("topics", "app"),
    "notices": ("notices", "app"),
    "subscribers": ("subscribers", "app"),
    "consents": ("consents", "app"),
    "suppressions": ("suppressions", "app"),
    "campaigns": ("campaigns", "app"),
    "tracking": ("tracking", "app"),
    "feedback": ("inbound", "app"),
    "limits": ("limits", "app"),
    "exports": ("exports", "app"),
    "contact": ("contact", "app"),
    "surveys": ("surveys", "app"),
    "retention": ("retention", "app"),
    "records": ("records", "app"),
    "staff": ("staff", "app"),
}


def tree(first: str | None = None) -> typer.Typer:
    """All commands, or only ``first`` and what is under it, when that is one of them."""
    app = typer.Typer(
        name="prefcentre",
        help="A self-hosted preference centre and campaign sender.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    # Without a callback Typer makes a lone command the whole program, and its name an argument too many.
    app.callback()(_nothing)
    for name, (module, part) in _HOMES.items():
        if first in _HOMES and name != first:
            continue
        found = getattr(import_module(f"prefcentre.cli.{module}"), part)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def _nothing() -> None:
    pass
