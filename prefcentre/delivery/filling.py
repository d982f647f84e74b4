"""From rows of the ledger to what composing takes.

A file of its own, because the sender, the preflight and the test mail share it.
"""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery.gate_queries import LOOKED
from prefcentre.errors import Unavailable
from prefcentre.messages import service as messages
from prefcentre.messages.service import Composer, Recipient
from prefcentre.preferences.service import TrackingChoice
from prefcentre.throttles import service as throttles

_PERSON, _EMAIL = LOOKED.index("subscriber_id"), LOOKED.index("email")
_YES = TrackingChoice.YES


@dataclass(frozen=True, slots=True)
class Mailing:
    """A campaign that is being sent: what fills in its messages, and whose limits concern all of them."""

    composer: Composer
    sender_domain: str
    scopes: tuple[str, ...]


def mailing_of(session: Session, context: Context, campaign_id: int) -> Mailing:
    """A campaign's present version, ready to be sent. Raises Unavailable when it is gone."""
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None:
        raise Unavailable(f"Campaign {campaign_id} is gone.")
    topic = consent.topic_by_id(session, campaign.topic_id)
    content = campaigns.content(session, campaign_id, campaign.content_version)
    compiled = messages.Compiled.from_json(content.compiled)
    composer = Composer(
        context,
        compiled,
        campaign_id=campaign_id,
        slug=campaign.slug,
        topic_id=campaign.topic_id,
        topic_label=topic.list_label,
        topic_name=topic.name,
    )
    domain = addresses.parse(compiled.sender_email).domain
    scopes = (throttles.campaign_scope(campaign_id), throttles.sender_scope(domain))
    return Mailing(composer, domain, scopes)


def recipient_of(person: Any) -> Recipient:
    """The recipient behind the person's columns of a row: id, public id, address, names and so on, in that order."""
    (
        subscriber_id,
        public_id,
        email,
        name,
        first_name,
        last_name,
        language,
        timezone,
        attributes,
        opens,
        clicks,
    ) = person
    return Recipient(
        subscriber_id,
        public_id,
        email,
        name,
        first_name,
        last_name,
        language,
        timezone,
        attributes or {},
        opens == _YES,
        clicks == _YES,
    )


def recipient_in(looked: Any) -> Recipient:
    """The recipient in a row of ``gate_queries.look``."""
    return recipient_of(looked[_PERSON:])


def address_in(looked: Any) -> str:
    """The address in a row of ``gate_queries.look``, as typed."""
    return str(looked[_EMAIL])
