"""What has to be true of a campaign's figures and mails, whatever happened while it was sent."""

from collections import Counter
from typing import Any

from prefcentre.testing import RecordingSmtpServer
from tests.installation import Installation

TERMINAL = ("accepted", "failed", "unknown", "suppressed", "skipped", "cancelled", "expired")


def rows(count: int) -> list[str]:
    """Lines of CSV for that many people."""
    return [f"person{number}@example.org,Person {number}," for number in range(count)]


def addresses(count: int) -> list[str]:
    """Their addresses."""
    return [f"person{number}@example.org" for number in range(count)]


def check_books(
    site: Installation, smtpd: RecordingSmtpServer, slug: str, audience: int
) -> dict[str, int]:
    """Every recipient has one outcome, and the mails that came agree with the outcomes; gives these."""
    report: dict[str, Any] = site.ask("campaigns", "report", slug)
    outcomes: dict[str, int] = report["outcomes"]
    assert report["audience"] == audience
    assert sum(outcomes[name] for name in TERMINAL) == audience, outcomes
    copies = Counter(smtpd.recipients)
    assert max(copies.values(), default=0) <= 1, copies.most_common(5)
    # Whatever was accepted did come; what came was accepted, or its answer was lost.
    assert outcomes["accepted"] <= len(copies) <= outcomes["accepted"] + outcomes["unknown"], (
        outcomes,
        len(copies),
    )
    return {name: count for name, count in outcomes.items() if count}


def missing(site: Installation, slug: str, address: str) -> str:
    """What the program says became of the mail to an address."""
    deliveries = site.ask("subscribers", "show", address)["deliveries"]
    (state,) = [entry["state"] for entry in deliveries if entry["campaign"] == slug]
    return str(state)
