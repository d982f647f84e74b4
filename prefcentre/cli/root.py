"""The tree of commands. Each group lives in a module of its own."""

from importlib import import_module

import typer

from prefcentre.cli import database, doctor, run, setup

app = typer.Typer(
    name="prefcentre",
    help="A self-hosted preference centre and campaign sender.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("init")(setup.init)
app.command("run")(run.run)
app.command("web")(run.web)
app.command("worker")(run.worker)
app.command("doctor")(doctor.doctor)
app.add_typer(database.app, name="db")

for _name in ("topics", "subscribers", "consents", "suppressions", "campaigns"):
    try:
        app.add_typer(import_module(f"prefcentre.cli.{_name}").app, name=_name)
    except ModuleNotFoundError as _error:
        if _error.name != f"prefcentre.cli.{_name}":
            raise
