"""Calls of every provider, genuine and forged, from the request's octets to what they change."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery.models import DeliveryState
from prefcentre.errors import NotFound
from prefcentre.feedback.models import FeedbackEvent
from prefcentre.feedback.service import PROVIDERS, Call, Unreadable, Unverified, take_call
from prefcentre.sections_webhooks import Webhooks
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.feedback.conftest import reasons, sent, states
from tests.feedback.webhooks import payloads
from tests.feedback.webhooks.conftest import (
    NOW,
    SNS_URL,
    Keys,
    generic,
    mailgun,
    sendgrid,
    signers,
    sns,
)


@pytest.fixture
def mail(hooked: Context, cast: Cast, clock: FrozenClock) -> Campaign:
    """A mail that went to Ada half an hour ago."""
    return sent(hooked, at=clock.now() - timedelta(minutes=30))


def test_every_provider_is_off_until_it_is_set_up(context: Context) -> None:
    for name in (*PROVIDERS, "nobody"):
        with pytest.raises(NotFound):
            take_call(context, name, Call(b"{}"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (payloads.DEAD_ADDRESS, {"hard_bounce"}),
        (payloads.BLOCK, set()),
        (payloads.COMPLAINT, {"complaint"}),
        (payloads.LEFT, {"topic"}),
        (payloads.DELIVERED, set()),
    ],
    ids=["dead", "block", "complaint", "left", "delivered"],
)
def test_what_a_provider_tells_has_its_effect_once(
    hooked: Context, mail: Campaign, keys: Keys, told: Mapping[str, Any], expected: set[str]
) -> None:
    for name, sign in signers(keys).items():
        call = sign(told[name])
        assert take_call(hooked, name, call) == {"taken": 1}, name
        assert take_call(hooked, name, call) == {"known": 1}, name
        assert reasons(hooked) == expected, name
        with hooked.db.writing() as session:
            for table in ("suppression", "feedback_event", "webhook_call"):
                session.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608 - our own words


def test_an_uncertain_mail_is_resolved_by_a_providers_word(
    hooked: Context, cast: Cast, keys: Keys
) -> None:
    campaign = sent(hooked, state=DeliveryState.UNKNOWN)
    take_call(hooked, "generic", generic(payloads.DELIVERED["generic"]))
    assert states(hooked, campaign) == {1: "accepted"}


@pytest.mark.parametrize("spelled", ["<{}@mail.example.com>", "{}@mail.example.com", "{}"])
def test_our_own_message_id_says_which_mail_is_meant(
    hooked: Context, mail: Campaign, keys: Keys, spelled: str
) -> None:
    other = sent(hooked, "summer")
    _, own = hooked.signer.sign_delivery(mail.id or 0, 1)
    told = payloads.ses("Delivery", {"recipients": [payloads.ADA]}, spelled.format(own.upper()))
    take_call(hooked, "ses", sns(keys, told))
    with hooked.db.reading() as session:
        found = session.execute(sa.select(FeedbackEvent)).scalars().one()
    assert (found.campaign_id, found.delivery_id) == (mail.id, 1) != (other.id, 1)


def test_somebody_to_whom_nothing_was_sent_lately_is_left_alone(
    hooked: Context, cast: Cast, clock: FrozenClock
) -> None:
    sent(hooked, at=clock.now() - timedelta(days=31))
    for address in (payloads.ADA, "ben@example.org", "nobody@example.org", "no address", ""):
        told = payloads.generic("complaint", address=address)
        assert take_call(hooked, "generic", generic(told)) == {"nobody": 1}
    assert reasons(hooked) == set()


def test_the_good_part_of_a_call_is_kept(hooked: Context, mail: Campaign, keys: Keys) -> None:
    bad: list[Any] = [7, None, [], {"event": "bounce"}, {"event": "spamreport", "timestamp": "x"}]
    call = sendgrid(keys, [*bad, *payloads.COMPLAINT["sendgrid"], {"event": "open"}])
    assert take_call(hooked, "sendgrid", call) == {"unreadable": 5, "taken": 1}
    assert reasons(hooked) == {"complaint"}
    with pytest.raises(Unreadable):
        take_call(hooked, "sendgrid", sendgrid(keys, bad))


def test_calls_are_taken_once_on_postgresql_too(
    pg_context: Context, pg_cast: Cast, webhooks: Webhooks
) -> None:
    sent(pg_context)
    settings = pg_context.settings.model_copy(update={"webhooks": webhooks})
    hooked = replace(pg_context, settings=settings)
    call = mailgun(payloads.COMPLAINT["mailgun"])
    assert take_call(hooked, "mailgun", call) == {"taken": 1}
    assert take_call(hooked, "mailgun", call) == {"known": 1}
    with pytest.raises(Unverified, match="used before"):
        take_call(hooked, "mailgun", mailgun(payloads.LEFT["mailgun"]))
    assert reasons(hooked) == {"complaint"}


# --- what is forged -----------------------------------------------------------------------------


def forged(keys: Keys, name: str, chance: random.Random) -> Call:
    """A genuine call with something changed that its provider did not sign, or could not have."""
    told = chance.choice((payloads.DEAD_ADDRESS, payloads.COMPLAINT, payloads.LEFT))[name]
    call = signers(keys)[name](told)
    if name == "mailgun":
        # It signs no body, so what can be forged are time, token and signature.
        body = json.loads(call.body)
        field = chance.choice(("timestamp", "token", "signature"))
        body["signature"][field] = chance.choice(("", "0", body["signature"][field][:-1] + "!"))
        return replace(call, body=json.dumps(body).encode())
    if name in {"sendgrid", "generic"} and chance.random() < 0.5:
        return replace(call, body=call.body.replace(b"ada@", b"eda@") + b" ")
    if name == "ses":
        message = json.loads(call.body)
        field = chance.choice(("Message", "MessageId", "Timestamp", "Signature", "TopicArn"))
        message[field] = chance.choice(("", message[field] + "A", message[field][1:]))
        return replace(call, body=json.dumps(message).encode())
    headers = {
        header: chance.choice(("", value[:-3], value + "A", value[::-1], "Basic Og=="))
        for header, value in call.headers.items()
    }
    return replace(call, headers=headers)


def test_five_hundred_forged_calls_change_nothing(
    hooked: Context, mail: Campaign, keys: Keys
) -> None:
    chance = random.Random(7)
    for number in range(500):
        name = list(PROVIDERS)[number % len(PROVIDERS)]
        with pytest.raises(Unverified):
            take_call(hooked, name, forged(keys, name, chance))
    assert reasons(hooked) == set()
    with hooked.db.reading() as session:
        assert session.execute(sa.select(FeedbackEvent)).first() is None


@pytest.mark.parametrize("days", [-1, 1])
def test_a_call_that_was_signed_at_another_time_is_refused(
    hooked: Context, mail: Campaign, keys: Keys, days: int
) -> None:
    at = NOW + timedelta(days=days, minutes=days)
    stamp = at.isoformat().replace("+00:00", "Z")
    told = payloads.COMPLAINT
    for name, call in {
        "mailgun": mailgun(told["mailgun"], at=at),
        "sendgrid": sendgrid(keys, told["sendgrid"], at=at),
        "generic": generic(told["generic"], at=at),
        "ses": sns(keys, told["ses"], Timestamp=stamp),
    }.items():
        with pytest.raises(Unverified, match="too long ago"):
            take_call(hooked, name, call)


def test_mailguns_token_serves_one_body_only(hooked: Context, mail: Campaign) -> None:
    take_call(hooked, "mailgun", mailgun(payloads.DELIVERED["mailgun"]))
    with pytest.raises(Unverified, match="used before"):
        take_call(hooked, "mailgun", mailgun(payloads.COMPLAINT["mailgun"]))
    assert reasons(hooked) == set()


# --- Amazon's own -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        SNS_URL.replace("https", "http"),
        SNS_URL.replace("amazonaws.com", "amazonaws.com.evil.example"),
        SNS_URL.replace("sns.eu", "evil.example/sns.eu"),
        SNS_URL.replace("sns.", "user@sns."),
        SNS_URL.replace("eu-central-1", "us-east-1"),
        SNS_URL.replace(".com/", ".com:444/"),
        SNS_URL.replace(".pem", ".pem?x=1/../a"),
        SNS_URL.replace("SimpleNotificationService", "mine"),
        "https://[",
        "",
    ],
)
def test_certificates_come_from_sns_alone(
    hooked: Context, keys: Keys, fetched: list[str], url: str
) -> None:
    call = sns(keys, payloads.COMPLAINT["ses"], SigningCertURL=url)
    with pytest.raises(Unverified):
        take_call(hooked, "ses", call)
    assert fetched == []


def test_another_topic_is_refused_before_anything_is_fetched(
    hooked: Context, keys: Keys, fetched: list[str]
) -> None:
    topic = "arn:aws:sns:eu-central-1:999999999999:feedback"
    with pytest.raises(Unverified, match="topic_arns"):
        take_call(hooked, "ses", sns(keys, payloads.COMPLAINT["ses"], TopicArn=topic))
    assert fetched == []


def test_a_subscription_to_our_topic_is_confirmed_at_sns_alone(
    hooked: Context, keys: Keys, fetched: list[str]
) -> None:
    def ask(url: str) -> Call:
        return sns(keys, "", Type="SubscriptionConfirmation", Token="t", SubscribeURL=url)

    good = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    assert take_call(hooked, "ses", ask(good)) == {}
    assert fetched[-1] == good
    with pytest.raises(Unreadable):
        take_call(hooked, "ses", ask("https://evil.example/?Action=ConfirmSubscription"))
    assert fetched[-1] == good
