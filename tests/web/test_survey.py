"""The page of a survey: for whoever agreed to be asked, without scripts and cookies (R95)."""

import pytest
from flask.testing import FlaskClient

from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit
from prefcentre.subscribers.service import Subscriber
from prefcentre.surveys import service
from prefcentre.surveys.service import Question, QuestionKind, Words
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import make_consent, make_person, make_topic
from prefcentre.tokens import LinkToken, TokenKind, issued_on

QUESTIONS = (
    Question(1, QuestionKind.ONE, "Where <b>do</b> you read us?", ("At home", "On the way")),
    Question(2, QuestionKind.SEVERAL, "What do you like?", ("News", "Events")),
    Question(3, QuestionKind.TEXT, "What is missing?"),
)


class Asked:
    """Somebody who agreed, the open survey, and the way to it."""

    def __init__(self, context: Context) -> None:
        with context.db.writing() as session:
            topic = make_topic(session, context, "surveys", for_surveys=True)
            self.person = make_person(session, context, "ada@example.org", "Ada Lovelace")
            make_consent(session, context, self.person, topic)
            self.topic = topic.id or 0
            made = service.make(session, context, "surveys", "How we do", "staff:1")
            self.survey = made.id or 0
            words = Words("How we do", "Two minutes.", "en", QUESTIONS)
            service.change(session, context, self.survey, words, "staff:1")
            service.open_(session, context, self.survey, "staff:1")
        token = LinkToken(TokenKind.SURVEY, self.person.public_id, self.topic)
        url = context.links.page(issued_on(token, context.clock.now()))
        self.path = url.removeprefix(context.settings.public_url)

    def form(self, **more: object) -> dict[str, object]:
        return {"survey": str(self.survey), **more}


@pytest.fixture
def asked(context: Context) -> Asked:
    return Asked(context)


def answers(context: Context, asked: Asked) -> dict[str, object]:
    with context.db.reading() as session:
        survey = service.get(session, asked.survey)
        return service.answers_of(session, survey, asked.person)


def stop(context: Context, person: Subscriber, topic: int) -> None:
    token = LinkToken(TokenKind.UNSUBSCRIBE, person.public_id, topic)
    with context.db.writing() as session:
        preferences.unsubscribe(session, context, token, Visit(Method.ONE_CLICK))


def test_somebody_answers_and_changes_it(
    context: Context, client: FlaskClient, asked: Asked
) -> None:
    page = client.get(asked.path)
    assert "Where &lt;b&gt;do&lt;/b&gt; you read us?" in page.text
    assert "What happens with your answers" in page.text
    assert "ada@" not in page.text
    assert "<script" not in page.text
    assert "Set-Cookie" not in page.headers
    assert answers(context, asked) == {}
    form = asked.form(**{"1": "At home", "2": ["News", "Events"], "3": "Pictures"})
    assert "Your answers are saved" in client.post(asked.path, data=form).text
    assert answers(context, asked) == {"1": "At home", "2": ["News", "Events"], "3": "Pictures"}
    again = client.get(asked.path).text
    assert 'value="At home" checked' in again
    assert ">Pictures</textarea>" in again
    client.post(asked.path, data=asked.form(**{"1": "On the way"}))
    assert answers(context, asked) == {"1": "On the way"}


def test_who_took_it_back_is_told_so_and_nothing_is_kept(
    context: Context, client: FlaskClient, asked: Asked
) -> None:
    """R95: an answer after the withdrawal is not stored, and earlier ones are gone."""
    client.post(asked.path, data=asked.form(**{"1": "At home"}))
    stop(context, asked.person, asked.topic)
    page = client.get(asked.path).text
    assert "take part in surveys" in page
    assert "At home" not in page
    assert "/p/" in page
    assert client.post(asked.path, data=asked.form(**{"1": "At home"})).status_code == 409
    assert answers(context, asked) == {}


def test_a_closed_survey_takes_nothing(context: Context, client: FlaskClient, asked: Asked) -> None:
    with context.db.writing() as session:
        service.close(session, context, asked.survey, "staff:1")
    assert "This survey has ended" in client.get(asked.path).text
    answer = client.post(asked.path, data=asked.form(**{"1": "At home"}))
    assert (answer.status_code, answers(context, asked)) == (409, {})


def test_a_bad_answer_loses_nothing_that_was_typed(
    context: Context, client: FlaskClient, asked: Asked
) -> None:
    form = asked.form(**{"1": "At home", "3": "x" * 501})
    answer = client.post(asked.path, data=form)
    assert answer.status_code == 400
    assert 'value="At home" checked' in answer.text
    assert "x" * 501 in answer.text
    assert answers(context, asked) == {}


def test_only_its_own_link_opens_it_and_not_for_ever(
    context: Context, client: FlaskClient, asked: Asked, clock: FrozenClock
) -> None:
    """R37: a link to the choices is none to the survey, and an old one shows nothing."""
    other = LinkToken(TokenKind.PREFERENCES, asked.person.public_id, asked.topic)
    text = context.signer.sign(issued_on(other, context.clock.now()))
    assert client.get(f"/s/{text}").status_code == 404
    clock.advance(days=3650)
    assert client.get(asked.path).status_code == 404


def test_agreeing_again_opens_it_again(context: Context, client: FlaskClient, asked: Asked) -> None:
    stop(context, asked.person, asked.topic)
    with context.db.writing() as session:
        topic = consent.topic_by_id(session, asked.topic)
        yes = consent.Act(
            subscriber_id=asked.person.id or 0,
            subscriber_ref=asked.person.consent_ref,
            topic_id=topic.id or 0,
            channel=consent.Channel.EMAIL,
            action=consent.ConsentAction.GRANTED,
            method="preference_page",
            source="preference page",
            at=context.clock.now(),
        )
        consent.record(session, context, [yes])
    assert "you read us?" in client.get(asked.path).text
