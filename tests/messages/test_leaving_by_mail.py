"""The address to leave by mail (R39) and the domain that mail comes back to (R71)."""

import re
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from prefcentre.context import Context
from prefcentre.messages import headers
from prefcentre.messages.values import ForeignLink
from prefcentre.sections_feedback import Feedback
from tests.messages.conftest import ADA, AT, MakeSource, composer_for

LINE = re.compile(
    rb"\r\nList-Unsubscribe:\r\n <(https://[^>\s]+/u/[A-Za-z0-9_-]+)>(?:,\r\n <mailto:([^>\s]+)>)?\r\n"
)


def with_feedback(context: Context, **given: object) -> Context:
    """The installation with these settings of mail that comes back."""
    feedback = Feedback.model_validate(given)
    return replace(context, settings=context.settings.model_copy(update={"feedback": feedback}))


def mail_domain(data: bytes) -> str:
    """The domain of the sender whom people see."""
    sender = message_from_bytes(data, policy=policy.default)["From"]
    return str(sender.addresses[0].domain)


def test_who_takes_mail_in_offers_an_address_beside_the_link(
    mail_context: Context, make_source: MakeSource
) -> None:
    here = with_feedback(mail_context, domain="Bounces.Example.com")
    message = composer_for(here, make_source("Hello")).compose(ADA, 7, AT)
    found = LINE.search(message.data)
    assert found
    address, _, query = found[2].decode().partition("?")
    assert query == "subject=unsubscribe"
    local, _, domain = address.partition("@")
    assert (local[:2], domain, len(local) <= 64) == ("u-", "bounces.example.com", True)
    # Some servers fold case.
    assert here.signer.read_return_path(local[2:].upper()) == (3, 7)
    assert message.mail_from == f"b-{local[2:]}@bounces.example.com"
    assert headers.own_unsubscribe_token(message.data) == found[1].decode().rpartition("/")[2]
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in message.data


@pytest.mark.parametrize("foreign", ["another mail's", "none at all", "made up"])
def test_an_address_to_leave_by_that_is_somebody_elses_is_never_composed(
    mail_context: Context,
    make_source: MakeSource,
    monkeypatch: pytest.MonkeyPatch,
    foreign: str,
) -> None:
    """L15: what stands in the finished octets is read there, whatever was used to write them."""
    here = with_feedback(mail_context, domain="bounces.example.com")
    found = {
        "another mail's": here.signer.sign_return_path(3, 8),
        "none at all": "",
        "made up": "0" * 48,
    }[foreign]
    monkeypatch.setattr(headers, "own_leaving_token", lambda _: found)
    composer = composer_for(here, make_source("Hello"))
    with pytest.raises(ForeignLink):
        composer.compose(ADA, 7, AT)


def test_a_mailbox_of_the_senders_domain_is_enough(
    mail_context: Context, make_source: MakeSource
) -> None:
    box = {"name": "returns", "url": "imaps://u:p@mail.example.com"}
    here = with_feedback(mail_context, mailboxes=[box])
    message = composer_for(here, make_source("Hello")).compose(ADA, 7, AT)
    found = LINE.search(message.data)
    assert found
    sender = mail_domain(message.data)
    assert message.mail_from.endswith(f"@{sender}")
    assert found[2].endswith(f"@{sender}?subject=unsubscribe".encode())


def test_nobody_is_asked_to_write_where_nothing_is_read(
    mail_context: Context, make_source: MakeSource
) -> None:
    message = composer_for(mail_context, make_source("Hello")).compose(ADA, 7, AT)
    assert b"mailto:u-" not in message.data


@pytest.mark.parametrize("domain", ["no domain", "a@b.example", "x..example"])
def test_a_wrong_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        Feedback(domain=domain)
