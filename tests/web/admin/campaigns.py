"""A campaign that went out with readers, one that waits, and hostile words where others may write."""

import re

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import DeliveryState
from prefcentre.testing.makers import Cast
from tests.delivery.conftest import start, write_campaign
from tests.reporting.conftest import MACHINE, add_people, hit, put

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
BODY = """Hello.

[Read on](https://www.example.com/a) or [see all](https://www.example.com/b?x=%22%3E%3Cscript%3Ealert(3)%3C/script%3E).
"""


def words(page: str) -> str:
    """What a page says, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))


def sent(context: Context, cast: Cast) -> Campaign:
    """“spring” went to Ada and four others: two accepted, one refused with hostile words, one unknown, one put off."""
    add_people(context, cast)
    campaign = start(context, body=BODY)
    put(context, DeliveryState.ACCEPTED, 1, 2, smtp_code=250, smtp_text="2.0.0 Ok")
    put(context, DeliveryState.FAILED, 3, smtp_code=550, smtp_text=f"5.1.1 {HOSTILE}", attempts=1)
    put(context, DeliveryState.UNKNOWN, 4, smtp_text=f"closed {HOSTILE}")
    put(context, DeliveryState.DEFERRED, 5, smtp_code=451, smtp_text=f"4.7.1 {HOSTILE}")
    hit(context, 1)
    hit(context, 1, 0)
    hit(context, 2, agent=MACHINE)
    return campaign


def finished(context: Context, cast: Cast) -> Campaign:
    """The same, over: who was put off is given up."""
    campaign = sent(context, cast)
    put(context, DeliveryState.EXPIRED, 5, smtp_code=451, smtp_text=f"4.7.1 {HOSTILE}")
    with context.db.writing() as session:
        assert delivery.finish_if_done(session, context, campaign.id or 0)
    return campaign


def draft(context: Context, cast: Cast, slug: str = "summer") -> None:
    """Files of a campaign that nobody has started."""
    add_people(context, cast)
    write_campaign(context.settings.campaigns_dir, slug)
