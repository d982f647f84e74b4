"""A mail that came back, from its octets to what it changes: kept once, read, proved, taken in.

Part of the feedback service. What can't be read or proved changes nobody and waits for a person.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.errors import InvalidAddress
from prefcentre.feedback import effects, inbound_queries, packing, queries
from prefcentre.feedback.models import InboundState
from prefcentre.feedback.proving import mail_named
from prefcentre.feedback.reading import mail, reader
from prefcentre.feedback.rules import Event, FeedbackKind, Finding, Report
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import service as suppression

SOURCE = "mail"
_EFFECTIVE = frozenset({FeedbackKind.BOUNCE, FeedbackKind.COMPLAINT, FeedbackKind.UNSUBSCRIBE})
_MOST_LOOKED_UP = 5

log = structlog.get_logger()


class Arrival(StrEnum):
    """What became of a mail that came back."""

    DONE = "done"  # Understood and proved, or nothing that anybody has to do anything about.
    WAITING = "waiting"  # A person has to look at it.
    KNOWN = "known"  # It had come before; nothing changed.


@dataclass(frozen=True, slots=True)
class _Reading:
    report: Report
    row: Any  # The mail of ours that it is about, when it proves that.
    finding: Finding


def take_in(context: Context, raw: bytes, source: str) -> Arrival:
    """Keep a mail, read it and take in what it proves (R71-R78); repeating it changes nothing.

    ``source`` is where it came from: a mailbox's name, or "pipe". When this returns, the mail is safe with us and may
    be moved or thrown away there. Opens its own session; raises what the database raises when it is away.
    """
    report = reader.read(raw)
    # The same mail out of a pipe and out of a mailbox has other line ends.
    digest = hashlib.sha256(mail.even(raw).strip(b"\n")).digest()
    with context.db.writing() as session:
        reading = _proved(session, context, report)
        state, note = _judged(reading)
        number = inbound_queries.add(
            session, _values(session, context, raw, source, digest, reading, state, note)
        )
        if number is None:
            return Arrival.KNOWN
        if reading.row is not None:
            effects.take(session, context, _event(context, digest, reading))
    log.info("feedback_arrived", source=source, kind=report.kind, state=state, mail=number)
    return Arrival(state.value)


def _proved(session: Session, context: Context, report: Report) -> _Reading:
    names = (report.return_path, report.envelope_id, report.message_id)
    named = mail_named(context.signer, [name for name in names if name])
    row = queries.delivery(session, *named) if named else None
    return _Reading(report, row, _finding_about(context, report.findings, row))


def _finding_about(context: Context, findings: Sequence[Finding], row: Any) -> Finding:
    """What is said about our recipient: under their own address, else the mildest of what is said of others.

    A mail goes to one person; several findings are the members of a list or an alias behind their address, and it is
    dead only when all of them are.
    """
    own = [one for one in findings if row is not None and row.key in _keys(context, one.address)]
    return min(own or findings, key=_severity, default=Finding(None))


def _severity(finding: Finding) -> tuple[bool, bool]:
    return finding.suppress, bool(finding.permanent)


def _keys(context: Context, address: str | None) -> list[bytes]:
    try:
        return [key for _, key in suppression.keys_of_address(context, address)] if address else []
    except InvalidAddress:
        return []


def _judged(reading: _Reading) -> tuple[InboundState, str]:
    kind, proved = reading.report.kind, reading.row is not None
    if kind is FeedbackKind.UNKNOWN:
        return InboundState.WAITING, "It could not be read as a report."
    if kind in _EFFECTIVE and not proved:
        return InboundState.WAITING, "It does not prove which mail of ours it is about."
    return InboundState.DONE, ""


def _values(
    session: Session,
    context: Context,
    raw: bytes,
    source: str,
    digest: bytes,
    reading: _Reading,
    state: InboundState,
    note: str,
) -> dict[str, Any]:
    row = reading.row
    return {
        "digest": digest,
        "arrived_at": context.clock.now(),
        "source": source[:64],
        "kind": reading.report.kind,
        "state": state,
        "raw": packing.pack(raw),
        "note": note,
        "campaign_id": row.campaign_id if row is not None else None,
        "delivery_id": row.id if row is not None else None,
        "subscriber_id": row.subscriber_id
        if row is not None
        else _person_named(session, context, reading.report.findings),
    }


def _person_named(session: Session, context: Context, findings: Sequence[Finding]) -> int | None:
    """Whom an unproved mail speaks of, so that their erasure finds it; nothing else follows from that."""
    for one in findings[:_MOST_LOOKED_UP]:
        try:
            person = subscribers.find(session, context, one.address) if one.address else None
        except InvalidAddress:
            continue
        if person is not None:
            return person.id
    return None


def _event(context: Context, digest: bytes, reading: _Reading) -> Event:
    report = reading.report
    return Event(
        SOURCE,
        digest.hex(),
        report.kind,
        reading.row.campaign_id,
        reading.row.id,
        reading.finding,
        report.reported_at or context.clock.now(),
        report.raw_words,
    )
