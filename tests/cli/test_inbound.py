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
