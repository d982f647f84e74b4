"""A campaign that is ready to go, and a worker that can be started in a test."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.testing.makers import Cast

CAMPAIGN = """topic = "product-news"
template = "letter"
subject = "News for {{ subscriber.first_name|default('you') }}"
from = "Acme News <news@mail.example.com>"
reply_to = "hello@example.com"
"""


def write_campaign(
    folder: Path,
    slug: str = "spring",
    body: str = "Hello.\n\n[Read on](https://www.example.com/a)\n",
) -> None:
    """A small campaign as files."""
    (folder / slug).mkdir(parents=True, exist_ok=True)
    (folder / slug / "campaign.toml").write_text(CAMPAIGN)
    (folder / slug / "body.md").write_text(body)


def start(context: Context, slug: str = "spring", body: str | None = None) -> Campaign:
    """Start a campaign and write its audience down, so that it is in state sending."""
    write_campaign(context.settings.campaigns_dir, slug, **({"body": body} if body else {}))
    with context.db.reading() as session:
        checked = delivery.check(session, context, slug)
    with context.db.writing() as session:
        campaign = delivery.start(session, context, checked, None, None)
    prepare(context, campaign)
    return campaign


def prepare(context: Context, campaign: Campaign) -> None:
    """What the clockwork does when a campaign's time has come."""
    from prefcentre.campaigns import service as campaigns  # noqa: PLC0415 - only here

    with context.db.writing() as session:
        campaigns.mark_preparing(session, context, campaign.id or 0)
    more = True
    while more:
        with context.db.reading() as session:
            part = delivery.judge_part(session, context, campaign.id or 0)
        with context.db.writing() as session:
            more = delivery.write_part(session, context, campaign.id or 0, part)
    with context.db.reading() as session:
        found = campaigns.by_id(session, campaign.id or 0)
        assert found is not None
        assert found.state == CampaignState.SENDING


def send(context: Context, until: Callable[[], bool], seconds: float = 20) -> None:
    """Run a worker until something is so."""
    asyncio.run(_send(context, until, seconds))


async def _send(context: Context, until: Callable[[], bool], seconds: float) -> None:
    stop = asyncio.Event()
    worker = asyncio.create_task(delivery.Worker(context).run(stop))
    try:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(until):
                assert not worker.done(), worker.exception()
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await worker


def outcomes(context: Context, slug: str = "spring") -> dict[str, int]:
    """The outcomes that are not zero."""
    with context.db.reading() as session:
        found = delivery.status(session, slug)["outcomes"]
    return {state: count for state, count in found.items() if count}


def is_over(context: Context, slug: str = "spring") -> Callable[[], bool]:
    """Whether a campaign has ended."""

    def look() -> bool:
        with context.db.reading() as session:
            return delivery.is_over(session, slug)

    return look


@pytest.fixture
def spring(any_context: Context, any_cast: Cast) -> Campaign:
    """A campaign about product news in state sending; of the cast only Ada is in its audience."""
    return start(any_context)
