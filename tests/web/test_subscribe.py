"""The form for signing up: what is recorded is what was shown."""

import pytest
from flask.testing import FlaskClient
from sqlmodel import select

from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.signups.models import PageRequest
from prefcentre.testing.makers import Cast

CHOSEN = {"choice": "events:email", "email": "zoe@example.org", "track_opens": "yes"}


@pytest.fixture(autouse=True)
def _people(cast: Cast) -> None:
    """Topics to choose from."""


def kept(context: Context) -> list[PageRequest]:
    with context.db.reading() as session:
        return list(session.exec(select(PageRequest)))


def wording(context: Context, key: str = "events") -> str:
    with context.db.reading() as session:
        topic = consents.topic(session, key)
        return f"{key}:{consents.current_wording(session, topic.id or 0, 'en').id}"


def test_a_form_elsewhere_leads_here_with_what_was_chosen_and_the_words(
    context: Context, client: FlaskClient
) -> None:
    answer = client.post("/subscribe", data=CHOSEN)
    assert answer.status_code == 200
    assert "press the button once more" in answer.text
    assert 'value="zoe@example.org"' in answer.text
    assert answer.text.count(" checked") == 2, "nothing that was not chosen"
    assert 'value="events:email" checked' in answer.text
    assert wording(context) in answer.text
    assert kept(context) == []


def test_with_the_words_shown_it_is_taken(context: Context, client: FlaskClient) -> None:
    answer = client.post("/subscribe", data=CHOSEN | {"wording": wording(context)})
    assert "Look into your mailbox" in answer.text
    (request,) = kept(context)
    assert request.payload["wordings"] == {"events": int(wording(context).partition(":")[2])}
    assert request.payload["places"] == [["events", "email"]]


@pytest.mark.parametrize("claim", ["events:999", "product-news:1", "events:", "events:x", ""])
def test_words_that_were_not_shown_for_it_are_none(
    context: Context, client: FlaskClient, claim: str
) -> None:
    client.post("/subscribe", data=CHOSEN | {"wording": claim})
    assert kept(context) == []


def test_a_topic_that_has_ended_is_not_taken(context: Context, client: FlaskClient) -> None:
    answer = client.post("/subscribe", data=CHOSEN | {"choice": "no-such-topic:email"})
    assert answer.status_code == 400
    assert "Tick what you want to get." in answer.text
    assert 'value="zoe@example.org"' in answer.text


def test_who_signs_up_for_calls_is_told_that_the_number_is_checked(
    context: Context, client: FlaskClient
) -> None:
    with context.db.writing() as session:
        consents.topic(session, "events").channels = ["email", "phone"]
    form = {"choice": "events:phone", "phone": "+359 2 1234567", "wording": wording(context)}
    answer = client.post("/subscribe", data=form)
    assert "we check that the number is yours" in answer.text
