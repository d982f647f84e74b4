"""Who may be sent to, one fact at a time; and what replies mean."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.delivery import rules
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.rules import ConsentFact, Facts, Send, Skip, after_reply, may_send
from prefcentre.reasons import Reason

GRANTED = Facts(consent=ConsentFact.GRANTED)

facts = st.builds(
    Facts,
    consent=st.sampled_from(ConsentFact),
    consent_expired=st.booleans(),
    suppression=st.none() | st.sampled_from(Reason),
    paused=st.booleans(),
    too_soon=st.booleans(),
    restricted=st.booleans(),
    role_address=st.booleans(),
    has_address=st.booleans(),
    address_changed=st.booleans(),
)


def test_granted_consent_and_nothing_else_lets_a_mail_pass() -> None:
    assert may_send(GRANTED) == Send()


@pytest.mark.parametrize("consent", [fact for fact in ConsentFact if fact != ConsentFact.GRANTED])
def test_any_other_consent_is_no_consent(consent: ConsentFact) -> None:
    assert may_send(Facts(consent=consent)) == Skip(Reason.NO_CONSENT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"consent_expired": True}, Reason.NO_CONSENT),
        ({"paused": True}, Reason.PAUSED),
        ({"too_soon": True}, Reason.FREQUENCY),
        ({"restricted": True}, Reason.RESTRICTED),
        ({"role_address": True}, Reason.ROLE),
        ({"has_address": False}, Reason.BAD_ADDRESS),
        ({"address_changed": True}, Reason.ADDRESS_CHANGED),
    ],
)
def test_each_deny_outweighs_consent(change: dict[str, bool], reason: Reason) -> None:
    assert may_send(replace(GRANTED, **change)) == Skip(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", Reason)
def test_every_suppression_outweighs_consent_and_is_named(reason: Reason) -> None:
    assert may_send(replace(GRANTED, suppression=reason)) == Skip(reason)


@given(facts)
def test_the_strongest_of_several_reasons_is_named(found: Facts) -> None:
    """R178, checked against a plain list instead of the code's own order."""
    single = {
        "consent_expired": Reason.NO_CONSENT,
        "paused": Reason.PAUSED,
        "too_soon": Reason.FREQUENCY,
        "restricted": Reason.RESTRICTED,
        "role_address": Reason.ROLE,
        "address_changed": Reason.ADDRESS_CHANGED,
    }
    reasons = [reason for name, reason in single.items() if getattr(found, name)]
    reasons += [found.suppression] if found.suppression else []
    reasons += [] if found.has_address else [Reason.BAD_ADDRESS]
    reasons += [] if found.consent is ConsentFact.GRANTED else [Reason.NO_CONSENT]
    order = [
        "legal",
        "erased",
        "objection",
        "complaint",
        "trap",
        "hard_bounce",
        "stop_all",
        "register",
        "domain",
        "deceased",
        "manual",
        "topic",
        "soft_bounce",
        "role",
        "restricted",
        "no_consent",
        "paused",
        "frequency",
        "address_changed",
        "template",
        "bad_address",
    ]
    expected = min((order.index(reason.value) for reason in reasons), default=None)
    decision = may_send(found)
    if expected is None:
        assert decision == Send()
    else:
        assert decision == Skip(Reason(order[expected]))


@given(facts)
def test_facts_survive_being_one_number(found: Facts) -> None:
    code = rules.NO_SUPPRESSION if found.suppression is None else found.suppression.rank
    code |= rules.CONSENT_CODES[found.consent] << rules.CONSENT_SHIFT
    for place, name in enumerate(rules.FLAGS):
        value = not found.has_address if name == "no_address" else getattr(found, name)
        code |= value << (rules.FLAG_SHIFT + place)
    assert rules.facts_of(code) == found


