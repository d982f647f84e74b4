"""prefcentre feedback: mails that came back are taken in, listed, shown and settled.

A file of its own beside ``feedback``, whose command needs no installation.
"""

import sys
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy.exc
import typer

from prefcentre.cli.common import JsonOption, answer, err, opened, staff
from prefcentre.cli.feedback import app
from prefcentre.errors import InvalidInput, PrefcentreError
from prefcentre.feedback import service as feedback
from prefcentre.feedback.service import Fetched, InboundMessage

# What a mail server understands of a program that it hands a mail to: try again later (sysexits.h).
TRY_AGAIN = 75
# No mail server takes more; it bounds what a pipe can make us hold.
_LARGEST = 64 << 20
_NO_MAILBOX = (
    "The settings name no mailbox; [[feedback.mailboxes]] does, and docs/feedback.md tells how."
)

Number = Annotated[int, typer.Argument(help="The mail's number in the list.")]


@app.command()
def ingest(*, as_json: JsonOption = False) -> None:
    """Take in one mail from standard input, as a mail server's pipe hands it over.

    Exits with 75, upon which mail servers try again later, when the mail could not be kept.
    """
    raw = sys.stdin.buffer.read(_LARGEST)
    if not raw.strip():
        raise InvalidInput("There is no mail on standard input.")
    try:
        with opened() as context:
            state = feedback.take_in(context, raw, "pipe")
    except (PrefcentreError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        # Only its first line: what a database driver adds quotes what was to be written.
        cause = str(error).partition("\n")[0]
        err.print(f"prefcentre: the mail was not taken, try again later: {cause}", markup=False)
        raise typer.Exit(TRY_AGAIN) from None
    answer(as_json, {"state": state.value}, f"The mail is {state.value}.")


@app.command()
def poll(
    mailbox: Annotated[
        str | None, typer.Argument(help="Only this mailbox of the settings.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Fetch what came back from the mailboxes now; workers do it by themselves. Exits with 1 when one can't be read."""
    with opened() as context:
        looks = feedback.poll(context, mailbox)
    answer(
        as_json,
        {"mailboxes": [asdict(look) for look in looks]},
        "\n".join(map(_told, looks)) or _NO_MAILBOX,
    )
    if any(look.trouble for look in looks):
        raise typer.Exit(1)


def _told(look: Fetched) -> str:
    words = [f"{look.done:,} taken in"]
    words += [f"{look.waiting:,} wait for a person"] if look.waiting else []
    words += [f"{look.known:,} had come before"] if look.known else []
    words += [f"{look.left:,} left there, too large or not to be taken in"] if look.left else []
    words += ["more is there"] if look.more else []
    words += [look.trouble] if look.trouble else []
    return f"{look.mailbox}: {', '.join(words)}"


@app.command(name="list")
def list_(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are done.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = feedback.PAGE,
    as_json: JsonOption = False,
) -> None:
    """List mails that could not be read or proved and wait for a person, the newest first."""
    with opened() as context, context.db.reading() as session:
        found = [_mail(one) for one in feedback.mails(session, everything=everything, limit=limit)]
        waiting = feedback.how_many_wait(session)
    lines = [
        f"{one['id']}  {one['arrived_at']:%Y-%m-%d %H:%M}  {one['state']}  {one['kind']}  {one['note']}"
        for one in found
    ]
    text = "\n".join([*lines, f"{waiting:,} wait."]) if lines else "No mail waits."
    answer(as_json, {"mails": found, "waiting": waiting}, text)


@app.command()
def show(number: Number, *, as_json: JsonOption = False) -> None:
    """Show one mail as text, with what was made of it."""
    with opened() as context, context.db.reading() as session:
        shown = feedback.show(session, number)
        data = _mail(shown.mail) | {"text": shown.text}
    head = f"{data['id']}  {data['state']}  {data['kind']}  {data['note']}"
    answer(as_json, data, f"{head}\n\n{shown.text or 'Its text is kept no longer.'}")


@app.command()
def settle(
    number: Number,
    *,
    note: Annotated[str, typer.Option(help="What it was, or what was done about it.")] = "",
    suppress: Annotated[
        str, typer.Option(help="Also write no more to this address, because it is dead.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Say that a mail was looked at; with --suppress, close the address that it is about."""
    with opened() as context, context.db.writing() as session:
        done = feedback.settle(
            session, context, number, actor=staff(), note=note, suppress=suppress
        )
        data = _mail(done)
    answer(as_json, data, f"The mail {number} is settled.")


def _mail(one: InboundMessage) -> dict[str, Any]:
    return {
        "id": one.id,
        "arrived_at": one.arrived_at,
        "source": one.source,
        "kind": one.kind.value,
        "state": one.state.value,
        "note": one.note,
        "settled_at": one.settled_at,
        "settled_by": one.settled_by,
    }
