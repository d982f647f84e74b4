"""The tree of commands. Each group lives in a module of its own."""

import typer

from prefcentre.cli import (
    campaigns,
    consents,
    database,
    demo,
    doctor,
    run,
    setup,
    subscribers,
    suppressions,
    topics,
)

app = typer.Typer(
    name="prefcentre",
    help="A self-hosted preference centre and campaign sender.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("init")(setup.init)
app.command("run")(run.run)
app.command("web")(run.web)
app.command("worker")(run.worker)
app.command("doctor")(doctor.doctor)
app.add_typer(database.app, name="db")
app.add_typer(topics.app, name="topics")
app.add_typer(subscribers.app, name="subscribers")
app.add_typer(consents.app, name="consents")
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(campaigns.app, name="campaigns")