def test_exactly_the_sendable_numbers_are_sendable() -> None:
    every = range(1 << (rules.FLAG_SHIFT + len(rules.FLAGS)))
    valid = [
        code
        for code in every
        if (code & rules.NO_SUPPRESSION) in {rules.NO_SUPPRESSION, *range(len(Reason))}
        and (code >> rules.CONSENT_SHIFT & 7) < len(ConsentFact)
    ]
    assert rules.sendable_codes() == [
        code for code in valid if isinstance(may_send(rules.facts_of(code)), Send)
    ]


@pytest.mark.parametrize("reason", Reason)
def test_a_refusal_about_the_address_suppresses_and_about_the_person_skips(reason: Reason) -> None:
    about_the_person = [
        "restricted",
        "no_consent",
        "paused",
        "frequency",
        "address_changed",
        "template",
        "bad_address",
    ]
    assert rules.refused_state(reason) == (
        "skipped" if reason.value in about_the_person else "suppressed"
    )


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (250, "accepted"),
        (251, "accepted"),
        (299, "accepted"),
        (451, "deferred"),
        (421, "deferred"),
        (550, "failed"),
        (599, "failed"),
        (354, "unknown"),
        (199, "unknown"),
        (600, "unknown"),
    ],
)
def test_a_reply_means_one_state(code: int, state: str) -> None:
    assert after_reply(code, "", 1, at_recipient=False).state == state


def test_retries_grow_for_three_days_and_then_stop() -> None:
    waits = [rules.retry_wait(attempt) for attempt in range(1, 10)]
    assert waits[0] == timedelta(minutes=15)
    assert all(a <= b for a, b in pairwise(waits) if a and b)
    total = sum((wait for wait in waits if wait), timedelta())
    assert timedelta(days=2, hours=20) < total <= timedelta(days=3)
    assert rules.retry_wait(10) is None
    assert after_reply(451, "busy", 10, at_recipient=True).state == "expired"


@pytest.mark.parametrize(
    ("code", "text", "dead"),
    [
        (550, "5.1.1 The email account that you tried to reach does not exist", True),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound", True),
        (550, "5.2.1 The email account that you tried to reach is disabled", True),
        (556, "5.1.2 bad destination system address", True),
        (550, "5.7.1 Message rejected as spam by content filter: no such user will like it", False),
        (552, "5.2.2 mailbox full", False),
        (550, "5.4.1 Recipient address rejected: Access denied", False),
        (552, "5.3.4 message too big", False),
        (550, "No such user here", True),
        (550, "Requested action not taken: mailbox unavailable", True),
        (554, "delivery error: this user doesn't have an account", False),
        (550, "spam", False),
        (450, "4.1.1 user unknown for now", False),
    ],
)
def test_only_a_dead_address_is_called_dead(code: int, text: str, *, dead: bool) -> None:
    assert after_reply(code, text, 1, at_recipient=True).dead_address is dead


def test_words_at_the_final_dot_say_nothing_about_the_address() -> None:
    assert not after_reply(550, "no such user", 1, at_recipient=False).dead_address


ALLOWED = {
    ("pending", "claimed"), ("pending", "cancelled"),
    ("claimed", "pending"), ("claimed", "handing_off"), ("claimed", "failed"), ("claimed", "deferred"),
    ("claimed", "expired"), ("claimed", "suppressed"), ("claimed", "skipped"), ("claimed", "cancelled"),
    ("handing_off", "accepted"), ("handing_off", "failed"), ("handing_off", "deferred"), ("handing_off", "expired"),
    ("handing_off", "unknown"), ("handing_off", "pending"),
    ("deferred", "pending"), ("deferred", "expired"), ("deferred", "cancelled"),
    ("unknown", "accepted"), ("unknown", "failed"), ("unknown", "deferred"),
}  # fmt: skip


@pytest.mark.parametrize("before", DeliveryState)
@pytest.mark.parametrize("after", DeliveryState)
def test_a_recipient_moves_only_along_the_drawn_lines(
    before: DeliveryState, after: DeliveryState
) -> None:
    assert rules.may_follow(before, after) is ((before.value, after.value) in ALLOWED)
