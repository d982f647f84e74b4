"""prefcentre contact: what people wrote on the contact form, and by when to answer."""

from typing import Annotated, Any

import typer

from prefcentre.cli.common import JsonOption, answer, opened, staff
from prefcentre.consent.service import Channel
from prefcentre.contact import service as contact
from prefcentre.contact import stopping
from prefcentre.contact.service import ContactRequest
from prefcentre.delivery import service as delivery

app = typer.Typer(help="What people wrote on the contact form.", no_args_is_help=True)


@app.command(name="list")
def list_(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that are closed too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the requests that wait for an answer, the most urgent first."""
    with opened() as context, context.db.reading() as session:
        now = context.clock.now()
        found = [
            _request(request) | {"overdue": request.closed_at is None and request.due_at < now}
            for request in contact.requests(session, closed_too=everything)
        ]
    lines = [line for request in found for line in _lines(request)]
    answer(as_json, {"requests": found}, "\n".join(lines) or "Nobody waits for an answer.")


@app.command()
def close(
    number: Annotated[int, typer.Argument(help="The request's number in the list.")],
    *,
    note: Annotated[str, typer.Option(help="What was done about it.")],
    stop: Annotated[
        list[Channel] | None,
        typer.Option(
            help="Stop this channel for whoever wrote it, in the same step, such as phone; may be said again."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a request is answered, and stop what it asks to stop."""
    if not stop:
        with opened() as context, context.db.writing() as session:
            done = contact.close(session, context, number, note=note, actor=staff())
            data = _request(done)
        answer(as_json, data, f"Request {number} is closed.")
        return
    channels = frozenset(stop)
    with opened() as context:
        with context.db.writing() as session:
            stopped = stopping.close_and_stop(
                session, context, number, channels, note=note, actor=staff()
            )
            data = _request(stopped.request) | {
                "stopped": sorted(channels),
                "withdrawn": stopped.withdrawn,
            }
        delivery.wait_for_dots(context, list(stopped.keys))
    told = f"{', '.join(sorted(channels))}: stopped; {stopped.withdrawn:,} consents ended"
    answer(as_json, data, f"Request {number} is closed. {told}.")


def _request(request: ContactRequest) -> dict[str, Any]:
    return {
        "id": request.id,
        "kind": request.kind.value,
        "name": request.name,
        "email": request.email,
        "phone": request.phone,
        "message": request.message,
        "language": request.language,
        "created_at": request.created_at,
        "due_at": request.due_at,
        "closed_at": request.closed_at,
        "closed_by": request.closed_by,
        "note": request.note,
    }


def _lines(request: dict[str, Any]) -> list[str]:
    who = ", ".join(request[name] for name in ("name", "email", "phone") if request[name])
    state = "closed" if request["closed_at"] else f"answer by {request['due_at']:%Y-%m-%d}"
    first = f"{request['id']}  {request['kind']}  {state}{'  OVERDUE' if request['overdue'] else ''}  {who}"
    return [first, *(f"    {line}" for line in request["message"].splitlines())]
