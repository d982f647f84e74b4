"""prefcentre records: where data goes, the record of processing, and whom a breach concerns."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from prefcentre.cli.common import JsonOption, answer, opened, staff
from prefcentre.errors import InvalidInput
from prefcentre.records import service as records
from prefcentre.records.service import Breach
from prefcentre.transfers import service as transfers
from prefcentre.transfers.service import Endpoint, Standing

app = typer.Typer(
    help="Where data goes, the record of processing, whom a breach concerns.", no_args_is_help=True
)


@app.command()
def endpoints(*, as_json: JsonOption = False) -> None:
    """List every machine and company that gets people's data, and where each stands."""
    with opened() as context, context.db.reading() as session:
        known = transfers.acknowledged(session, context.settings)
        found = transfers.endpoints(context.settings)
    data = [
        {
            "role": one.role,
            "name": one.name,
            "host": one.host,
            "country": one.country or None,
            "standing": one.standing,
            "data": one.data,
            "acknowledged": known[one.host].basis if one.host in known else None,
        }
        for one in found
    ]
    lines = [_line(one, acknowledged=one.host in known) for one in found]
    answer(as_json, {"endpoints": data}, "\n".join(lines) or "Data goes nowhere.")


@app.command()
def acknowledge(
    host: Annotated[str, typer.Argument(help="The machine, as the settings name it.")],
    *,
    basis: Annotated[str, typer.Option(help="On which ground data may go there (art. 44-49).")],
    as_json: JsonOption = False,
) -> None:
    """Answer for sending data to a machine outside of the region; a mail server there is used from then on."""
    with opened() as context, context.db.writing() as session:
        transfers.acknowledge(session, context, host, basis, staff())
    answer(as_json, {"host": host, "acknowledged": True}, f"{host} may get data.")


@app.command()
def revoke(
    host: Annotated[str, typer.Argument(help="The machine, as the settings name it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Take back what was acknowledged of a machine; a mail server there is not used any more."""
    with opened() as context, context.db.writing() as session:
        transfers.revoke(session, context, host, staff())
    answer(as_json, {"host": host, "acknowledged": False}, f"{host} gets no data any more.")


@app.command()
def processing(*, as_json: JsonOption = False) -> None:
    """Print the record of processing activities (GDPR art. 30), made from the settings as they are."""
    with opened() as context, context.db.reading() as session:
        found = records.record(session, context)
    answer(as_json, found, records.as_markdown(found))


@app.command()
def breach(
    *,
    since: Annotated[str, typer.Option("--from", help="Its beginning, such as 2026-11-01T08:00.")],
    until: Annotated[str, typer.Option("--to", help="Its end; times are UTC.")],
    account: Annotated[
        str | None,
        typer.Option(help="Only what this account did and saw, as “Who did what” names it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write everybody into this CSV file; it must not exist yet.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count the people whom a breach concerns and the classes of their data, and list them in a file."""
    asked = Breach(_moment(since), _moment(until), account)
    with opened() as context:
        if out is None:
            found = records.affected(context, asked)
        else:
            try:
                target = out.open("x", encoding="utf-8", newline="")
            except OSError as error:
                raise InvalidInput(f"{out} can't be written: {error.strerror}.") from error
            with target:
                out.chmod(0o600)
                found = records.affected(context, asked, target)
    data: dict[str, Any] = {
        "people": found.people,
        "classes": found.classes,
        "languages": found.languages,
        "contact_requests": found.contact_requests,
        "lists": found.lists,
        "erased_since": found.erased_since,
        "file": str(out) if out else None,
    }
    lines = [
        f"{found.people:,} people; {found.contact_requests:,} messages on the contact form.",
        *(f"  {count:>9,}  {name}" for name, count in sorted(found.classes.items())),
    ]
    lines += [
        f"List taken out at {one['at']:%Y-%m-%d %H:%M} UTC by {one['actor']}: {one['what'].value}"
        for one in found.lists
    ]
    if found.erased_since:
        lines.append(f"{found.erased_since:,} were erased since it began; they can't be named.")
    answer(as_json, data, "\n".join(lines))


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"“{text}” is no time. Write it as 2026-11-01T08:00 or 2026-11-01."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _line(one: Endpoint, *, acknowledged: bool) -> str:
    where = {
        Standing.HERE: "here",
        Standing.INSIDE: one.country,
        Standing.UNKNOWN: "country not stated",
        Standing.OUTSIDE: f"{one.country}, outside"
        + (", acknowledged" if acknowledged else ", not acknowledged"),
    }[one.standing]
    return f"{one.role:14}{one.host:32}{where:32}{one.data}"
