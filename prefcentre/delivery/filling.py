"""From rows of the ledger to what composing takes.

A file of its own, because the sender, the preflight and the test mail share it.
"""

from typing import Any

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery.gate_queries import LOOKED
from prefcentre.errors import Unavailable
from prefcentre.messages import service as messages
from prefcentre.messages.service import Composer, Recipient
from prefcentre.preferences.service import TrackingChoice

_PERSON = LOOKED.index("subscriber_id")
_YES = TrackingChoice.YES


def composer_for(session: Session, context: Context, campaign_id: int) -> Composer:
    """What fills in the messages of a campaign's present version. Raises Unavailable when it is gone."""
    campaign = campaigns.by_id(session, campaign_id)
    if campaign is None:
        raise Unavailable(f"Campaign {campaign_id} is gone.")
    topic = consent.topic_by_id(session, campaign.topic_id)
    content = campaigns.content(session, campaign_id, campaign.content_version)
    return Composer(
        context,
        messages.Compiled.from_json(content.compiled),
        campaign_id=campaign_id,
        slug=campaign.slug,
        topic_id=topic.id or 0,
        topic_label=topic.list_label,
        topic_name=topic.name,
    )


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
