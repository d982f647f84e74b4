"""Where data is, the record of processing, and a breach, on the desk."""

import csv
import io
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.settings import DataPlace, Region
from prefcentre.testing.makers import Cast
from prefcentre.transfers import service as transfers
from tests.web.admin.campaigns import words
from tests.web.admin.conftest import PASSWORD, Desk, post

PLACES = "/admin/settings/places"
BASIS = "standard contractual clauses of 4 June 2021"
BREACH = "/admin/requests/breach"


@pytest.fixture
def context(context: Context) -> Context:
    """Mail goes through a server in the United States."""
    region = Region(places=(DataPlace(host="127.0.0.1", country="US", operator="Big Mail Inc"),))
    return replace(context, settings=context.settings.model_copy(update={"region": region}))


def acts(context: Context) -> list[AuditAction]:
    with context.db.reading() as session:
        return [one.action for one in audit.newest(session)]


def test_a_relay_outside_is_answered_for_and_taken_back(context: Context, desk: Desk) -> None:
    """R147: the one who answers proves who they are, says on which ground, and is named."""
    client = desk("admin")
    page = words(client.get(PLACES).text)
    assert "Nothing is sent through it" in page
    assert "run by Big Mail Inc" in page
    form = {"host": "127.0.0.1", "_proof": PASSWORD}
    wrong = post(client, f"{PLACES}/allow", form | {"basis": "yes"})
    assert (wrong.status_code, ">yes</textarea>" in wrong.text) == (400, True)
    assert post(client, f"{PLACES}/allow", form | {"basis": BASIS}).status_code == 303
    page = words(client.get(PLACES).text)
    assert BASIS in page
    assert "Nothing is sent through it" not in page
    with context.db.reading() as session:
        assert transfers.closed_relays(session, context.settings) == {}
    assert AuditAction.TRANSFER_ACKNOWLEDGED in acts(context)
    assert post(client, f"{PLACES}/revoke", {"host": "127.0.0.1"}).status_code == 303
    assert "Nothing is sent through it" in words(client.get(PLACES).text)
    assert post(client, f"{PLACES}/revoke", {"host": "127.0.0.1"}).status_code == 400


def test_who_may_not_answer_sees_where_data_is(desk: Desk) -> None:
    client = desk("viewer")
    assert "outside" in words(client.get(PLACES).text)
    form = {"host": "127.0.0.1", "basis": BASIS, "_proof": PASSWORD}
    assert post(client, f"{PLACES}/allow", form).status_code == 403


def test_the_record_is_a_page_and_a_file(desk: Desk, cast: Cast) -> None:
    client = desk("privacy_officer")
    page = words(client.get("/admin/settings/record").text)
    for told in ("(a) Controller", "(g) Security", cast.news.name, "US", "not acknowledged"):
        assert told in page
    file = client.get("/admin/settings/record.md")
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert "## (g) Security" in file.text


def count(client: FlaskClient, **more: str) -> str:
    form = {"since": "2000-01-01T00:00", "until": "2100-01-01T00:00", "_proof": PASSWORD}
    return post(client, BREACH, form | more).text


def test_whom_a_breach_concerns_is_counted_and_listed(
    context: Context, desk: Desk, cast: Cast
) -> None:
    client = desk("privacy_officer")
    assert "e-mail address" in words(count(client))
    listed = list(csv.DictReader(io.StringIO(count(client, **{"as": "file"}))))
    assert "ada@example.org" in {row["email"] for row in listed}
    assert AuditAction.EXPORTED in acts(context)
    wrong = post(client, BREACH, {"since": "x", "until": "2100-01-01T00:00", "_proof": PASSWORD})
    assert wrong.status_code == 400
    assert cast.ada.id


def test_who_opened_a_persons_page_is_noted(context: Context, desk: Desk, cast: Cast) -> None:
    """R149: once an hour, and found again by the person."""
    client = desk("viewer")
    for _ in range(2):
        assert client.get(f"/admin/people/{cast.ada.public_id}").status_code == 200
    assert acts(context).count(AuditAction.LOOKED_AT) == 1
    page = desk("privacy_officer").get(f"/admin/audit?person={cast.ada.public_id}").text
    assert "Looked at" in words(page)
