"""Where data is, the record of processing, and whom a breach concerns."""

import io
import tempfile
from datetime import UTC, datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, PrefcentreError
from prefcentre.records import service as records
from prefcentre.records.service import Affected, Breach
from prefcentre.transfers import service as transfers
from prefcentre.web.admin import actors
from prefcentre.web.admin.downloads import as_download
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer

_IN_MEMORY = 1 << 20


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    base = "/settings/places"
    add(pages, context, "GET", base, places, Right.LOOK)
    add(pages, context, "POST", f"{base}/allow", places_allow, Right.ADMIN, fresh=True)
    add(pages, context, "POST", f"{base}/revoke", places_revoke, Right.ADMIN)
    add(pages, context, "GET", "/settings/record", record, Right.PRIVACY)
    add(pages, context, "GET", "/settings/record.md", record_file, Right.PRIVACY)
    add(pages, context, "GET", "/requests/breach", breach, Right.PRIVACY)
    add(pages, context, "POST", "/requests/breach", breach_count, Right.PRIVACY, fresh=True)


def places(context: Context) -> ResponseReturnValue:
    """Every machine and company that gets people's data, where it stands, and what was acknowledged (R147)."""
    return _places(context)


def places_allow(context: Context) -> ResponseReturnValue:
    """Answer for sending data to a machine outside of the region."""
    host, basis = request.form.get("host", ""), request.form.get("basis", "")
    try:
        with context.db.writing() as session:
            transfers.acknowledge(session, context, host, basis, viewer().actor)
    except PrefcentreError as error:
        return _places(context, problem=str(error), typed={host: basis}), 400
    flash(f"{host} may get data. Senders use it within a second.", "success")
    return redirect(url_for("admin.places"), 303)


def places_revoke(context: Context) -> ResponseReturnValue:
    """Take that back."""
    host = request.form.get("host", "")
    try:
        with context.db.writing() as session:
            transfers.revoke(session, context, host, viewer().actor)
    except PrefcentreError as error:
        return _places(context, problem=str(error)), 400
    flash(f"{host} gets no data any more.", "success")
    return redirect(url_for("admin.places"), 303)


def _places(
    context: Context, *, problem: str | None = None, typed: dict[str, str] | None = None
) -> str:
    with context.db.reading() as session:
        known = transfers.acknowledged(session, context.settings)
        found = transfers.endpoints(context.settings)
        return render_template(
            "admin/settings/places.html",
            endpoints=found,
            known=known,
            within=context.settings.region.within,
            grounds={one.host: transfers.ground(one.country) for one in found},
            who=actors.names(session),
            problem=problem,
            typed=typed or {},
        )


def record(context: Context) -> ResponseReturnValue:
    """The record of processing (R148), to read and to print."""
    with context.db.reading() as session:
        found = records.record(session, context)
    return render_template("admin/settings/record.html", record=found)


def record_file(context: Context) -> ResponseReturnValue:
    """The same as a file."""
    with context.db.reading() as session:
        words = records.as_markdown(records.record(session, context))
    day = context.clock.now().date().isoformat()
    return as_download(words, f"record-of-processing-{day}.md", "text/markdown")


def breach(context: Context) -> ResponseReturnValue:
    """Ask for the stretch of time that a breach may have lasted (R150)."""
    return _breach(context)


def breach_count(context: Context) -> ResponseReturnValue:
    """Count whom it concerns; with the button for it, everybody as a file. Both are noted."""
    try:
        asked = Breach(_moment("since"), _moment("until"), request.form.get("account") or None)
        wants_file = request.form.get("as") == "file"
        found, file = _affected(context, asked, wants_file=wants_file)
    except InvalidInput as error:
        return _breach(context, problem=str(error)), 400
    with context.db.writing() as session:
        details = {
            "breach_from": asked.since.isoformat(),
            "breach_to": asked.until.isoformat(),
            "people": found.people,
        }
        action = AuditAction.EXPORTED if file else AuditAction.DESK_USED
        audit.append(session, context, action, actor=viewer().actor, details=details)
    return as_download(file, "breach.csv", "text/csv") if file else _breach(context, found=found)


def _affected(
    context: Context, asked: Breach, *, wants_file: bool
) -> tuple[Affected, tempfile.SpooledTemporaryFile[bytes] | None]:
    if not wants_file:
        return records.affected(context, asked), None
    # It goes when it is closed, which the download does.
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - see above
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    found = records.affected(context, asked, text)
    text.flush()
    text.detach()
    file.seek(0)
    return found, file


def _breach(context: Context, *, problem: str | None = None, found: Affected | None = None) -> str:
    with context.db.reading() as session:
        return render_template(
            "admin/report/breach.html",
            found=found,
            problem=problem,
            typed=request.form,
            accounts=_accounts(session),
        )


def _accounts(session: Session) -> list[tuple[str, str]]:
    name = actors.names(session)
    return [(actor, name(actor)) for actor in audit.actors(session)]


def _moment(name: str) -> datetime:
    text = request.form.get(name, "")
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("Give the beginning and the end, each with day and time.") from error
    # What a browser's field gives has no zone; it is the one in which this person reads times.
    return (found if found.tzinfo else found.replace(tzinfo=viewer().zone)).astimezone(UTC)
