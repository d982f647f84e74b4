"""What is chosen on the page is what the gate goes by."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from prefcentre.campaigns.models import Campaign
from prefcentre.delivery import coming_queries, rules
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import Delivery
from prefcentre.delivery.rules import Send, Skip
from prefcentre.reasons import Reason
from prefcentre.testing.makers import Cast
from tests.web.conftest import CAMPAIGN, Mailed

NEWS = "product-news:email"


def decision(mailed: Mailed, cast: Cast) -> Send | Skip:
    """What the gate would say now of a campaign that comes after the one that was sent."""
    question = Question(
        cast.news.id or 0,
        cast.news.key,
        CAMPAIGN + 1,
        mailed.context.lookup.version,
        mailed.context.clock.now(),
    )
    with mailed.context.db.reading() as session:
        code = coming_queries.code(session, question, mailed.person.id or 0)
    assert code is not None
    return rules.decide(code)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"choice": NEWS}, Send()),
        ({"choice": NEWS, "frequency": "all", "track_opens": "yes"}, Send()),
        ({"choice": NEWS, "language": "bg", "spoken": "en"}, Send()),
        ({"choice": NEWS, "paused_until": "2027-01-15"}, Skip(Reason.PAUSED)),
        ({"choice": NEWS, "frequency": "weekly"}, Skip(Reason.FREQUENCY)),
        ({"choice": NEWS, "frequency": "monthly"}, Skip(Reason.FREQUENCY)),
        ({"choice": "events:email"}, Skip(Reason.TOPIC)),
        ({"stop": "everything", "choice": NEWS}, Skip(Reason.STOP_ALL)),
    ],
)
def test_the_gate_goes_by_the_page(
    client: FlaskClient, ada: Mailed, cast: Cast, form: dict[str, Any], expected: Send | Skip
) -> None:
    with ada.context.db.writing() as session:
        sent = session.get(Delivery, (CAMPAIGN, ada.delivery))
        assert sent
        assert session.get(Campaign, CAMPAIGN)
        sent.at = ada.context.clock.now()
    client.post(ada.preferences, data={"form": "choices", **form})
    assert decision(ada, cast) == expected
