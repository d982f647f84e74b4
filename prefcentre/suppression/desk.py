"""Suppressions as staff see them: a list that can be a million long, single entries by address, and files of them.

Part of the suppression service, apart from ``service`` because nothing here decides whether a mail may go.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Refused
from prefcentre.lookup import LookupKind
from prefcentre.reasons import Reason
from prefcentre.subscribers.service import phone_number
from prefcentre.suppression import queries, rules, service
from prefcentre.suppression.service import Entry, Lifter

PAGE = 50
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
PLAIN_HEADER = ("email", "phone", "scope", "reason", "at", "until")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry in the list; ``public_id`` leads to the person when we hold one."""

    id: int
    key: str
    scope: str
    reason: Reason
    at: datetime
    until: datetime | None
    source: str
    note: str
    lifted_at: datetime | None
    lift_note: str | None
    public_id: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of entries; ``after`` leads to the next."""

    rows: tuple[Row, ...]
    after: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What stands against an address, a number or a domain; ``may_lift`` says which entries staff may lift at all."""

    who: str
    entries: tuple[tuple[Entry, bool], ...]


def listed(
    session: Session,
    context: Context,
    *,
    reason: Reason | None = None,
    lifted: bool = False,
    after: int | None = None,
    limit: int = PAGE,
) -> Page:
    """Active entries, or lifted ones, the newest first; each with the person when we hold one."""
    found = queries.page(session, context.clock.now(), reason, after, limit + 1, lifted=lifted)
    rows = tuple(
        Row(
            row.id,
            row.key.hex(),
            row.scope,
            row.reason,
            row.at,
            row.until,
            row.source,
            row.note,
            row.lifted_at,
            row.lift_note,
            row.public_id,
        )
        for row in found[:limit]
    )
    return Page(rows, rows[-1].id if len(found) > limit else None)


def check(session: Session, context: Context, who: str) -> Checked:
    """What forbids writing to an address, a number (+…) or a domain (@…). Raises InvalidInput for anything else."""
    keys = _keys(context, who)
    found = service.entries_of(session, context, keys)
    may = tuple(
        (entry, rules.may_lift(entry.reason, Lifter.STAFF, note="asked")) for entry in found
    )
    return Checked(who.strip(), may)


def _keys(context: Context, who: str) -> list[bytes]:
    text = who.strip()
    if text.startswith("@"):
        return service.keys_of(context, text, rules.WHOLE_DOMAIN)
    if text.startswith("+"):
        return context.lookup.all(LookupKind.PHONE, phone_number(context, text))
    if "@" not in text:
        raise InvalidInput(
            "Write a whole address, a number such as +359 2 1234567, or a domain such as @example.com."
        )
    domain = text.rpartition("@")[2]
    return [
        *service.keys_of(context, text, rules.EVERYTHING),
        *service.keys_of(context, domain, rules.WHOLE_DOMAIN),
    ]


def add(
    session: Session,
    context: Context,
    who: str,
    *,
    scope: str,
    reason: str,
    note: str,
    until: datetime | None,
    actor: str,
) -> list[bytes]:
    """Forbid writing to an address, a number or a domain, and note who did it. Returns keys to wait for.

    Raises InvalidInput for what does not fit together, and Refused when the entry stands already.
    """
    text, chosen = who.strip(), service.parse_reason(reason)
    keys = _keys(context, text)
    is_domain = text.startswith("@")
    found = rules.WHOLE_DOMAIN if is_domain else service.parse_scope(session, scope)
    if chosen is Reason.MANUAL and is_domain:
        chosen = Reason.DOMAIN
    if not note.strip():
        raise InvalidInput(
            "Write why nobody may write to them; whoever looks later will want to know."
        )
    is_phone = text.startswith("+")
    added = service.suppress(
        session,
        context,
        email=None if is_domain or is_phone else text,
        phone=text if is_phone else None,
        domain=text if is_domain else None,
        scope=found,
        reason=chosen,
        source=actor,
        until=until,
        note=note,
    )
    if not added:
        raise Refused("This entry stands already.")
    details = {"scope": found, "reason": chosen.value}
    audit.append(session, context, AuditAction.SUPPRESSED, actor=actor, note=note, details=details)
    return service.keys_in_domain(session, context, text) if is_domain else keys


def lift(
    session: Session,
    context: Context,
    who: str,
    *,
    scope: str,
    reason: str,
    note: str,
    actor: str,
) -> int:
    """Lift an entry of an address, number or domain, where the table of reasons lets staff do that (R177).

    Raises Refused when it does not, or when no such entry stands.
    """
    chosen = service.parse_reason(reason)
    keys = _keys(context, who)
    lifted = service.lift(
        session, context, keys=keys, scope=scope, reason=chosen, by=Lifter.STAFF, note=note.strip()
    )
    if not lifted:
        raise Refused("This entry does not stand any more.")
    details = {"scope": scope, "reason": chosen.value}
    audit.append(session, context, AuditAction.LIFTED, actor=actor, note=note, details=details)
    return lifted


def note_import(session: Session, context: Context, actor: str, name: str, added: int) -> None:
    """Note that a list was brought in."""
    details = {"file": name, "added": added}
    audit.append(session, context, AuditAction.SUPPRESSED, actor=actor, details=details)


def write_hashed(session: Session, context: Context, target: TextIO) -> int:
    """All active entries by keyed hash, as CSV that our own import reads (R186); how many."""
    rows = (
        (
            row.key_version,
            row.key,
            row.scope,
            row.reason.value,
            row.at.isoformat(),
            _until(row.until),
        )
        for row in service.export(session, context)
    )
    return _write(target, service.EXPORT_HEADER, rows)


def write_plain(session: Session, context: Context, target: TextIO) -> int:
    """Active entries of people whom we hold, with their addresses, as CSV without formulas; how many."""
    rows = (
        (
            _harmless(row.email or ""),
            _harmless(row.phone or ""),
            row.scope,
            row.reason.value,
            row.at.isoformat(),
            _until(row.until),
        )
        for row in queries.walk_known(session, context.clock.now())
    )
    return _write(target, PLAIN_HEADER, rows)


def note_export(
    session: Session, context: Context, actor: str, entries: int, *, plain: bool
) -> None:
    """Note that the list was taken."""
    details = {"entries": entries, "plain": plain}
    audit.append(session, context, AuditAction.SUPPRESSIONS_EXPORTED, actor=actor, details=details)


def _write(target: TextIO, header: Iterable[str], rows: Iterator[tuple[Any, ...]]) -> int:
    writer = csv.writer(target)
    writer.writerow(header)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    return count


def _until(until: datetime | None) -> str:
    return until.isoformat() if until else ""


def _harmless(cell: str) -> str:
    # A spreadsheet would run a cell that begins like this as a formula; so may an address (T26).
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
