"""What a sender leaves for monitoring: outcomes, reasons, groups, times, and how opt-outs fared."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import gate_queries, ledger, queries
from prefcentre.delivery import service as delivery
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.lookup import LookupKind
from prefcentre.metrics import meters
from prefcentre.monitoring.service import Monitor
from prefcentre.reasons import Reason
from prefcentre.testing import Fault, FrozenClock, RecordingSmtpServer, Stage
from prefcentre.testing.makers import Cast, make_consent, make_person, make_suppression
from tests.delivery.conftest import is_over, send, start

Read = Callable[[str], dict[tuple[str, ...], list[float]]]


@pytest.fixture
def read(any_context: Context) -> Iterator[Read]:
    """The cells of a meter, by its labels."""
    meters.keep_in(any_context.settings.data_dir)

    def found(name: str) -> dict[tuple[str, ...], list[float]]:
        counted = meters.read(any_context.settings.data_dir)
        return {labels: cells for (shape, labels), cells in counted.items() if shape.name == name}

    yield found
    meters.close()


@pytest.fixture
def four(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign to Ada, Eve, Fay and Gus."""
    with any_context.db.writing() as session:
        for name in ("eve", "fay", "gus"):
            person = make_person(session, any_context, f"{name}@example.org", name.title())
            make_consent(session, any_context, person, any_cast.news)
    return start(any_context)


def key_of(context: Context, email: str) -> bytes:
    return context.lookup.newest(LookupKind.EMAIL, email)


def opt_out(context: Context, email: str) -> None:
    with context.db.writing() as session:
        make_suppression(session, context, email, Reason.STOP_ALL)


def observed(cells: list[float]) -> float:
    """How many values a histogram has seen."""
    return sum(cells[:-1])


def test_outcomes_reasons_groups_and_times_are_counted(
    any_context: Context, four: Campaign, smtpd: RecordingSmtpServer, read: Read
) -> None:
    smtpd.faults.append(Fault(Stage.RCPT, b"550 5.7.1 no\r\n", who="fay@"))
    opt_out(any_context, "gus@example.org")
    send(any_context, is_over(any_context))
    assert read("messages") == {
        ("accepted",): [2.0],
        ("failed",): [1.0],
        ("suppressed",): [1.0],
    }
    assert read("gate_refusals") == {("stop_all",): [1.0]}
    assert observed(read("message_seconds")[()]) == 2
    groups, transactions = read("gate_group_messages")[()], read("gate_transaction_seconds")[()]
    assert groups[-1] == 2
    assert observed(groups) <= 2 < observed(transactions) + 1
    assert read("mail_server_away") == {("main",): [0.0]}
    assert ("main",) in read("connections")


def test_who_is_kept_back_at_the_final_dot_is_counted_by_the_reason(
    any_context: Context,
    four: Campaign,
    smtpd: RecordingSmtpServer,
    read: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed = ledger.pass_gate

    def leave_just_before(session: Session, context: Context, *rest: Any) -> ledger.Passage:
        make_suppression(session, context, "eve@example.org", Reason.STOP_ALL)
        return passed(session, context, *rest)

    monkeypatch.setattr(ledger, "pass_gate", leave_just_before)
    send(any_context, is_over(any_context))
    assert "eve@example.org" not in smtpd.recipients
    assert read("gate_refusals") == {("stop_all",): [1.0]}
    assert read("messages") == {("accepted",): [3.0], ("suppressed",): [1.0]}


def test_a_mail_server_that_is_away_shows(
    any_context: Context, four: Campaign, smtpd: RecordingSmtpServer, read: Read
) -> None:
    smtpd.faults.append(Fault(Stage.BANNER, b"554 5.3.2 not now\r\n"))
    send(any_context, lambda: read("mail_server_away").get(("main",)) == [1.0])
    assert read("message_seconds") == {}


def test_how_long_an_opt_out_waited_for_a_dot_is_timed(
    any_context: Context, four: Campaign, read: Read
) -> None:
    key = key_of(any_context, "ada@example.org")
    delivery.wait_for_dots(any_context, [key])
    assert observed(read("opt_out_wait_seconds")[()]) == 1
    assert read("opt_out_waits_given_up") == {}
    with any_context.db.writing() as session:
        session.execute(sa.update(Delivery).values(state=DeliveryState.HANDING_OFF))
    assert not delivery.wait_for_dots(any_context, [key], timeout=0.05)
    waits = read("opt_out_wait_seconds")[()]
    assert observed(waits) == 2
    assert waits[-1] >= 0.05
    assert read("opt_out_waits_given_up") == {(): [1.0]}


# --- the promise ------------------------------------------------------------------------------------


def messages_after_opt_out(context: Context) -> str:
    text, _ = Monitor(context).page("")
    (line,) = (
        line
        for line in text.decode().splitlines()
        if line.startswith("prefcentre_messages_after_opt_out ")
    )
    return line.split()[1]


def test_an_answer_that_comes_after_the_opt_out_is_no_message_after_it(
    any_context: Context, any_cast: Cast, smtpd: RecordingSmtpServer, clock: FrozenClock
) -> None:
    start(any_context)
    smtpd.offer = replace(smtpd.offer, reply_delay=2.0)
    left: list[str] = []

    def look() -> bool:
        with any_context.db.reading() as session:
            is_out = queries.on_the_wire(session, [key_of(any_context, "ada@example.org")])
        if is_out and not left:
            clock.advance(seconds=1)
            opt_out(any_context, "ada@example.org")
            left.append("ada@example.org")
            clock.advance(seconds=1)
        return is_over(any_context)()

    send(any_context, look)
    assert (left, smtpd.recipients) == (["ada@example.org"], ["ada@example.org"])
    assert messages_after_opt_out(any_context) == "0.0"


def test_a_message_whose_sender_died_after_the_opt_out_is_none_either(
    any_context: Context, four: Campaign, clock: FrozenClock
) -> None:
    with any_context.db.writing() as session:
        worker = ledger.sign_in(session, any_context)
        ids = ledger.claim(session, any_context, worker, four.id or 0, 10)
        claimed, _ = ledger.look(session, any_context, four.id or 0, ids)
        passage = ledger.pass_gate(session, any_context, worker, claimed, [])
    assert set(passage.verdicts.values()) == {ledger.Verdict.OPEN}
    clock.advance(seconds=1)
    opt_out(any_context, "ada@example.org")
    clock.advance(minutes=1)
    with any_context.db.writing() as session:
        assert ledger.recover(session, any_context)["unknown"] == 4
    assert messages_after_opt_out(any_context) == "0.0"


def test_a_message_that_the_gate_lets_pass_in_spite_of_an_opt_out_is_seen(
    any_context: Context, four: Campaign, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the last look before the dot were missing."""
    with any_context.db.writing() as session:
        worker = ledger.sign_in(session, any_context)
        ids = ledger.claim(session, any_context, worker, four.id or 0, 10)
        claimed, _ = ledger.look(session, any_context, four.id or 0, ids)
    opt_out(any_context, "ada@example.org")
    clock.advance(seconds=1)

    def open_to_all(session: Session, question: Question, *rest: object) -> list[int]:
        session.execute(sa.update(Delivery).values(state=DeliveryState.HANDING_OFF, at=question.at))
        return ids

    monkeypatch.setattr(gate_queries, "open_gate", open_to_all)
    with any_context.db.writing() as session:
        ledger.pass_gate(session, any_context, worker, claimed, [])
    assert messages_after_opt_out(any_context) == "1.0"
