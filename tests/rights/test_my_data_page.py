"""The way to one's own data: a mailed link, a button, a page for an hour, and what can be done there."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlmodel import select

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.preferences.models import Preference, TrackingChoice
from prefcentre.reasons import Reason
from prefcentre.rights import service as rights
from prefcentre.rights.models import RightsKind, RightsRequest
from prefcentre.servicemail.models import QueuedMail
from prefcentre.signups.waiting import work_off
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock, RecordingSmtpServer
from prefcentre.testing.makers import Cast


def ask(client: FlaskClient, context: Context, email: str) -> str | None:
    """Ask for a link as a person does; the path in the mail, when one came."""
    answer = client.post("/my-data", data={"email": email, "send": "data"})
    assert answer.status_code == 200
    while work_off(context, rights.PAGE_REQUESTS):
        pass
    with context.db.reading() as session:
        mail = session.exec(select(QueuedMail).order_by(sa.desc("id"))).first()
    link = mail.parts.get("link") if mail else None
    return str(link).removeprefix(context.settings.public_url) if link else None


@pytest.fixture
def page(client: FlaskClient, context: Context, cast: Cast) -> str:
    """Ada's page, open."""
    link = ask(client, context, "ada@example.org")
    assert link
    answer = client.post(link, follow_redirects=True)
    assert answer.status_code == 200
    assert cast.ada.id
    return str(answer.request.path)


def kinds(context: Context) -> list[str]:
    with context.db.reading() as session:
        return [one.kind.value for one in session.exec(select(RightsRequest))]


def test_a_link_works_once_and_only_by_its_button(
    client: FlaskClient, context: Context, cast: Cast
) -> None:
    link = ask(client, context, "Ada@Example.org")
    assert link
    # A scanner that looks, and looks again, uses nothing up.
    for _ in range(2):
        looked = client.get(link)
        assert looked.status_code == 200
        assert "Ada" not in looked.text
    opened = client.post(link)
    assert opened.status_code == 303
    assert client.post(link).status_code == 410
    assert client.get(link).status_code == 410
    assert kinds(context) == ["access"]
    assert cast.ada.id


def test_a_link_and_a_page_end_by_themselves(
    client: FlaskClient, context: Context, clock: FrozenClock, page: str
) -> None:
    assert client.get(page).status_code == 200
    clock.advance(hours=1, seconds=1)
    assert client.get(page).status_code == 410
    assert client.get(f"{page}/data.json").status_code == 410
    link = ask(client, context, "ada@example.org")
    assert link
    clock.advance(hours=72, seconds=1)
    assert client.post(link).status_code == 410


def test_strangers_get_the_same_page_and_a_mail_that_says_nothing_is_held(
    client: FlaskClient, context: Context, cast: Cast
) -> None:
    answers = {
        client.post("/my-data", data={"email": email, "send": "data"}).text
        for email in ("ada@example.org", "stranger@example.com", "stranger@example.com")
    }
    assert len(answers) == 1
    while work_off(context, rights.PAGE_REQUESTS):
        pass
    with context.db.reading() as session:
        mails = sorted(
            (one.kind.value, one.email or "") for one in session.exec(select(QueuedMail))
        )
    assert mails == [
        ("data_link", "ada@example.org"),
        ("nothing_held", "stranger@example.com"),
    ]
    assert cast.ada.id


def test_a_made_up_link_or_page_opens_nothing(client: FlaskClient, context: Context) -> None:
    assert client.get("/my-data/made-up").status_code == 404
    assert client.post("/my-data/made-up").status_code == 404
    for path in ("", "/data.json", "/portable.csv", "/erase"):
        assert client.get(f"/my-data/open/made-up{path}").status_code == 404
    with context.db.reading() as session:
        assert rights.requests(session, closed_too=True) == []


