"""Who did what: the append-only account of what staff did, by person, act and day."""

from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction, AuditEvent, Wanted
from prefcentre.context import Context
from prefcentre.staff import service as staff
from prefcentre.subscribers import service as subscribers
from prefcentre.web.admin.gates import Right, needs
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import whole

_STAFF = "staff:"


def declare(pages: Blueprint, context: Context) -> None:
    """Add the address of this module."""

    @pages.get("/audit")
    @needs(Right.PRIVACY)
    def audit_list() -> ResponseReturnValue:
        problems: list[str] = []
        with context.db.reading() as session:
            wanted = _wanted(session, problems)
            found = audit.search(session, wanted) if wanted else audit.Acts((), None)
            names = _names(session)
            rows = [_row(session, names, event) for event in found.rows]
            everybody = [(actor, _named(names, actor)) for actor in audit.actors(session)]
        return render_template(
            "admin/audit.html",
            rows=rows,
            before=found.before,
            everybody=everybody,
            actions=list(AuditAction),
            asked=request.args,
            problems=problems,
        ), (400 if problems else 200)


def _wanted(session: Session, problems: list[str]) -> Wanted | None:
    """What the address asks for; None when it is about somebody who is not there."""
    text = request.args.get("action", "")
    if text and text not in {action.value for action in AuditAction}:
        problems.append(f"There is no act called “{text}”; choose one of the list.")
        return None
    subscriber_id = None
    if number := request.args.get("person", "").strip():
        person = subscribers.by_public_id(session, int(number)) if _is_number(number) else None
        if person is None:
            problems.append("There is no such person. Their page leads here with the right number.")
            return None
        subscriber_id = person.id
    return Wanted(
        action=AuditAction(text) if text else None,
        actor=request.args.get("actor") or None,
        subscriber_id=subscriber_id,
        since=_day("from", problems, timedelta()),
        until=_day("to", problems, timedelta(days=1)),
        before=request.args.get("before", type=whole),
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _day(name: str, problems: list[str], later: timedelta) -> datetime | None:
    text = request.args.get(name, "")
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text) + later, time(), viewer().zone)
    except (ValueError, OverflowError):
        problems.append(f"“{text}” is not a day; write it as 2026-11-30.")
        return None


def _names(session: Session) -> dict[str, str]:
    return {f"{_STAFF}{one.public_id}": one.name or one.email for one in staff.all_users(session)}


def _named(names: dict[str, str], actor: str) -> str:
    # An account that was removed keeps its number here, for whoever has the list of them.
    return names.get(actor, actor)


def _row(session: Session, names: dict[str, str], event: AuditEvent) -> dict[str, Any]:
    person = subscribers.by_id(session, event.subscriber_id) if event.subscriber_id else None
    details = ", ".join(
        f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in event.details.items()
    )
    return {
        "at": event.at,
        "who": _named(names, event.actor),
        "action": event.action.value.replace("_", " "),
        "about": person,
        "is_gone": event.subscriber_id is not None and person is None,
        "note": event.note,
        "details": details,
    }


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
