"""The contact form needs no script, tells every mistake at once and gives everybody the same answer."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from prefcentre.app import create_app
from prefcentre.authorities import AUTHORITIES
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


def with_brand(context: Context, **brand: str) -> FlaskClient:
    settings = context.settings
    changed = settings.model_copy(update={"brand": settings.brand.model_copy(update=brand)})
    return create_app(replace(context, settings=changed)).test_client()


def test_it_names_the_officer_and_where_to_complain(context: Context) -> None:
    """The authority of the company's own country comes first, and those of all others are there (R103)."""
    page = with_brand(context, country="BG", officer="Vera Petrova, privacy@example.com").get(
        "/contact"
    )
    own, _, others = page.text.partition("<details>")
    assert "Vera Petrova, privacy@example.com" in own
    assert 'href="https://cpdp.bg/"' in own
    assert "cpdp.bg" not in others
    assert others.count("<li>") == len(AUTHORITIES) - 1
    assert "France: <a" in others


def test_an_authority_in_words_takes_the_place_of_the_countrys(context: Context) -> None:
    page = with_brand(context, country="DE", authority="LDI NRW, ldi.nrw.de").get("/contact").text
    assert "LDI NRW, ldi.nrw.de" in page
    assert "bfdi.bund.de" not in page


def test_countries_are_called_as_the_page_speaks(client: FlaskClient) -> None:
    assert "Frankreich: <a" in client.get("/contact?lang=de").text


def test_every_page_leads_to_what_is_measured(client: FlaskClient) -> None:
    """What is counted, what isn't, by which means, and how to say no (R157); the period is the one that is set."""
    assert 'href="/measuring"' in client.get("/contact").text
    page = client.get("/measuring").text
    for told in ("was opened", "links were followed", "unsubscribed", "came back", "spam"):
        assert told in page
    assert "Whether you forward" in page
    assert "gone after 30 days" in page
    assert 'href="/my-data"' in page


def test_the_page_says_how_long_details_are_kept_here(context: Context) -> None:
    settings = context.settings
    kept = settings.retention.model_copy(update={"tracking_detail": 7})
    changed = replace(context, settings=settings.model_copy(update={"retention": kept}))
    assert "gone after 7 days" in create_app(changed).test_client().get("/measuring").text
