"""All SQL on looks at campaigns."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.checks.models import CampaignCheck, CheckState


def latest(session: Session, campaign_id: int) -> CampaignCheck | None:
    """The last look at a campaign, as it is in the database now."""
    return session.get(CampaignCheck, campaign_id, populate_existing=True)


def replace(session: Session, check: CampaignCheck) -> None:
    """Begin a look in place of the one before."""
    session.execute(
        sa.delete(CampaignCheck).where(col(CampaignCheck.campaign_id) == check.campaign_id)
    )
    session.add(check)
    session.flush()


def go_on(session: Session, campaign_id: int, run: str, at: datetime, **columns: Any) -> bool:
    """Note how far a look has come; False when another one was begun in the meantime."""
    changed = session.execute(
        sa.update(CampaignCheck)
        .where(
            col(CampaignCheck.campaign_id) == campaign_id,
            col(CampaignCheck.run) == run,
            col(CampaignCheck.state) == CheckState.RUNNING,
        )
        .values(beat_at=at, **columns)
        .execution_options(synchronize_session=False)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]
