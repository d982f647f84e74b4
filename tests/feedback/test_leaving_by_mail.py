"""Somebody who writes to the address of List-Unsubscribe has left, whatever they write (R39)."""

import pytest

from prefcentre.campaigns.models import Campaign
from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.feedback import service
from prefcentre.feedback.service import Arrival
from prefcentre.testing.makers import Cast
from tests.feedback.conftest import reasons
from tests.feedback.test_arriving import report


def address(context: Context, campaign: Campaign) -> str:
    """The address that one of our mails gave to leave by."""
    token = context.signer.sign_return_path(campaign.id or 0, 1)
    return f"u-{token}@bounces.example.com"


def written(to: str, subject: str = "unsubscribe", more: str = "") -> bytes:
    """A mail of a person."""
    return f"From: Ada <ada@work.example>\nTo: {to}\nSubject: {subject}\n{more}\nPlease.\n".encode()


@pytest.mark.parametrize("subject", ["unsubscribe", "Re: Spring", "", "Bitte keine Mails mehr"])
def test_whatever_the_subject_says_they_have_left(
    any_context: Context, any_cast: Cast, campaign: Campaign, subject: str
) -> None:
    context = any_context
    mail = written(address(context, campaign).upper(), subject)
    assert service.take_in(context, mail, "returns") is Arrival.DONE
    assert "topic" in reasons(context)
    with context.db.reading() as session:
        last = consents.history(session, context, any_cast.ada)[-1]
    assert (last["action"], last["method"]) == ("withdrawn", "email")
    assert service.take_in(context, mail, "returns") is Arrival.KNOWN


@pytest.mark.parametrize(
    "more", ["Auto-Submitted: auto-replied\n", "X-Autoreply: yes\n", "Precedence: auto_reply\n"]
)
def test_a_machine_that_answers_leaves_nothing(context: Context, ours: Campaign, more: str) -> None:
    service.take_in(context, written(address(context, ours), "Re: Spring", more), "returns")
    assert reasons(context) == set()


def test_a_made_up_address_takes_nobody_off(context: Context, ours: Campaign) -> None:
    forged = f"u-{'0' * 48}@bounces.example.com"
    assert service.take_in(context, written(forged), "returns") is Arrival.WAITING
    assert reasons(context) == set()


def test_a_bounce_that_strayed_there_is_still_a_bounce(context: Context, ours: Campaign) -> None:
    service.take_in(context, report(to=address(context, ours)), "returns")
    assert reasons(context) == {"hard_bounce"}
