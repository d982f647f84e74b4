"""The contact form needs no script, tells every mistake at once and gives everybody the same answer."""

import pytest
from flask.testing import FlaskClient

from prefcentre.contact import service
from prefcentre.context import Context
from prefcentre.testing.makers import Cast

FORM = {"kind": "channels", "phone": "+359 2 1234567", "message": "Please stop calling me."}


def waiting(context: Context) -> list[str]:
    with context.db.reading() as session:
        return [request.message for request in service.requests(session)]


def test_looking_at_the_form_changes_nothing(client: FlaskClient, context: Context) -> None:
    page = client.get("/contact?kind=channels").text
    assert 'value="channels" checked' in page
    assert "<script" not in page
    assert "checked" not in client.get("/contact").text
    assert waiting(context) == []


def test_what_is_sent_is_in_the_queue(client: FlaskClient, context: Context) -> None:
    answer = client.post("/contact", data=FORM)
    assert (answer.status_code, "Your message is here" in answer.text) == (200, True)
    assert waiting(context) == ["Please stop calling me."]


def test_everything_that_is_wrong_is_told_at_once_and_what_was_written_stays(
    client: FlaskClient, context: Context
) -> None:
    answer = client.post("/contact", data={"email": "nobody", "message": "<b>Hello"})
    assert answer.status_code == 400
    assert '<a href="#kind">Choose what it is about.</a>' in answer.text
    assert '<a href="#email">Write the email address in full' in answer.text
    assert 'aria-invalid="true" aria-describedby="email-error reach-hint"' in answer.text
    assert "&lt;b&gt;Hello</textarea>" in answer.text
    assert waiting(context) == []


def test_known_and_unknown_people_get_the_same_answer(client: FlaskClient, cast: Cast) -> None:
    answers = {
        client.post("/contact", data=FORM | {"email": email}).text
        for email in ("ada@example.org", "nobody@example.org")
    }
    assert len(answers) == 1


def test_too_many_from_one_network_are_asked_to_wait(client: FlaskClient, context: Context) -> None:
    codes = [client.post("/contact", data=FORM).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]
    assert len(waiting(context)) == 5


@pytest.mark.parametrize("lang", ["bg", "de", "fr"])
def test_the_form_opens_in_every_language(client: FlaskClient, lang: str) -> None:
    assert f'lang="{lang}"' in client.get(f"/contact?lang={lang}").text
