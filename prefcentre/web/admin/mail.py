"""Mail servers as they stand: what holds them back, letting them go on, and a proof of how they sign."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.addresses import normal_domain
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.dkim import service as signing
from prefcentre.doctor import service as doctor
from prefcentre.doctor.service import Check
from prefcentre.errors import InvalidAddress, PrefcentreError
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import UNTIL_RESUMED, Limit, Room
from prefcentre.web.admin.gates import Right, needs
from prefcentre.web.admin.viewer import viewer

_RATES = {"per_second": "a second", "per_minute": "a minute", "per_hour": "an hour", "per_day": "a day"}  # fmt: skip
_LONGEST_SOURCE = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Way:
    """One mail server or limit: what was set, what its answers taught, and whether it stands still."""

    scope: str
    set: str
    learned: str
    why: str
    is_paused: bool
    needs_person: bool
    until: datetime | None
    room: int | None


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""

    @pages.get("/settings/mail")
    @needs(Right.LOOK)
    def mail() -> ResponseReturnValue:
        return _page(context)

    @pages.post("/settings/mail/resume")
    @needs(Right.SEND)
    def mail_resume() -> ResponseReturnValue:
        scope = request.form.get("scope", "")
        with context.db.writing() as session:
            now = context.clock.now()
            if scope in throttles.limits(session):
                throttles.resume(session, scope, now)
                audit.append(session, context, AuditAction.LIMIT_RESUMED, actor=viewer().actor, details={"scope": scope})  # fmt: skip
                flash(f"{scope} goes on, beginning with one connection.", "success")
            else:
                flash(f"Nothing is known of “{scope}”.", "danger")
        return redirect(url_for("admin.mail"), 303)

    @pages.post("/settings/mail/proof")
    @needs(Right.ADMIN)
    def mail_proof() -> ResponseReturnValue:
        account, sender = request.form.get("account", ""), request.form.get("sender", "").strip()
        try:
            proof = delivery.send_proof(context, account, viewer().email, sender)
        except PrefcentreError as error:
            return _page(context, problem=str(error), sender=sender), 409
        with context.db.writing() as session:
            audit.append(session, context, AuditAction.PROOF_SENT, actor=viewer().actor, details={"account": account})  # fmt: skip
        return _page(context, proof=proof, dns=_dns(context, proof.sender), sender=sender)

    @pages.post("/settings/mail/source")
    @needs(Right.LOOK)
    def mail_source() -> ResponseReturnValue:
        source = request.form.get("source", "")[:_LONGEST_SOURCE]
        found = signing.signatures(source.strip().encode())
        return _page(context, source=source, signatures=found, is_proven=signing.is_proven(found))


def _page(context: Context, **more: Any) -> str:
    settings = context.settings
    with context.db.reading() as session:
        rooms = throttles.look(session, context.clock.now())
        ways = [
            _way(scope, limit, rooms.get(scope, Room()), context.clock.now())
            for scope, limit in sorted(throttles.limits(session).items())
        ]
    known = {way.scope: way for way in ways}
    accounts = [
        (account, known.get(throttles.account_scope(account.name)))
        for account in (settings.accounts if settings.has_mail_server else ())
    ]
    return render_template(
        "admin/settings/mail.html",
        accounts=accounts,
        others=[way for way in ways if not way.scope.startswith("account:")],
        usual_sender=settings.service_sender_address,
        must_cover=signing.MUST_COVER,
        **more,
    )


def _way(scope: str, limit: Limit, room: Room, now: datetime) -> Way:
    paused = limit.paused_until is not None and limit.paused_until > now
    needs_person = paused and limit.paused_until == UNTIL_RESUMED
    learned = [f"{limit.pace:.3g} a second"] if limit.pace is not None else []
    learned += [f"{limit.width} connections"] if limit.width is not None else []
    return Way(
        scope=scope,
        set=", ".join(_set(limit)),
        learned=", ".join(learned),
        why=limit.why,
        is_paused=paused,
        needs_person=needs_person,
        until=limit.paused_until if paused and not needs_person else None,
        room=room.free,
    )


def _set(limit: Limit) -> list[str]:
    found = [
        f"{getattr(limit, name):,} {words}"
        for name, words in _RATES.items()
        if getattr(limit, name)
    ]
    if limit.connections:
        found.append(f"{limit.connections} connections")
    if limit.warm_up and limit.warm_up_from:
        steps = ", ".join(f"{cap:,}" for cap in limit.warm_up)
        found.append(f"warm-up from {limit.warm_up_from:%-d %b %Y}: {steps} a day")
    if limit.send_window:
        window = limit.send_window.to_json()
        found.append(
            f"only {' '.join(window['days'])} {window['from']}–{window['to']} {window['zone']}"
        )
    return found


def _dns(context: Context, sender: str) -> list[Check]:
    try:
        domain = normal_domain(sender.rpartition("@")[2])
    except InvalidAddress:
        return []
    return doctor.examine_domain(context, doctor.RealWorld(), domain)
