"""The tree of commands. Each group lives in a module of its own."""

import typer

from prefcentre.cli import database

app = typer.Typer(
    name="prefcentre",
    help="A self-hosted preference centre and campaign sender.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(database.app, name="db")
