"""The sender with a real mail server: what a journey can't easily bring about."""

import time
from dataclasses import replace
from typing import Any

import pytest

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import gate, ledger, pool, queries, worker
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Worker
from prefcentre.errors import Unavailable
from prefcentre.lookup import LookupKind
from prefcentre.messages import headers
from prefcentre.messages import service as messages
from prefcentre.subscribers.models import Subscriber
from prefcentre.testing import Act, Fault, RecordingSmtpServer, Stage
from prefcentre.testing.makers import Cast, make_consent, make_person
from prefcentre.tokens import LinkToken, TokenKind
from tests.delivery.conftest import is_over, outcomes, send, start


def set_attributes(context: Context, person: Subscriber, **attributes: str) -> None:
    with context.db.writing() as session:
        found = session.get(Subscriber, person.id)
        assert found is not None
        found.attributes = attributes


@pytest.fixture
def three(context: Context, cast: Cast) -> Campaign:
    """A campaign to Ada, Eve and Fay on SQLite."""
    with context.db.writing() as session:
        for name in ("eve", "fay"):
            person = make_person(session, context, f"{name}@example.org", name.title())
            make_consent(session, context, person, cast.news)
    return start(context)


def test_everybody_in_the_audience_gets_one_mail(
    any_context: Context, spring: Campaign, smtpd: RecordingSmtpServer
) -> None:
    send(any_context, is_over(any_context))
    assert smtpd.recipients == ["ada@example.org"]
    assert outcomes(any_context) == {"accepted": 1}


