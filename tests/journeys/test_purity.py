"""Looking at any page, by any method and as any machine, changes nothing that is held about anybody."""

import hashlib
import re
import sqlite3

from prefcentre.testing import RecordingSmtpServer
from tests import wire
from tests.installation import Installation, request
from tests.journeys import ledger

LOOKERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Barracuda Sentinel (EE)",
    "python-requests/2.32",
    "",
)


def fingerprint(site: Installation) -> str:
    """A hash over every row of the main database."""
    with sqlite3.connect(f"file:{site.home}/var/prefcentre.db?mode=ro", uri=True) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "person0" in dump
    return hashlib.sha256(dump.encode()).hexdigest()


def test_no_look_at_any_link_of_a_mail_changes_anything(
    site: Installation, smtpd: RecordingSmtpServer
) -> None:
    site.add_people("person0@example.org,Ada,yes", topic="product-news")
    site.write_campaign(
        "spring",
        "Hello, [read on](https://www.example.com/)\n",
        more="[tracking]\nopens = true\nclicks = true\n",
    )
    site.ask("campaigns", "start", "spring", "--wait")
    mail = wire.read(smtpd.messages[0], site.public_url)
    site.serve("web")
    ours = {link for link in mail.links if link.startswith(site.public_url)} | {mail.unsubscribe}
    kinds = {re.sub(r"^.*?//[^/]*/(\w).*", r"\1", link) for link in ours}
    assert kinds >= set("uopc"), kinds
    paths = ours | {f"{site.public_url}/", f"{site.public_url}/healthz"}
    before = fingerprint(site)
    for link in sorted(paths):
        for agent in LOOKERS:
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"):
                answer = request(link, method, headers={"User-Agent": agent} if agent else {})
                assert answer.status < 500, (method, link)
                assert "set-cookie" not in answer.headers
    assert fingerprint(site) == before
    assert ledger.missing(site, "spring", "person0@example.org") == "accepted"
