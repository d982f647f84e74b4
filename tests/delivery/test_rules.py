"""Who may be sent to, one fact at a time; and which state may follow which."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcentre.delivery import rules
from prefcentre.delivery.models import DeliveryState
from prefcentre.delivery.rules import ConsentFact, Facts, Send, Skip, may_send
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


ALLOWED = {
    ("pending", "claimed"), ("pending", "cancelled"),
    ("claimed", "pending"), ("claimed", "handing_off"), ("claimed", "failed"), ("claimed", "deferred"),
    ("claimed", "expired"), ("claimed", "suppressed"), ("claimed", "skipped"), ("claimed", "cancelled"),
    ("handing_off", "accepted"), ("handing_off", "failed"), ("handing_off", "deferred"), ("handing_off", "expired"),
    ("handing_off", "unknown"), ("handing_off", "pending"),
    ("deferred", "pending"), ("deferred", "expired"), ("deferred", "cancelled"),
    ("unknown", "accepted"), ("unknown", "failed"), ("unknown", "pending"),
}  # fmt: skip


@pytest.mark.parametrize("before", DeliveryState)
@pytest.mark.parametrize("after", DeliveryState)
def test_a_recipient_moves_only_along_the_drawn_lines(
    before: DeliveryState, after: DeliveryState
) -> None:
    assert rules.may_follow(before, after) is ((before.value, after.value) in ALLOWED)
