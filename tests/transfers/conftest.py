"""A campaign that waits to be sent, and a service mail that does."""

import pytest

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.testing.makers import Cast
from tests.delivery.conftest import start


@pytest.fixture
def spring_here(context: Context, cast: Cast) -> Campaign:
    """A campaign to Ada in state sending, on SQLite."""
    return start(context)


@pytest.fixture
def mail_waits(context: Context) -> None:
    """A service mail to Ada waits to be handed over."""
    told = ServiceMail(
        ServiceMailKind.NOTHING_HELD, "ada@example.org", "en", {"date": "2026-11-02"}, "1"
    )
    with context.db.writing() as session:
        servicemail.enqueue(session, context, told)
