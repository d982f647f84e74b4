"""What a real mail server sends back, from the campaign whose mails it could not deliver to what the program does."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prefcentre.testing import RecordingSmtpServer
from prefcentre.testing.behaviour import Fault, Stage
from tests.installation import Installation, eventually, installation
from tests.journeys import ledger
from tests.postfix.conftest import Postfix

NOBODY, FOREIGN, LARGE = "gone@unknown.example", "eve@foreign.example", "lars@small.example"
BLOCKED, CLOSED = "paul@policy.example", "cleo@closed.example"
WHY = {
    NOBODY: "no_such_user",
    CLOSED: "disabled",
    FOREIGN: "relay",
    LARGE: "too_large",
    BLOCKED: "policy",
}
DEAD = {NOBODY, CLOSED}


def ingest(site: Installation, mail: Path) -> str:
    """Hand a mail over as a mail server's pipe does; gives what the command says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(mail.read_bytes())))
        return site.run("feedback", "ingest").ok().stdout


def ingest_apart(site: Installation, mail: Path) -> str:
    """The same in a process of its own, as it is in truth; it takes seconds more."""
    done = subprocess.run(
        [sys.executable, "-m", "prefcentre", "feedback", "ingest"],
        input=mail.read_bytes(),
        capture_output=True,
        env=os.environ | site.environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_what_postfix_sends_back_closes_only_the_addresses_that_are_dead(
    postfix: Postfix, tmp_path: Path
) -> None:
    """R62-R64, R71, R76: the servers behind it refuse after it has taken the mails."""
    postfix.sink.faults += [
        Fault(Stage.RCPT, b"550 5.7.1 Refused by a rule of this company\r\n", who=BLOCKED),
        Fault(Stage.RCPT, b"550 5.2.1 This mailbox was closed\r\n", who=CLOSED),
    ]
    with installation(tmp_path / "site", postfix.url, in_process=True) as site:
        site.more["PREFCENTRE_FEEDBACK__DOMAIN"] = "bounces.example.com"
        site.set_up()
        site.add_people(*ledger.rows(5), *(f"{one},," for one in WHY), topic="product-news")
        site.write_campaign("spring")
        site.ask("campaigns", "start", "spring", "--wait")
        eventually(lambda: len(returned(postfix)) == len(WHY))
        postfix.sink.wait_for(5)

        first, *others = returned(postfix)
        words = [ingest_apart(site, first), *(ingest(site, mail) for mail in others)]
        assert words == ["The mail is done.\n"] * len(WHY)
        # A mail server that was interrupted hands the same mail over again.
        assert ingest(site, first) == "The mail is known.\n"

        report = site.ask("campaigns", "report", "spring")
        check_books(postfix.sink, report, 10)
        assert report["bounce_reasons"] == dict.fromkeys(WHY.values(), 1)
        assert closed(site) == DEAD
        site.write_campaign("summer")
        assert site.ask("campaigns", "plan", "summer")["audience"] == 10 - len(DEAD)
        assert site.ask("feedback", "list")["waiting"] == 0


def returned(postfix: Postfix) -> list[Path]:
    """The mails that came back and are whole."""
    return sorted(postfix.returned.glob("mail.*"))


def check_books(sink: RecordingSmtpServer, report: dict[str, Any], audience: int) -> None:
    """Everybody has one outcome; what was taken arrived or came back (R76)."""
    outcomes, bounces = report["outcomes"], report["bounces"]
    assert (report["audience"], outcomes["accepted"]) == (audience, audience)
    assert sum(outcomes[name] for name in ledger.TERMINAL) == audience
    arrived = sink.recipients
    assert len(set(arrived)) == len(arrived)
    assert len(arrived) + sum(bounces.values()) == outcomes["accepted"]


def closed(site: Installation) -> set[str]:
    """Whose address must not be written to."""
    return {one for one in WHY if site.ask("suppressions", "check", one)["suppressed"]}
