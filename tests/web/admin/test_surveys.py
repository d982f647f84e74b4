"""Surveys on the desk: written, opened, closed, and what came of them (R95, R151)."""

import pytest

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.surveys import service
from prefcentre.testing.makers import make_consent, make_person, make_topic
from tests.web.admin.campaigns import HOSTILE, words
from tests.web.admin.conftest import PASSWORD, Desk, post

BASE = "/admin/surveys"


@pytest.fixture
def draft(context: Context, desk: Desk) -> str:
    with context.db.writing() as session:
        make_topic(session, context, "surveys", for_surveys=True)
    made = post(desk("sender"), BASE, {"topic": "surveys", "title": "How we do"})
    assert made.status_code == 303
    return made.headers["Location"]


def form(**more: object) -> dict[str, object]:
    asked = {
        "title": "How we do",
        "language": "en",
        "question": ["1", "2"],
        "text-1": "Where do you read us?",
        "kind-1": "one",
        "choices-1": "At home\r\nOn the way",
        "text-2": "How is it?",
        "kind-2": "scale5",
    }
    return asked | more


def test_a_survey_is_written_ordered_opened_and_closed(
    context: Context, desk: Desk, draft: str
) -> None:
    client = desk("sender")
    assert post(client, f"{draft}/change", form(do="down 1")).status_code == 303
    with context.db.reading() as session:
        (survey,) = service.every(session)
        questions = service.questions_of(survey)
        number = survey.id or 0
    assert [one.id for one in questions] == [2, 1]
    assert questions[1].choices == ("At home", "On the way")
    post(client, f"{draft}/change", form(do="remove 1"))
    with context.db.reading() as session:
        assert [one.id for one in service.questions_of(service.get(session, number))] == [2]
    assert post(client, f"{draft}/open", {}).status_code == 303
    assert post(client, f"{draft}/change", form()).status_code == 400
    with context.db.writing() as session:
        person = make_person(session, context, "ada@example.org", "Ada Lovelace")
        topic = consent.topic(session, "surveys")
        make_consent(session, context, person, topic)
        survey = service.get(session, number)
        service.answer(session, context, survey, person, {"2": ["4"]})
    page = client.get(draft).text
    assert "1 person has answered" in words(page)
    assert "4.0 on average" in words(page)
    assert "Lovelace" not in page
    table = post(client, f"{draft}/answers.csv", {"_proof": PASSWORD})
    assert "How is it?,4,1" in table.text
    assert "ada@" not in table.text
    assert post(client, f"{draft}/close", {}).status_code == 303
    with context.db.reading() as session:
        acts = [one.action for one in audit.newest(session)]
    assert acts.count(AuditAction.SURVEY_CHANGED) == 5
    assert AuditAction.EXPORTED in acts


def test_what_can_t_be_kept_is_said_and_nothing_is_lost(desk: Desk, draft: str) -> None:
    wrong = post(
        desk("sender"), f"{draft}/change", form(**{"choices-1": "Only one", "text-2": HOSTILE})
    )
    assert wrong.status_code == 400
    assert "2 to 20 choices" in words(wrong.text)
    assert ">Only one</textarea>" in wrong.text
    assert HOSTILE not in wrong.text


def test_a_special_question_needs_a_tick(context: Context, desk: Desk, draft: str) -> None:
    """R151: opening asks once more when a question seems to be about health or the like."""
    client = desk("sender")
    post(client, f"{draft}/change", form(**{"text-2": "How is your health?"}))
    assert "GDPR art. 9" in words(client.get(draft).text)
    assert post(client, f"{draft}/open", {}).status_code == 409
    assert post(client, f"{draft}/open", {"confirmed": "yes"}).status_code == 303


def test_only_topics_for_surveys_are_offered(context: Context, desk: Desk, draft: str) -> None:
    with context.db.writing() as session:
        make_topic(session, context, "offers")
    assert 'value="offers"' not in desk("sender").get(BASE).text
    wrong = post(desk("sender"), BASE, {"topic": "offers", "title": "Poll"})
    assert (wrong.status_code, 'value="Poll"' in wrong.text) == (400, True)


def test_who_may_do_what(desk: Desk, draft: str) -> None:
    """R149: a viewer looks; an author writes; only senders open and take files away."""
    assert desk("viewer").get(draft).status_code == 200
    assert post(desk("viewer"), f"{draft}/change", form()).status_code == 403
    assert post(desk("author"), f"{draft}/change", form()).status_code == 303
    assert post(desk("author"), f"{draft}/open", {}).status_code == 403
    assert post(desk("author"), f"{draft}/answers.csv", {"_proof": PASSWORD}).status_code == 403
