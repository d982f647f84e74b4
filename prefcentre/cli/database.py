"""prefcentre db: bring the tables up to date, and check them."""

from typing import TYPE_CHECKING, Any

import typer

from prefcentre import failpoints, settings
from prefcentre.cli.common import JsonOption, answer, opened, staff
from prefcentre.db import Database
from prefcentre.migrations import runner

if TYPE_CHECKING:
    from prefcentre.rights.service import Gap

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


@app.command(name="restore-check")
def restore_check(*, as_json: JsonOption = False) -> None:
    """Say whether the database is older than the journal of opt-outs beside it. Exits with 1 when it is."""
    from prefcentre.rights import service as rights

    with opened() as context, context.db.reading() as session:
        gap = rights.look_at_journal(session, context)
    words = "The database knows of everything that the journal says."
    if gap.is_behind:
        words = (
            f"{_told(gap)} The database comes from a backup; nothing is sent until it has caught up. "
            "Run “prefcentre db catch-up”, or start a worker, which does the same first."
        )
    answer(as_json, _data(gap), words)
    raise typer.Exit(1 if gap.is_behind else 0)


@app.command(name="catch-up")
def catch_up(*, as_json: JsonOption = False) -> None:
    """Do again what opted people out, restricted or erased them since the backup that this database comes from.

    Campaigns that were under way are held. The ends of the consent ledger that were written since are put aside, so
    that it verifies again; they are kept beside it.
    """
    from prefcentre.rights import service as rights

    with opened() as context:
        gap = rights.catch_up(context, actor=staff())
        aside = rights.put_lost_ends_aside(context)
    words = _told(gap) if gap.is_behind else "There was nothing to catch up on."
    if gap.is_behind:
        words += " All of it is done."
    if gap.campaigns:
        words += f" Held until a person looks: {', '.join(gap.campaigns)}."
    if aside:
        words += f" {aside:,} ends of the consent ledger that are newer than it are put aside."
    answer(as_json, {**_data(gap), "behind": False, "ledger_ends_put_aside": aside}, words)


def _data(gap: "Gap") -> dict[str, Any]:
    return {
        "behind": gap.is_behind,
        "lines": gap.lines,
        "since": gap.since,
        "kinds": gap.kinds,
        "campaigns": list(gap.campaigns),
    }


def _told(gap: "Gap") -> str:
    if not gap.is_behind:
        return ""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(gap.kinds.items()))
    since = f"{gap.since:%Y-%m-%d %H:%M} UTC" if gap.since else "then"
    return f"Since {since} the journal says: {kinds}."
