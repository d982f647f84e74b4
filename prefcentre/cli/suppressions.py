"""prefcentre suppressions: whom we must not write to."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from prefcentre.cli.common import JsonOption, answer, err, opened
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput
from prefcentre.reasons import Reason
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Entry, ImportResult

app = typer.Typer(help="Whom we must not write to, and why.", no_args_is_help=True)

AddressArgument = Annotated[str, typer.Argument(help="An e-mail address.")]
ReasonOption = Annotated[
    str | None,
    typer.Option(help=f"Why: {', '.join(suppression.REASONS)}. Default: manual."),
]
ScopeOption = Annotated[
    str | None,
    typer.Option(
        help="What is forbidden: all, email, sms, phone, post, online, TOPIC:CHANNEL or domain. Default: all."
    ),
]
NoteOption = Annotated[str, typer.Option(help="Anything to remember about it.")]

_WAIT_FOR_AT_ONCE = 10_000


@app.command()
def add(
    who: Annotated[str, typer.Argument(help="An e-mail address, or a domain with --scope domain.")],
    *,
    reason: ReasonOption = None,
    scope: ScopeOption = None,
    note: NoteOption = "",
    until: Annotated[
        str | None, typer.Option(help="When it ends, such as 2027-01-31. Default: never.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forbid writing to an address. Once this has ended, no message to it is handed to the mail server."""
    with opened() as context:
        data = _add(context, who, reason, scope, note, _moment(until))
    words = "It is suppressed now" if data["added"] else "It was suppressed already"
    answer(as_json, data, f"{words}: {data['scope']}, {data['reason']}.")


@app.command()
def check(email: AddressArgument, *, as_json: JsonOption = False) -> None:
    """Say whether an address is suppressed, and why; the strongest reason comes first."""
    with opened() as context, context.db.reading() as session:
        entries = suppression.check(session, context, email)
    data = {"suppressed": bool(entries), "entries": [_entry(entry) for entry in entries]}
    lines = [f"{entry.scope}  {entry.reason}  since {entry.at:%Y-%m-%d}" for entry in entries]
    answer(as_json, data, "\n".join(lines) or "It is not suppressed.")


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="A CSV file, or one address on each line.")],
    *,
    reason: ReasonOption = None,
    scope: ScopeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a suppression list: addresses, or an export of Mailchimp, SendGrid, SES, Postmark, listmonk or our own.

    Only adds; the same file again changes nothing. --reason and --scope are for lines that do not say their own.
    """
    chosen = suppression.parse_reason(reason) if reason else None
    with opened() as context, _working(as_json):
        result = suppression.import_file(
            context,
            file,
            reason=chosen,
            scope=scope,
            after_chunk=lambda keys: delivery.wait_for_dots(context, keys),
        )
    answer(as_json, asdict(result), _summary(result))


@app.command()
def export(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Where to; without it, to standard output, or with --json to a file that the answer names."
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Write all active entries as CSV: keyed hashes, never addresses."""
    with opened() as context:
        if as_json and file is None:
            file = _own_file(context)
        with _target(file) as target:
            rows = _export(context, target)
    if file is not None:
        answer(as_json, {"file": str(file), "rows": rows}, f"{rows:,} entries are in {file}.")


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """Count the active entries by reason and scope, and show the newest."""
    with opened() as context, context.db.reading() as session:
        counts = suppression.counts(session, context)
        newest = suppression.newest(session, context)
    data = {
        "total": sum(entries for _, _, entries in counts),
        "counts": [
            {"reason": reason, "scope": scope, "entries": entries}
            for reason, scope, entries in counts
        ],
        "newest": [
            {
                "at": row.at,
                "reason": row.reason,
                "scope": row.scope,
                "until": row.until,
                "source": row.source,
                "note": row.note,
            }
            for row in newest
        ],
    }
    lines = [f"{entries:>9,}  {reason}  {scope}" for reason, scope, entries in counts]
    answer(as_json, data, "\n".join(lines) or "Nobody is suppressed.")


def _add(
    context: Context,
    who: str,
    reason: str | None,
    scope: str | None,
    note: str,
    until: datetime | None,
) -> dict[str, Any]:
    with context.db.writing() as session:
        found = suppression.parse_scope(session, scope or "all")
        is_domain = found == "domain"
        usual = Reason.DOMAIN if is_domain else Reason.MANUAL
        chosen = suppression.parse_reason(reason) if reason else usual
        added = suppression.suppress(
            session,
            context,
            email=None if is_domain else who,
            domain=who if is_domain else None,
            scope=found,
            reason=chosen,
            source="command",
            until=until,
            note=note,
        )
        keys = (
            suppression.keys_in_domain(session, context, who)
            if is_domain
            else suppression.keys_of(context, who, found)
        )
    _wait(context, keys)
    return {"added": added, "suppressed": True, "scope": found, "reason": chosen, "until": until}


def _wait(context: Context, keys: list[bytes]) -> None:
    # "Done" is a promise, so a message that is past the gate is let through first (design: gate and opt-out).
    for start in range(0, len(keys), _WAIT_FOR_AT_ONCE):
        delivery.wait_for_dots(context, keys[start : start + _WAIT_FOR_AT_ONCE])


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"“{text}” is not a time such as 2027-01-31 or 2027-01-31T09:00+02:00."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _entry(entry: Entry) -> dict[str, Any]:
    return {"scope": entry.scope, "reason": entry.reason, "at": entry.at, "until": entry.until}


@contextmanager
def _working(as_json: bool) -> Iterator[None]:
    if as_json or not sys.stderr.isatty():
        yield
        return
    with err.status("Importing"):
        yield


def _own_file(context: Context) -> Path:
    folder = context.settings.data_dir / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"suppressions-{context.clock.now():%Y%m%d-%H%M%S}.csv"


@contextmanager
def _target(file: Path | None) -> Iterator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    with file.open("w", encoding="utf-8", newline="") as target:
        yield target


def _export(context: Context, target: TextIO) -> int:
    writer = csv.writer(target)
    writer.writerow(suppression.EXPORT_HEADER)
    rows = 0
    with context.db.reading() as session:
        for row in suppression.export(session, context):
            until = row.until.isoformat() if row.until else ""
            writer.writerow(
                [row.key_version, row.key, row.scope, row.reason, row.at.isoformat(), until]
            )
            rows += 1
    return rows


def _summary(result: ImportResult) -> str:
    lines = [
        (
            f"{result.read:,} lines ({result.layout}): {result.added:,} added, "
            f"{result.unchanged:,} stood already, {result.refused:,} refused."
        )
    ]
    if result.left_out:
        lines.append(f"{result.left_out:,} lines were not about suppression, or are over.")
    if result.rejects_file:
        lines.append(f"The refused lines and the reasons are in {result.rejects_file}.")
    return "\n".join(lines)
