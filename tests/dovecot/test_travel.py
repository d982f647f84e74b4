"""The whole way back: a campaign, a mail server that can't deliver it, a mailbox, and what the program makes of it."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from prefcentre.testing import RecordingSmtpServer
from prefcentre.testing.behaviour import Fault, Stage
from tests.dovecot.conftest import Dovecot, running_exim
from tests.installation import Installation, eventually, installation
from tests.journeys import ledger
from tests.postfix.conftest import Postfix, running_postfix
from tests.postfix.test_returns import check_books

pytestmark = pytest.mark.full

WHY = {
    "gone@unknown.example": "no_such_user",
    "eve@foreign.example": "relay",
    "lars@small.example": "too_large",
    "full@full.example": "mailbox_full",
}
LATE = "lena@late.example"
LATER = Fault(Stage.RCPT, b"451 4.7.1 Not now\r\n", who=LATE)


@pytest.fixture
def postfix(smtpd: RecordingSmtpServer, dovecot: Dovecot) -> Iterator[Postfix]:
    """A Postfix that puts what comes back into Dovecot's mailbox."""
    with running_postfix(smtpd, lmtp=dovecot.ports["lmtp"]) as found:
        yield found


@pytest.mark.parametrize(
    ("scheme", "options"),
    [("imaps", {"move_to": "Taken in"}), ("pop3s", {"delete": True})],
    ids=["imaps", "pop3s"],
)
def test_what_came_back_is_fetched_and_closes_only_the_addresses_that_are_dead(
    postfix: Postfix, dovecot: Dovecot, tmp_path: Path, scheme: str, options: dict[str, object]
) -> None:
    """R62-R64, R71, R76: with a full mailbox, and a mail that only came late."""
    postfix.sink.faults.append(LATER)
    with installation(tmp_path / "site", postfix.url, in_process=True) as site:
        site.more |= reading(dovecot, scheme, **options)
        send(site, (*WHY, LATE))
        # All that came back, and word of the one that waits.
        eventually(lambda: len(dovecot.there()) == len(WHY) + 1)
        postfix.sink.faults.clear()
        postfix.sink.wait_for(6)
        assert poll(site) == (len(WHY) + 1, 0)
        assert poll(site) == (0, 0)
        assert dovecot.there() == []
        report = site.ask("campaigns", "report", "spring")
        assert report["bounce_reasons"] == dict.fromkeys(WHY.values(), 1)
        check_books(postfix.sink, report, 5 + len(WHY) + 1)
        assert closed(site, (*WHY, LATE)) == {"gone@unknown.example"}


def test_what_exim_sends_back_is_understood_as_well(
    smtpd: RecordingSmtpServer, dovecot: Dovecot, tmp_path: Path
) -> None:
    """R62-R64: its reports are of another shape, and so are its words."""
    why = {
        "gone@unknown.example": "no_such_user",
        "paul@policy.example": "policy",
        "full@full.example": "mailbox_full",
    }
    smtpd.faults += [
        Fault(Stage.RCPT, b"550 5.1.1 No such user here\r\n", who="gone@"),
        Fault(Stage.DOT, b"550 5.7.1 Refused by a rule of this company\r\n", who="paul@"),
    ]
    with (
        running_exim(smtpd.port, dovecot.ports["lmtp"]) as url,
        installation(tmp_path / "site", url, in_process=True) as site,
    ):
        site.more |= reading(dovecot, "imap+starttls")
        send(site, why)
        eventually(lambda: len(dovecot.there()) == len(why))
        smtpd.wait_for(5)
        assert poll(site) == (len(why), 0)
        report = site.ask("campaigns", "report", "spring")
        assert report["bounce_reasons"] == dict.fromkeys(why.values(), 1)
        check_books(smtpd, report, 5 + len(why))
        assert closed(site, why) == {"gone@unknown.example"}


def reading(dovecot: Dovecot, scheme: str, **options: object) -> dict[str, str]:
    """The variables of an installation that reads this mailbox."""
    box = {"name": "returns", "url": dovecot.url(scheme), **options}
    return {
        "PREFCENTRE_FEEDBACK__DOMAIN": "bounces.example.com",
        "PREFCENTRE_FEEDBACK__MAILBOXES": json.dumps([box]),
        "SSL_CERT_FILE": str(dovecot.certificate),
    }


def send(site: Installation, others: Iterable[str]) -> None:
    """Send a campaign to five people who get it, and to others."""
    site.set_up()
    people = [*ledger.rows(5), *(f"{one},," for one in others)]
    site.add_people(*people, topic="product-news")
    site.write_campaign("spring")
    site.ask("campaigns", "start", "spring", "--wait")


def poll(site: Installation) -> tuple[int, int]:
    """Fetch what came back: how many mails were understood, and how many wait for a person."""
    (look,) = site.ask("feedback", "poll")["mailboxes"]
    assert look["trouble"] == ""
    return look["done"], look["waiting"]


def closed(site: Installation, people: Iterable[str]) -> set[str]:
    """Whose address must not be written to."""
    return {one for one in people if site.ask("suppressions", "check", one)["suppressed"]}
