"""Links as they stand in mails, and the state of the database as one hash."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from prefcentre.campaigns.models import Campaign, CampaignContent, CampaignLink
from prefcentre.context import Context
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.messages.service import Compiled
from prefcentre.subscribers.models import Subscriber
from prefcentre.testing.makers import Cast
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from prefcentre.tracking.links import TrackingLinks

CAMPAIGN = 7
LINK = "https://www.example.com/articles/1?utm=x&y=%20z#part"
MAIL = Compiled(
    subject="Hello {{ subscriber.first_name|default('there') }}",
    html=(
        '<html><body style="color:#333"><p>Dear {{ subscriber.first_name|default("reader") }},</p>'
        '<a href="{{ links.unsubscribe }}">Unsubscribe</a> <a href="{{ link__0 }}">Read</a>'
        "{{ pixel__ }}</body></html>"
    ),
    text="Hello",
    sender_name="Acme",
    sender_email="news@example.com",
    links=(LINK,),
)


@dataclass(frozen=True)
class Mailed:
    """The paths of the links in a mail about ``news`` that went to somebody."""

    context: Context
    person: Subscriber
    topic: int
    delivery: int

    def path(self, kind: TokenKind, topic: int | None = None) -> str:
        token = LinkToken(
            kind, self.person.public_id, self.topic if topic is None else topic, CAMPAIGN
        )
        token = issued_on(token, self.context.clock.now())
        return self.context.links.page(token).removeprefix(self.context.settings.public_url)

    @property
    def unsubscribe(self) -> str:
        return self.path(TokenKind.UNSUBSCRIBE)

    @property
    def preferences(self) -> str:
        return self.path(TokenKind.PREFERENCES)

    @property
    def view(self) -> str:
        return self.path(TokenKind.VIEW)

    @property
    def why(self) -> str:
        return self.path(TokenKind.WHY)

    @property
    def tracking_token(self) -> str:
        links = TrackingLinks(self.context.settings, self.context.links)
        return links.token(CAMPAIGN, self.delivery)

    @property
    def pixel(self) -> str:
        return f"/o/{self.tracking_token}"

    @property
    def click(self) -> str:
        return f"/c/{self.tracking_token}/0"

    @property
    def all(self) -> list[str]:
        return [
            self.unsubscribe,
            self.preferences,
            self.view,
            self.why,
            self.pixel,
            self.click,
        ]


@pytest.fixture
def campaign(context: Context, cast: Cast) -> None:
    """A campaign about ``news`` that was sent to the whole cast."""
    now = context.clock.now()
    with context.db.writing() as session:
        session.add(
            Campaign(id=CAMPAIGN, slug="spring", topic_id=cast.news.id or 0, created_at=now)
        )
        session.flush()
        session.add(CampaignLink(campaign_id=CAMPAIGN, number=0, url=LINK))
        session.add(
            CampaignContent(
                campaign_id=CAMPAIGN,
                version=1,
                sha256="0" * 64,
                compiled=MAIL.to_json(),
                created_at=now,
            )
        )
        for number, person in enumerate([cast.ada, cast.ben, cast.cleo, cast.dan], start=1):
            session.add(
                Delivery(
                    campaign_id=CAMPAIGN,
                    id=number,
                    subscriber_id=person.id or 0,
                    key=bytes([number]) * 16,
                    state=DeliveryState.ACCEPTED,
                )
            )


@pytest.fixture
def ada(context: Context, cast: Cast, campaign: None) -> Mailed:
    """Confirmed, and agrees to be counted."""
    return Mailed(context, cast.ada, cast.news.id or 0, 1)


@pytest.fixture
def ben(context: Context, cast: Cast, campaign: None) -> Mailed:
    """Has not confirmed and was never asked about counting."""
    return Mailed(context, cast.ben, cast.news.id or 0, 2)


@pytest.fixture
def nobody(context: Context, cast: Cast, campaign: None) -> Mailed:
    """Was erased after the mail had gone out."""
    now = context.clock.now()
    gone = Subscriber(public_id=99, consent_ref=b"", created_at=now, updated_at=now)
    return Mailed(context, gone, cast.news.id or 0, 99)


@pytest.fixture
def state(context: Context) -> Callable[[], str]:
    """All rows of the main database as one hash: equal before and after means nothing has changed."""

    def digest() -> str:
        found = hashlib.sha256()
        with context.db.reading() as session:
            for table in SQLModel.metadata.sorted_tables:
                rows = session.execute(sa.select(table)).all()
                found.update(repr((table.name, sorted(map(repr, rows)))).encode())
        return found.hexdigest()

    return digest


@pytest.fixture
def undo_of() -> Callable[[str], str]:
    """The undo token in a page."""

    def find(page: str) -> str:
        return page.split('name="undo" value="')[1].split('"', maxsplit=1)[0]

    return find
