"""What came back of a campaign, each mail once, and the people behind each number.

Part of the feedback service; ``service`` offers these functions to other packages.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmodel import Session

from prefcentre.feedback import queries
from prefcentre.feedback.rules import FeedbackKind


@dataclass(frozen=True, slots=True)
class CameBack:
    """How many accepted mails came back: by how final it was, and by reason; and complaints by who told us of them."""

    permanent: int = 0
    transient: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    complaints: Mapping[str, int] = field(default_factory=dict)


def came_back(session: Session, campaign_id: int) -> CameBack:
    """What came back of a campaign. A mail of which several things were told counts once, by the worst (R76)."""
    reasons: Counter[str] = Counter()
    finality: Counter[str] = Counter()
    for word, mails in queries.counts(session, campaign_id, FeedbackKind.BOUNCE):
        reasons[word[2:]] += mails
        finality[word[1]] += mails
    complaints = dict(queries.counts(session, campaign_id, FeedbackKind.COMPLAINT))
    return CameBack(finality["1"], finality["0"], dict(reasons.most_common()), complaints)


def recipients_who(
    session: Session, campaign_id: int, kind: FeedbackKind, way: str, after: int, limit: int
) -> list[int]:
    """The recipients whose mails came back for a reason, or who complained, by their number in the campaign."""
    return queries.people_of(session, campaign_id, kind, way, after, limit)
