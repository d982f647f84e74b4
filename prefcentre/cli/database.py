"""prefcentre db: bring the tables up to date, and check them."""

import typer

from prefcentre import failpoints, settings
from prefcentre.cli.common import JsonOption, answer
from prefcentre.db import Database
from prefcentre.migrations import runner

app = typer.Typer(help="The database's tables.", no_args_is_help=True)


@app.command()
def upgrade(*, as_json: JsonOption = False) -> None:
    """Make the tables, or bring them up to date. Safe to run again."""
    found = settings.load()
    failpoints.arm(found.failpoint)
    db = Database(found)
    runner.upgrade(db)
    revisions = {found.history: found.revision for found in runner.check(db)}
    db.close()
    answer(as_json, {"revisions": revisions}, "The database is up to date.")


@app.command()
def check(*, as_json: JsonOption = False) -> None:
    """Say whether tables and program agree. Exits with 1 when they do not."""
    db = Database(settings.load())
    found = runner.check(db)
    db.close()
    differences = [f"{part.history}: {text}" for part in found for text in part.differences]
    differences += [
        f"{part.history}: at {part.revision}, newest is {part.newest}"
        for part in found
        if not part.is_current
    ]
    answer(
        as_json,
        {"ok": not differences, "differences": differences},
        "Tables and program agree."
        if not differences
        else "\n".join([*differences, "Run “prefcentre db upgrade”."]),
    )
    raise typer.Exit(1 if differences else 0)
