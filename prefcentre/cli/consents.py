"""prefcentre consents: what a person agreed to and when, and the proof that the record is whole."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from prefcentre.cli.common import JsonOption, answer, err, opened
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel
from prefcentre.errors import NotFound
from prefcentre.imports import service as imports
from prefcentre.subscribers import service as subscribers

app = typer.Typer(help="What people agreed to, and the proof of it.", no_args_is_help=True)


@app.command()
def history(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show everything that happened to a person's consents, oldest first, with the words they saw.

    Of somebody who was erased it is the proof that is kept: found by the keyed hash, without what named them.
    """
    from prefcentre.rights import service as rights

    with opened() as context, context.db.reading() as session:
        person = subscribers.find(session, context, email)
        if person is not None:
            events = consent.history(session, context, person)
        else:
            events = rights.former_consents(session, context, email)
            if not events:
                raise NotFound("There is no subscriber with this address.")
    lines = [_line(event) for event in events]
    answer(as_json, {"events": events}, "\n".join(lines) or "Nothing has happened yet.")


@app.command()
def receipt(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    *,
    topic: Annotated[str | None, typer.Option(help="Only of this topic.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="Only by this channel.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a person's consent receipts in the terms of ISO/IEC TS 27560, one for each consent."""
    with opened() as context, context.db.reading() as session:
        if topic is not None:
            consent.topic(session, topic)
        person = subscribers.find(session, context, email)
        if person is None:
            raise NotFound("There is no subscriber with this address.")
        found = consent.receipts(session, context, person, topic=topic, channel=channel, full=True)
    lines = [line for one in found for line in _receipt(one["record"])]
    answer(as_json, {"receipts": found}, "\n".join(lines) or "There is no consent to tell of.")


@app.command()
def quarantined(*, as_json: JsonOption = False) -> None:
    """Show whom imports brought without evidence of a consent, by import; nobody of them is written to."""
    with opened() as context, context.db.reading() as session:
        found = [asdict(one) for one in imports.quarantined(session)]
    lines = [
        f"import {one['run']}  {one['at']:%Y-%m-%d %H:%M} UTC  {one['people']:,} people  {one['file']}"
        for one in found
    ]
    answer(as_json, {"imports": found}, "\n".join(lines) or "Nobody is here without evidence.")


@app.command()
def rebuild(*, as_json: JsonOption = False) -> None:
    """Make the consents anew from the events, as after a repair; verify says beforehand whether that is needed."""
    with opened() as context, context.db.writing() as session:
        count = consent.rebuild(session)
    answer(as_json, {"consents": count}, f"{count:,} consents were made anew from the events.")


@app.command()
def verify(*, as_json: JsonOption = False) -> None:
    """Walk over the whole ledger and say whether it is whole. Exits with 1 when it is not."""
    with opened() as context, context.db.reading() as session:
        found = consent.verify(session, context)
    data = {
        "ok": found.ok,
        "events": found.events,
        "first_bad": found.first_bad,
        "problem": found.problem,
        "message": found.message,
        "heads": found.heads,
    }
    answer(as_json, data, _verdict(found))
    if not found.ok:
        err.print(f"prefcentre: {found.message}", markup=False)
        raise typer.Exit(1)


def _receipt(record: dict[str, Any]) -> list[str]:
    (purpose,) = record["pii_processing"]
    words = record["wording"]
    return [
        f"{purpose['purpose']} by {purpose['channel']}: {record['state']}  (receipt {record['receipt_id']})",
        f"  words: “{words['text']}” (version {words['version']}, {words['language']})",
        f"  basis: {purpose['lawful_basis']}; collected by {purpose['collection_method']}",
        f"  controller: {record['party_identification'][0]['party_name']}; withdraw: {purpose['withdrawal_method']}",
        *(
            f"  {event['event_time']}  {event['event_type']} → {event['event_state']}  {event['event_hash'][:16]}"
            for event in record["events"]
        ),
    ]


def _line(event: dict[str, Any]) -> str:
    parts = [
        f"{event['seq']}",
        f"{event['at']:%Y-%m-%d %H:%M:%S} UTC",
        f"{event['action']} → {event['state']}",
        f"{event['topic']} by {event['channel']}",
        f"{event['method']}: {event['source']}",
    ]
    if event["wording"]:
        parts.append(f"“{event['wording']}” (version {event['wording_version']})")
    return "  ".join(parts)


def _verdict(found: consent.Verification) -> str:
    if found.ok:
        return (
            f"{found.events:,} events, all as they were sealed; {found.heads:,} written ends agree."
        )
    return f"{found.events:,} events; the ledger is not whole ({found.problem})."