def test_a_missing_value_skips_that_person_only(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """L11, R25: a city that one person has and the other has not."""
    with context.db.writing() as session:
        eve = make_person(session, context, "eve@example.org")
        make_consent(session, context, eve, cast.news)
    for person, city in ((eve, "Sofia"), (cast.ada, "Ruse")):
        set_attributes(context, person, city=city)
    start(context, body="Hello {{ subscriber.attributes.city }}.")
    set_attributes(context, cast.ada)
    send(context, is_over(context))
    assert smtpd.recipients == ["eve@example.org"]
    with context.db.reading() as session:
        assert delivery.status(session, "spring")["reasons"] == {"template": 1}


def test_a_mail_with_somebody_elses_link_is_never_handed_over(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L15, T14: the link in the final bytes is compared with the person in the envelope."""
    foreign = context.signer.sign(LinkToken(TokenKind.UNSUBSCRIBE, 42, 1, three.id or 0))
    own = headers.own_unsubscribe_token
    monkeypatch.setattr(
        headers, "own_unsubscribe_token", lambda data: foreign if b"eve@" in data else own(data)
    )
    send(context, is_over(context))
    assert sorted(smtpd.recipients) == ["ada@example.org", "fay@example.org"]
    assert outcomes(context) == {"accepted": 2, "skipped": 1}


def test_one_recipient_that_breaks_us_does_not_stop_the_others(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T45: a poison row is written down, and the campaign ends."""
    compose = messages.Composer.compose

    def break_on_eve(
        self: messages.Composer, recipient: messages.Recipient, *rest: object
    ) -> messages.Message:
        if recipient.email.startswith("eve"):
            raise ZeroDivisionError
        return compose(self, recipient, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(messages.Composer, "compose", break_on_eve)
    send(context, is_over(context))
    assert sorted(smtpd.recipients) == ["ada@example.org", "fay@example.org"]
    assert outcomes(context) == {"accepted": 2, "skipped": 1}


def test_a_gate_that_fails_sends_no_dot_and_everybody_is_tried_again(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that goes away at the worst moment loses nobody and doubles nobody."""
    pass_gate, failures = ledger.pass_gate, [Unavailable(), Unavailable()]

    def fail_twice(*args: object, **kwargs: object) -> object:
        if failures:
            raise failures.pop()
        return pass_gate(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "pass_gate", fail_twice)
    monkeypatch.setattr(gate, "RETRY_SECONDS", 0.01)
    send(context, is_over(context))
    assert sorted(smtpd.recipients) == ["ada@example.org", "eve@example.org", "fay@example.org"]
    assert outcomes(context) == {"accepted": 3}


def test_results_that_could_not_be_written_are_written_later(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the last ones of a campaign, behind which nobody comes to the gate any more."""
    pass_gate, failures = ledger.pass_gate, [Unavailable(), Unavailable()]

    def fail_on_results_alone(*args: Any) -> object:
        if not args[3] and failures:
            raise failures.pop()
        return pass_gate(*args)

    monkeypatch.setattr(ledger, "pass_gate", fail_on_results_alone)
    monkeypatch.setattr(gate, "RETRY_SECONDS", 0.01)
    send(context, is_over(context))
    assert not failures
    assert outcomes(context) == {"accepted": 3}


def test_a_gate_whose_commit_came_too_late_sends_no_dot(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept between gate and dot must not send what an opt-out has stopped waiting for."""
    limits = [-1.0, -1.0, -1.0]
    limit = gate.DOT_LIMIT_SECONDS

    class Slow:
        """Says "too late" for the first three messages."""

        def __ge__(self, passed: float) -> bool:
            return passed <= (limits.pop() if limits else limit)

    monkeypatch.setattr(gate, "DOT_LIMIT_SECONDS", Slow())
    send(context, is_over(context))
    assert not limits
    assert sorted(smtpd.recipients) == ["ada@example.org", "eve@example.org", "fay@example.org"]
    assert outcomes(context) == {"accepted": 3}
    server_saw_taken_back = len(smtpd.aborted)
    assert server_saw_taken_back == 3


def test_a_server_that_hangs_up_on_everybody_costs_nobody_an_attempt(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L8: what is wrong with the server is not held against a recipient."""
    monkeypatch.setattr(pool, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(pool, "MAX_BACKOFF_SECONDS", 0.02)
    few = context.settings.model_copy(update={"smtp_connections": 1})
    smtpd.faults.append(Fault(Stage.MAIL, Act.DROP, times=40))
    send(replace(context, settings=few), is_over(context))
    assert sorted(smtpd.recipients) == ["ada@example.org", "eve@example.org", "fay@example.org"]
    assert outcomes(context) == {"accepted": 3}
    with context.db.reading() as session:
        found = [queries.find(session, three.id or 0, number) for number in (1, 2, 3)]
    assert [row.attempts for row in found if row] == [1, 1, 1]


def test_stopping_in_the_middle_leaves_nothing_in_hand(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer
) -> None:
    smtpd.defer(reply="451 later", times=None)
    send(context, lambda: bool(smtpd.commands))
    found = outcomes(context)
    assert not {"claimed", "handing_off"} & set(found)
    assert sum(found.values()) == 3


def test_a_worker_that_lost_its_lease_stops_by_itself(context: Context, three: Campaign) -> None:
    import asyncio  # noqa: PLC0415 - only here

    async def lose() -> None:
        stop = asyncio.Event()
        found = Worker(context)
        running = asyncio.create_task(found.run(stop))
        while not found.id:  # noqa: ASYNC110 - the worker has no event for it
            await asyncio.sleep(0.01)
        with context.db.writing() as session:
            from prefcentre.delivery import presence  # noqa: PLC0415 - only here

            presence.end_worker(session, found.id, context.clock.now())
        await found.keep_alive()
        assert stop.is_set()
        await running

    asyncio.run(lose())


def test_an_opt_out_waits_for_a_dot_that_is_on_its_way(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """Design §12: "done" is answered when the mail that had passed the gate is decided."""
    start(context)
    smtpd.stall(times=1)
    keys = [context.lookup.newest(LookupKind.EMAIL, "ada@example.org")]
    waits: list[tuple[bool, float]] = []

    def at_the_dot() -> bool:
        with context.db.reading() as session:
            return queries.on_the_wire(session, keys)

    def look() -> bool:
        if at_the_dot() and not waits:
            began = time.monotonic()
            ended = delivery.wait_for_dots(context, keys, timeout=0.2)
            waits.append((ended, time.monotonic() - began))
            smtpd.hang_up()
            waits.append((delivery.wait_for_dots(context, keys), 0))
        return is_over(context)()

    send(context, look)
    (first, seconds), (second, _) = waits
    assert not first
    assert seconds >= 0.2
    assert second
    assert outcomes(context) == {"unknown": 1}


def test_a_server_that_never_answers_does_not_keep_us_from_stopping(
    context: Context, three: Campaign, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was at the dot is unknown then; it is told, and nothing is sent again by itself."""
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.2)
    smtpd.stall("eve@")
    send(context, lambda: outcomes(context) == {"accepted": 2, "handing_off": 1})
    assert outcomes(context) == {"accepted": 2, "unknown": 1}
