"""prefcentre feedback, as people and mail servers type it."""

import io
import sys
from pathlib import Path

import pytest

from prefcentre.context import Context
from prefcentre.feedback import service
from prefcentre.testing.makers import Cast
from tests.conftest import Cli
from tests.feedback.conftest import reasons, sent
from tests.feedback.mailserver import ImapHandler, Store, serving
from tests.feedback.test_arriving import report, returned_to


def test_waiting_mails_are_listed_shown_and_settled(context: Context, cast: Cast, cli: Cli) -> None:
    service.take_in(context, report(), "pipe")
    listed = cli("feedback", "list", "--json").ok().json
    assert (listed["waiting"], listed["mails"][0]["kind"]) == (1, "bounce")
    shown = cli("feedback", "show", "1").ok().stdout
    assert "Reporting-MTA: dns; mx.example.net" in shown
    assert cli("feedback", "settle", "1", "--suppress", "ada@example.org").code == 1
    cli("feedback", "settle", "1", "--suppress", "ada@example.org", "--note", "She is gone.").ok()
    assert reasons(context) == {"hard_bounce"}
    assert cli("feedback", "list").ok().stdout.strip() == "No mail waits."
    assert cli("feedback", "settle", "1").code == 1


def handed_over(patch: pytest.MonkeyPatch, mail: bytes) -> None:
    """What a mail server's pipe gives a command."""
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(mail)))


def test_a_mail_from_a_pipe_is_taken_in_once(
    context: Context, cast: Cast, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = report(to=returned_to(context, sent(context)))
    for state in ("done", "known"):
        handed_over(monkeypatch, mail)
        assert cli("feedback", "ingest", "--json").ok().json == {"state": state}
    assert reasons(context) == {"hard_bounce"}


def test_a_mail_server_is_asked_to_come_again_when_the_database_is_away(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFCENTRE_DATABASE_URL", f"sqlite:///{tmp_path}/none/such.db")
    handed_over(monkeypatch, report())
    done = cli("feedback", "ingest")
    assert done.code == 75
    assert "try again later" in done.stderr


def test_a_pipe_without_a_mail_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over(monkeypatch, b"\n")
    assert cli("feedback", "ingest").code == 1


def level_of(cli: Cli, name: str) -> str:
    """What the doctor says about one thing."""
    (told,) = [one for one in cli("doctor", "--json").json["checks"] if one["name"] == name]
    return str(told["level"])


def test_mailboxes_are_looked_into_by_hand(context: Context, cli: Cli, home: Path) -> None:
    assert "name no mailbox" in cli("feedback", "poll").ok().stdout.replace("\n", " ")
    store = Store()
    store.add(b"From: a@example.net\r\nSubject: hello\r\n\r\nwords\r\n")
    with serving(ImapHandler, store) as port, (home / "prefcentre.toml").open("a") as file:
        url = f"imap://user:s3cret%20word@127.0.0.1:{port}"
        file.write(f'\n[[feedback.mailboxes]]\nname = "returns"\nurl = "{url}"\n')
        file.flush()
        assert level_of(cli, "mailbox returns") == "warning"
        assert "returns: 0 taken in, 1 wait for a person" in cli("feedback", "poll").ok().stdout
        assert level_of(cli, "mailbox returns") == "ok"
        store.password = "another"
        failed = cli("feedback", "poll", "--json")
    assert failed.code == 1
    assert "wrong password" in failed.json["mailboxes"][0]["trouble"]
    assert "s3cret" not in failed.stdout
    assert level_of(cli, "mailbox returns") == "error"
