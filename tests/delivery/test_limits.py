"""Limits and several mail servers, as the sender keeps to them."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prefcentre.accounts import SmtpAccount
from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import lane, worker
from prefcentre.testing import FrozenClock, Offer, RecordingSmtpServer
from prefcentre.testing.behaviour import Stage
from prefcentre.testing.makers import Cast, make_consent, make_person
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import Limit
from tests.delivery.conftest import outcomes, send, start

PEOPLE = 40


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(lane, "PATIENCE_SECONDS", 0.0)


@pytest.fixture
def crowd(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign to Ada, 20 people at slow.example.net and 20 at example.com."""
    with any_context.db.writing() as session:
        for number in range(PEOPLE):
            domain = "slow.example.net" if number % 2 else "example.com"
            person = make_person(session, any_context, f"p{number}@{domain}")
            make_consent(session, any_context, person, any_cast.news)
    return start(any_context)


def limit(context: Context, scope: str, **limits: Any) -> None:
    with context.db.writing() as session:
        throttles.set_limit(session, scope, Limit(**limits))


def settled(context: Context, **expected: int) -> bool:
    found = outcomes(context)
    return {state: found.get(state, 0) for state in expected} == expected


def with_accounts(context: Context, *servers: RecordingSmtpServer, **more: Any) -> Context:
    accounts = tuple(
        SmtpAccount.model_validate({"name": f"number-{place}", "url": server.url, **more})
        for place, server in enumerate(servers)
    )
    settings = context.settings.model_copy(update={"smtp_accounts": accounts, "smtp_url": None})
    return replace(context, settings=settings)


@pytest.fixture
def second() -> Iterator[RecordingSmtpServer]:
    """Another mail server."""
    with RecordingSmtpServer() as server:
        yield server


def test_a_domains_limit_holds_exactly_and_stalls_nobody_else(
    any_context: Context, crowd: Campaign, smtpd: RecordingSmtpServer
) -> None:
    """R55: five an hour go there, everybody else at once; the others wait in the ledger, with the reason."""
    limit(any_context, "domain:slow.example.net", per_hour=5)
    send(any_context, lambda: settled(any_context, accepted=26, deferred=15))
    there = Counter(address.rpartition("@")[2] for address in smtpd.recipients)
    assert there == {"slow.example.net": 5, "example.com": 20, "example.org": 1}
    with any_context.db.reading() as session:
        assert (
            throttles.look(session, any_context.clock.now())["domain:slow.example.net"].why
            == "at most 5 an hour"
        )


def test_a_limit_survives_a_restart_and_opens_with_the_hour(
    any_context: Context, crowd: Campaign, smtpd: RecordingSmtpServer, clock: FrozenClock
) -> None:
    limit(any_context, "domain:slow.example.net", per_hour=5)
    send(any_context, lambda: settled(any_context, accepted=26, deferred=15))
    clock.advance(minutes=59)
    send(any_context, lambda: settled(any_context, accepted=26))
    assert len(smtpd.recipients) == 26
    clock.advance(days=1)
    send(any_context, lambda: settled(any_context, accepted=31))
    assert len(set(smtpd.recipients)) == len(smtpd.recipients) == 31


@pytest.mark.parametrize("scope", ["campaign", "sender", "account:main"])
def test_a_campaigns_and_an_accounts_limit_holds_everybody(
    any_context: Context, crowd: Campaign, smtpd: RecordingSmtpServer, scope: str
) -> None:
    """What can't go now stays pending: nobody's time is lost when the limit is lifted."""
    names = {"campaign": f"campaign:{crowd.id}", "sender": "sender:mail.example.com"}
    limit(any_context, names.get(scope, scope), per_day=7)
    send(any_context, lambda: settled(any_context, accepted=7, claimed=0))
    time.sleep(0.1)
    assert len(smtpd.recipients) == 7
    assert outcomes(any_context) == {"accepted": 7, "pending": PEOPLE + 1 - 7}


