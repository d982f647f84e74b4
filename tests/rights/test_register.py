from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, select

from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Refused
from prefcentre.reasons import Reason
from prefcentre.rights import rules
from prefcentre.rights import service as rights
from prefcentre.rights.models import RightsRequest
from prefcentre.rights.service import Answer, NewRequest, RightsKind, RightsOutcome
from prefcentre.servicemail.models import QueuedMail, ServiceMailKind
from prefcentre.servicemail.rules import may_go
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-01-31", "2026-02-28"),
        ("2028-01-31", "2028-02-29"),
        ("2026-03-31", "2026-04-30"),
        ("2026-12-15", "2027-01-15"),
        ("2026-11-30", "2026-12-30"),
    ],
)
def test_an_answer_is_due_on_the_same_day_of_the_next_month_or_its_last(
    received: str, due: str
) -> None:
    at = datetime.fromisoformat(received).replace(tzinfo=UTC)
    assert rules.due(at).strftime("%Y-%m-%d") == due


def take_in(session: Session, context: Context, kind: str = "access", **more: str) -> int:
    values = {"came_by": "letter", "email": "ada@example.org", "name": "Ada"} | more
    return rights.take_in(session, context, NewRequest(kind=kind, **values), actor="staff:1")  # type: ignore[arg-type]


def get(context: Context, number: int) -> RightsRequest:
    with context.db.reading() as session:
        found = rights.get(session, number)
        session.expunge(found)
        return found


def mails(context: Context) -> list[tuple[str, str | None]]:
    with context.db.reading() as session:
        return [(one.kind.value, one.email) for one in session.exec(select(QueuedMail))]


def close(context: Context, number: int, outcome: str, note: str = "Done.", **more: str) -> None:
    with context.db.writing() as session:
        rights.close(session, context, number, Answer(outcome, note, **more), actor="staff:1")


def test_time_that_stood_still_is_added_and_extending_adds_two_months(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        number = take_in(session, context)
    due = get(context, number).due_at
    with context.db.writing() as session:
        rights.stop_clock(session, context, number, reason="Sign the letter.", actor="staff:1")
    clock.advance(days=5)
    with context.db.writing() as session:
        rights.start_clock(session, context, number, actor="staff:1")
    assert get(context, number).due_at == due + timedelta(days=5)
    with context.db.writing() as session:
        rights.extend(session, context, number, reason="Many letters.", actor="staff:1")
        with pytest.raises(Refused, match="once"):
            rights.extend(session, context, number, reason="More.", actor="staff:1")
    found = get(context, number)
    assert found.due_at == rules.months_later(found.received_at, 3) + timedelta(days=5)
    assert [kind for kind, _ in mails(context)] == ["request_waits", "request_extended"]
    assert cast.ada.id


def test_extending_is_for_the_first_month_only_and_needs_a_reason(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        number = take_in(session, context)
        with pytest.raises(InvalidInput, match="why"):
            rights.extend(session, context, number, reason=" ", actor="staff:1")
    clock.advance(days=32)
    with context.db.writing() as session, pytest.raises(Refused, match="first month"):
        rights.extend(session, context, number, reason="Late.", actor="staff:1")
    assert cast.ada.id


def test_what_is_due_soon_is_reminded_of_and_what_stands_still_is_not(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        number, other = take_in(session, context), take_in(session, context, "erasure")
        rights.stop_clock(session, context, other, reason="Sign it.", actor="staff:1")
        assert rights.urgent(session, context) == []
    clock.advance(days=25)
    with context.db.reading() as session:
        assert [one.id for one in rights.urgent(session, context)] == [number]
    assert cast.ada.id


def test_access_is_answered_by_a_link_for_fourteen_days_at_the_address_on_file(
    context: Context, cast: Cast
) -> None:
    with context.db.writing() as session:
        number = take_in(session, context, "access", email="ADA@example.org")
    with pytest.raises(InvalidInput, match="how you know"):
        close(context, number, "done")
    close(context, number, "done", identity="A letter with her signature.")
    assert mails(context) == [("request_done", "ada@example.org")]
    with context.db.reading() as session:
        mail = session.exec(select(QueuedMail)).one()
        assert "/my-data/" in mail.parts["link"]
        assert mail.parts["days"] == "14"
    assert cast.ada.id


def test_a_refusal_needs_a_reason_and_names_the_way_to_complain(
    context: Context, cast: Cast
) -> None:
    with context.db.writing() as session:
        number = take_in(session, context)
    with pytest.raises(InvalidInput, match="reason"):
        close(context, number, "refused", "")
    close(context, number, "refused", "The third time this month.")
    with context.db.reading() as session:
        parts = session.exec(select(QueuedMail)).one().parts
    assert parts["reason"] == "The third time this month."
    assert "authority" in parts
    with pytest.raises(Refused, match="ended already"):
        close(context, number, "done")
    assert cast.ada.id


def test_an_objection_is_done_in_the_same_step_and_asks_nobody_who_they_are(
    context: Context, cast: Cast
) -> None:
    with context.db.writing() as session:
        number = take_in(session, context, "objection")
    close(context, number, "done")
    with context.db.reading() as session:
        entries = suppression.check(session, context, "ada@example.org")
        assert [(one.scope, one.reason) for one in entries] == [("all", Reason.OBJECTION)]
    assert cast.ada.id


def test_a_restriction_is_done_in_the_same_step(context: Context, cast: Cast) -> None:
    with context.db.writing() as session:
        number = take_in(session, context, "restriction")
    close(context, number, "done", identity="called back")
    with context.db.reading() as session:
        person = subscribers.by_id(session, cast.ada.id or 0)
        assert person
        assert person.restricted


def test_nobody_known_is_no_one_to_do_it_for(context: Context, cast: Cast) -> None:
    with context.db.writing() as session:
        number = take_in(session, context, email="stranger@example.com")
    with pytest.raises(Refused, match="Nothing is held"):
        close(context, number, "done", identity="x")
    close(context, number, "nothing_held", "Looked by address and name.")
    assert mails(context) == [("nothing_held", "stranger@example.com")]
    assert cast.ada.id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "everything"}, "what they ask"),
        ({"came_by": "page"}, "how the request came in"),
        ({"email": "ada"}, "address"),
        ({"email": "", "name": " "}, "address or a name"),
        ({"message": "x" * 5000}, "longer"),
    ],
)
def test_what_can_not_be_used_is_said(
    context: Context, changes: dict[str, str], words: str
) -> None:
    with context.db.writing() as session, pytest.raises(InvalidInput, match=words):
        take_in(session, context, **{"kind": "access", **changes})


def test_what_was_said_is_forgotten_with_an_erasure_and_that_it_was_stays(
    context: Context, cast: Cast
) -> None:
    with context.db.writing() as session:
        number = take_in(session, context, "erasure", message="Please forget Ada.")
    close(context, number, "done", identity="her signature")
    assert rights.erase(context, cast.ada.id or 0, actor="staff:1", at_once=False)
    found = get(context, number)
    assert (found.name, found.email, found.message, found.note) == ("", None, "", "")
    assert (found.kind, found.outcome) == (RightsKind.ERASURE, RightsOutcome.DONE)
    # The answer goes out although the address is erased, and until then its bytes are needed.
    assert mails(context) == [("request_done", "ada@example.org")]
    assert may_go(ServiceMailKind.REQUEST_DONE, [Reason.ERASED, Reason.STOP_ALL])
    assert not may_go(ServiceMailKind.REQUEST_DONE, [Reason.HARD_BOUNCE])
    with context.db.reading() as session:
        assert rights.waiting_since(session) is None
