"""prefcentre contact, as people type it."""

from prefcentre.contact import service
from prefcentre.contact.service import Form
from prefcentre.context import Context
from prefcentre.testing import FrozenClock
from tests.conftest import Cli


def test_requests_are_listed_and_closed(context: Context, cli: Cli) -> None:
    assert cli("contact", "list").ok().stdout.strip() == "Nobody waits for an answer."
    form = Form("data", "Ada", "ada@example.org", "", "What do you know\nabout me?")
    with context.db.writing() as session:
        service.take_in(session, context, form, ip=None, language="en")
    told = cli("contact", "list").ok().stdout
    assert "data  answer by" in told
    assert "    about me?" in told
    (found,) = cli("contact", "list", "--json").ok().json["requests"]
    assert (found["email"], found["overdue"]) == ("ada@example.org", False)
    assert cli("contact", "close", found["id"]).code == 2
    cli("contact", "close", found["id"], "--note", "Sent the copy.").ok()
    assert cli("contact", "list", "--json").ok().json["requests"] == []
    (closed,) = cli("contact", "list", "--all", "--json").ok().json["requests"]
    assert closed["note"] == "Sent the copy."
    assert cli("contact", "close", found["id"], "--note", "Again.").code == 1


def test_what_is_late_is_told(context: Context, cli: Cli, clock: FrozenClock) -> None:
    clock.advance(days=-2000)
    form = Form("channels", "", "", "+35921234567", "Stop calling me.")
    with context.db.writing() as session:
        service.take_in(session, context, form, ip=None, language="en")
    assert "OVERDUE" in cli("contact", "list").ok().stdout


def test_a_request_is_heeded_and_closed_in_one_step(context: Context, cli: Cli) -> None:
    form = Form("channels", "", "", "+35921234567", "Stop calling me.")
    with context.db.writing() as session:
        service.take_in(session, context, form, ip=None, language="en")
    done = cli("contact", "close", "1", "--note", "Done.", "--stop", "phone", "--json").ok().json
    assert (done["stopped"], done["withdrawn"], done["note"]) == (["phone"], 0, "Done.")
