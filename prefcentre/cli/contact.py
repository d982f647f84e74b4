"""prefcentre contact: what people wrote on the contact form, and by when to answer."""

from typing import Annotated, Any

import typer

from prefcentre.cli.common import JsonOption, answer, opened, staff
from prefcentre.contact import service as contact
from prefcentre.contact.service import ContactRequest

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
    as_json: JsonOption = False,
) -> None:
    """Say that a request is answered."""
    with opened() as context, context.db.writing() as session:
        done = contact.close(session, context, number, note=note, actor=staff())
        data = _request(done)
    answer(as_json, data, f"Request {number} is closed.")


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
