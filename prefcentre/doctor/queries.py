"""What the doctor reads from and notes in the database."""

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.campaigns.models import Campaign, CampaignDraft, CampaignState, SenderDomain
from prefcentre.db import is_sqlite
from prefcentre.delivery.models import Lease
from prefcentre.subscribers.models import SubscriberKey


def damage(session: Session) -> list[str]:
    """What SQLite finds wrong with its file; nothing for a database that looks after itself."""
    if not is_sqlite(session):
        return []
    return [line for (line,) in session.execute(sa.text("PRAGMA quick_check(5)")) if line != "ok"]


def try_to_write(session: Session) -> None:
    """Fail as every write would, if writing is not possible; changes nothing."""
    session.execute(sa.delete(Lease).where(sa.false()))


def lookup_key_versions(session: Session) -> list[str]:
    """The lookup keys that the addresses on file were hashed with."""
    # One index seek for each version; DISTINCT would read a row for each person.
    versions: list[str] = []
    column = col(SubscriberKey.key_version)
    while (
        found := session.scalar(
            sa.select(sa.func.min(column)).where(column > (versions or [""])[-1])
        )
    ) is not None:
        versions.append(found)
    return versions


def known_domains(session: Session) -> list[str]:
    """The sender domains that were looked at before."""
    return list(session.scalars(sa.select(col(SenderDomain.domain))))


def drafts(session: Session) -> list[str]:
    """What campaigns of the desk say that may still go out, as in their files."""
    over = (CampaignState.FINISHED, CampaignState.CANCELLED)
    statement = (
        sa.select(col(CampaignDraft.toml))
        .join(Campaign, col(Campaign.id) == col(CampaignDraft.campaign_id))
        .where(col(Campaign.state).not_in(over))
    )
    return list(session.scalars(statement))
