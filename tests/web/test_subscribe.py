"""The form for signing up: what is recorded is what was shown."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlmodel import select

from prefcentre.app import create_app
from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.settings import SignUpForm
from prefcentre.signups import waiting
from prefcentre.signups.models import PageRequest
from prefcentre.subscribers import service as subscribers
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


def for_the_young(context: Context, country: str = "", minimum: int = 0) -> Context:
    settings = context.settings
    changed = {
        "sign_up": SignUpForm(for_the_young=True, minimum_age=minimum),
        "brand": settings.brand.model_copy(update={"country": country}),
    }
    return replace(context, settings=settings.model_copy(update=changed))


@pytest.mark.parametrize(
    ("country", "minimum", "age"), [("BG", 0, 14), ("DE", 0, 16), ("", 0, 16), ("BG", 18, 18)]
)
def test_a_form_for_the_young_asks_for_the_age_of_the_country(
    context: Context, country: str, minimum: int, age: int
) -> None:
    """R100: by the jurisdiction, or as it is set."""
    page = create_app(for_the_young(context, country, minimum)).test_client().get("/subscribe")
    assert f"I am at least {age} years old" in page.text
    assert 'name="old_enough" value="yes">' in page.text, "nothing is ticked"


def test_who_does_not_say_so_is_told_and_nothing_is_lost(context: Context) -> None:
    client = create_app(for_the_young(context, "BG")).test_client()
    form = CHOSEN | {"wording": wording(context)}
    answer = client.post("/subscribe", data=form)
    assert answer.status_code == 400
    assert 'href="#old_enough"' in answer.text
    assert 'value="zoe@example.org"' in answer.text
    assert kept(context) == []


def test_what_was_said_of_the_age_is_kept_with_the_consent_and_no_birthday(
    context: Context,
) -> None:
    young = for_the_young(context, "BG")
    form = CHOSEN | {"wording": wording(context), "old_enough": "yes"}
    assert create_app(young).test_client().post("/subscribe", data=form).status_code == 200
    assert waiting.work_off(young)
    with context.db.reading() as session:
        person = subscribers.find(session, context, "zoe@example.org")
        assert person is not None
        (event,) = consents.history_of(session, person.consent_ref)
        assert event["evidence"] == {"age": "said to be at least 14"}


def test_other_forms_ask_nobody_for_an_age(client: FlaskClient) -> None:
    assert "old_enough" not in client.get("/subscribe").text
