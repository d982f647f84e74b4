"""What people write becomes a dated task, and one network can't fill the queue."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefcentre.audit import service as audit
from prefcentre.contact import rules, service
from prefcentre.contact.service import ContactKind, Form, Problem
from prefcentre.context import Context
from prefcentre.errors import NotFound, Refused
from prefcentre.testing import FrozenClock

GOOD = Form("channels", " Ada  Lovelace ", "ada@example.org", "+359 2 1234567", "Stop calling me. ")


def take_in(context: Context, form: Form = GOOD, ip: str | None = "192.0.2.7") -> bool:
    with context.db.writing() as session:
        return service.take_in(session, context, form, ip=ip, language="bg")


def test_a_request_waits_with_the_day_it_is_due(any_context: Context, clock: FrozenClock) -> None:
    assert take_in(any_context)
    with any_context.db.reading() as session:
        (found,) = service.requests(session)
    assert (found.kind, found.name, found.email, found.phone, found.message) == (
        ContactKind.CHANNELS,
        "Ada Lovelace",
        "ada@example.org",
        "+35921234567",
        "Stop calling me.",
    )
    assert (found.due_at, found.language, found.came_from) == (
        clock.now() + timedelta(days=3),
        "bg",
        "192.0.2.0/24",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"kind": "love"}, [Problem.KIND]),
        ({"email": "", "phone": " "}, [Problem.REACH]),
        ({"email": "ada"}, [Problem.EMAIL]),
        ({"phone": "02 1234567"}, [Problem.PHONE]),
        ({"message": " \n"}, [Problem.MESSAGE]),
        ({"message": "x" * 4001}, [Problem.LENGTH]),
        ({"email": ""}, []),
    ],
)
def test_everything_that_is_wrong_is_found_at_once(
    context: Context, change: dict[str, Any], expected: list[Problem]
) -> None:
    values = {name: getattr(GOOD, name) for name in Form.__dataclass_fields__}
    assert service.problems(context, Form(**(values | change))) == expected


@pytest.mark.parametrize(
    ("kind", "at", "due"),
    [
        (ContactKind.DATA, datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)),
        (ContactKind.DATA, datetime(2026, 12, 5, tzinfo=UTC), datetime(2027, 1, 5, tzinfo=UTC)),
        (ContactKind.QUESTION, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC)),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last_one(
    kind: ContactKind, at: datetime, due: datetime
) -> None:
    assert rules.due(kind, at) == due


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        (None, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_people_are_counted_by_their_network(ip: str | None, network: str) -> None:
    assert rules.network(ip) == network


def test_one_network_has_its_limit_and_others_go_on(
    any_context: Context, clock: FrozenClock
) -> None:
    assert [take_in(any_context) for _ in range(6)] == [True] * 5 + [False]
    assert take_in(any_context, ip="198.51.100.1")
    clock.advance(minutes=61)
    assert take_in(any_context)
    with any_context.db.reading() as session:
        assert len(service.requests(session)) == 7


def close(context: Context, number: int, note: str = "Called back.") -> None:
    with context.db.writing() as session:
        service.close(session, context, number, note=note, actor="Eve")


def test_a_closed_request_is_out_of_the_queue_and_on_record(any_context: Context) -> None:
    take_in(any_context)
    with any_context.db.reading() as session:
        number = service.requests(session)[0].id or 0
    with pytest.raises(Refused, match="needs a note"):
        close(any_context, number, " ")
    close(any_context, number, "Told ada@example.org.")
    with any_context.db.reading() as session:
        assert service.requests(session) == []
        (found,) = service.requests(session, closed_too=True)
        (event,) = audit.newest(session)
    assert (found.closed_by, found.came_from) == ("Eve", "")
    assert (event.action, event.note) == ("answered", "Told •••")
    with pytest.raises(Refused, match="closed on"):
        close(any_context, number)
    with pytest.raises(NotFound):
        close(any_context, 99)