def test_a_campaign_outside_its_hours_waits_without_being_put_off(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    start(context)
    now = context.clock.now()
    closed = throttles.SendWindow.from_json(
        {
            "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "from": f"{now + timedelta(hours=2):%H:%M}",
            "to": f"{now + timedelta(hours=3):%H:%M}",
            "zone": "UTC",
        }
    )
    limit(context, "campaign:1", send_window=closed)
    looks = iter(range(20))
    send(context, lambda: next(looks, None) is None)
    assert outcomes(context) == {"pending": 1}
    assert smtpd.recipients == []


def test_a_domains_connections_are_never_more_than_allowed(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """R56: messages on their way to one destination at a time."""
    with context.db.writing() as session:
        for number in range(30):
            person = make_person(session, context, f"p{number}@slow.example.net")
            make_consent(session, context, person, cast.news)
    start(context)
    limit(context, "domain:slow.example.net", connections=2)
    smtpd.offer = replace(smtpd.offer, reply_delay=0.02)
    send(context, lambda: settled(context, accepted=31), seconds=60)
    assert len(set(smtpd.recipients)) == 31


def test_accounts_share_the_messages_by_their_weights(
    context: Context,
    crowd_on_sqlite: Campaign,
    smtpd: RecordingSmtpServer,
    second: RecordingSmtpServer,
) -> None:
    both = with_accounts(context, smtpd, second, connections=2)
    heavy, light = both.settings.accounts
    weighted = (heavy.model_copy(update={"weight": 3.0}), light)
    settings = both.settings.model_copy(update={"smtp_accounts": weighted})
    send(replace(both, settings=settings), lambda: settled(context, accepted=401), seconds=60)
    assert len(smtpd.recipients) + len(second.recipients) == 401
    assert 2.0 <= len(smtpd.recipients) / len(second.recipients) <= 4.5


@pytest.fixture
def crowd_on_sqlite(context: Context, cast: Cast) -> Campaign:
    """A campaign to 401 people."""
    with context.db.writing() as session:
        for number in range(400):
            person = make_person(session, context, f"p{number}@example.com")
            make_consent(session, context, person, cast.news)
    return start(context)


def test_another_account_takes_over_when_one_is_away(
    context: Context,
    crowd_on_sqlite: Campaign,
    smtpd: RecordingSmtpServer,
    second: RecordingSmtpServer,
) -> None:
    both = with_accounts(context, smtpd, second)
    smtpd.stop()
    send(both, lambda: settled(context, accepted=401), seconds=60)
    assert len(set(second.recipients)) == 401


def test_an_account_that_may_not_send_costs_nobody_an_attempt(
    context: Context,
    crowd_on_sqlite: Campaign,
    smtpd: RecordingSmtpServer,
    second: RecordingSmtpServer,
) -> None:
    """A refusal of us is ours to put right: the circuit breaker opens, and the other account goes on."""
    smtpd.refuse("", reply="550 5.7.1 Sender not allowed", stage=Stage.MAIL, times=None)
    both = with_accounts(context, smtpd, second)
    send(both, lambda: settled(context, accepted=401), seconds=60)
    assert len(set(second.recipients)) == 401
    assert smtpd.recipients == []


def test_a_connection_is_closed_after_its_messages(
    context: Context, crowd_on_sqlite: Campaign, smtpd: RecordingSmtpServer
) -> None:
    few = with_accounts(context, smtpd, connections=3, messages_per_connection=10)
    send(few, lambda: settled(context, accepted=401), seconds=60)
    served = Counter(message.connection for message in smtpd.messages)
    assert max(served.values()) == 10
    assert sum(served.values()) == 401


def test_a_server_that_counts_messages_itself_gets_all_of_them_once(
    context: Context, crowd_on_sqlite: Campaign
) -> None:
    """R68: 421 after 20 messages on a connection; nobody is lost, doubled or put off."""
    with RecordingSmtpServer(offer=Offer(max_messages=20)) as server:
        send(with_accounts(context, server), lambda: settled(context, accepted=401), seconds=60)
        assert len(server.recipients) == len(set(server.recipients)) == 401