def test_the_page_shows_what_is_held_and_files_have_it_all(client: FlaskClient, page: str) -> None:
    text = client.get(page).text
    for words in ("Ada Lovelace", "Product news", "What you agreed to", "Europe", "Events"):
        if words != "Europe":
            assert words in text
    assert "<script" not in text
    data = client.get(f"{page}/data.json")
    assert data.headers["Content-Disposition"].startswith("attachment")
    assert data.headers["Cache-Control"] == "no-store"
    assert data.json
    assert data.json["held"]["person"]["subscriber"][0]["email"] == "ada@example.org"
    assert client.get(f"{page}/portable.json").json["person"]["name"] == "Ada Lovelace"  # type: ignore[index]
    assert "person,name,Ada Lovelace" in client.get(f"{page}/portable.csv").text


def test_something_is_put_right_and_what_can_not_be_kept_is_not_lost(
    client: FlaskClient, context: Context, page: str, cast: Cast
) -> None:
    done = client.post(f"{page}/correct", data={"name": "Ada King"}, follow_redirects=True)
    assert "Saved" in done.text
    assert "Ada King" in done.text
    wrong = client.post(f"{page}/correct", data={"name": "Ada Byron", "timezone": "Mars/Olympus"})
    assert wrong.status_code == 400
    assert 'value="Ada Byron"' in wrong.text
    assert 'value="Mars/Olympus"' in wrong.text
    with context.db.reading() as session:
        person = subscribers.by_id(session, cast.ada.id or 0)
        assert person
        assert person.name == "Ada King"
    assert "correction" in kinds(context)


def test_data_is_put_aside_and_taken_into_use_again(
    client: FlaskClient, context: Context, page: str, cast: Cast
) -> None:
    for what, wanted in (("restrict", True), ("unrestrict", False)):
        answer = client.post(f"{page}/do/{what}", follow_redirects=True)
        assert answer.status_code == 200
        with context.db.reading() as session:
            person = subscribers.by_id(session, cast.ada.id or 0)
            assert person
            assert person.restricted is wanted
    again = client.post(f"{page}/do/unrestrict")
    assert again.status_code == 400


def test_an_objection_stops_every_channel_and_counting(
    client: FlaskClient, context: Context, page: str, cast: Cast
) -> None:
    client.post(f"{page}/do/object")
    with context.db.reading() as session:
        entries = suppression.check(session, context, "ada@example.org")
        assert [(one.scope, one.reason) for one in entries] == [("all", Reason.OBJECTION)]
        choice = session.get(Preference, cast.ada.id)
        assert choice
        assert (choice.track_opens, choice.track_clicks) == (TrackingChoice.NO, TrackingChoice.NO)
    # Safe to repeat, and never refused.
    assert client.post(f"{page}/do/object").status_code == 303


def test_erasing_asks_first_and_then_nobody_is_there(
    client: FlaskClient, context: Context, page: str, cast: Cast
) -> None:
    assert client.get(f"{page}/erase").status_code == 200
    with context.db.reading() as session:
        assert subscribers.by_id(session, cast.ada.id or 0)
    assert "You are erased" in client.post(f"{page}/erase").text
    with context.db.reading() as session:
        assert subscribers.by_id(session, cast.ada.id or 0) is None
        assert rights.waiting_since(session) is not None
        requests = [(one.kind, one.outcome) for one in rights.requests(session, closed_too=True)]
    assert (RightsKind.ERASURE, rights.RightsOutcome.DONE) in requests
    assert client.get(page).status_code == 404


def test_a_page_that_was_left_stays_closed(client: FlaskClient, page: str) -> None:
    assert client.post(f"{page}/leave").status_code == 200
    assert client.get(page).status_code == 410


def test_the_mail_goes_out_in_their_language(
    client: FlaskClient, context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    assert ask(client, context, "cleo@example.org")
    while delivery.post_waiting(context):
        pass
    (message,) = smtpd.messages
    assert "bg" in str(message.data)
    assert cast.cleo.id
