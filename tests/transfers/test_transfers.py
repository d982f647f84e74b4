"""Where data goes, and what is needed before it goes outside of the region (R147)."""

from dataclasses import replace

import pytest

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.settings import DataPlace, Region, Settings
from prefcentre.testing import RecordingSmtpServer
from prefcentre.testing.makers import Cast
from prefcentre.transfers import service as transfers
from prefcentre.transfers.rules import covers, ground, standing
from prefcentre.transfers.service import Standing
from tests.conftest import Cli
from tests.delivery.conftest import is_over, outcomes, send, write_campaign

BASIS = "standard contractual clauses of 4 June 2021"
HOST = "127.0.0.1"


def placed(context: Context, country: str, host: str = HOST, within: str = "EEA") -> Context:
    """The same installation, with a machine said to stand in a country."""
    region = Region(within=within, places=(DataPlace(host=host, country=country),))
    return replace(context, settings=context.settings.model_copy(update={"region": region}))


def acknowledge(context: Context, basis: str = BASIS) -> None:
    with context.db.writing() as session:
        transfers.acknowledge(session, context, HOST, basis, "staff:1")


def closed(context: Context) -> dict[str, str]:
    with context.db.reading() as session:
        return transfers.closed_relays(session, context.settings)


@pytest.mark.parametrize(
    ("country", "within", "where"),
    [
        ("BG", "EU", Standing.INSIDE),
        ("NO", "EU", Standing.OUTSIDE),
        ("NO", "EEA", Standing.INSIDE),
        ("US", "EEA", Standing.OUTSIDE),
        ("CH", "EEA", Standing.OUTSIDE),
        ("US", "any", Standing.INSIDE),
        ("", "EEA", Standing.UNKNOWN),
    ],
)
def test_where_a_country_lies(country: str, within: str, where: Standing) -> None:
    assert standing(country, within) is where  # type: ignore[arg-type]


def test_what_the_commission_said_of_a_country_is_told_apart() -> None:
    assert "art. 46" in ground("CN")
    assert "some recipients" in ground("US")
    assert ground("CH") == "adequacy decision (art. 45)"


def test_a_name_covers_the_machines_below_it_and_no_others() -> None:
    assert covers("example.com", "smtp.example.com")
    assert covers("example.com", "example.com")
    assert not covers("example.com", "badexample.com")


def test_every_machine_that_gets_data_is_listed(settings: Settings) -> None:
    """The relay included, mailboxes, the database, sign-in, and the companies whose reports are taken in."""
    more = settings.model_copy(
        update={
            "smtp_url": "smtps://u:p@smtp.example.net",
            "database_url": "postgresql://u:p@db.example.net/x",
            "oidc_issuer": "https://login.example.org",
            "spamd": "filter.example.net:783",
        }
    )
    found = {one.host: one for one in transfers.endpoints(more)}
    assert set(found) == {
        "smtp.example.net",
        "db.example.net",
        "login.example.org",
        "filter.example.net",
    }
    assert found["smtp.example.net"].is_relay
    assert {one.standing for one in found.values()} == {Standing.UNKNOWN}


def test_a_relay_outside_gets_nothing_until_somebody_answers_for_it(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    outside = placed(context, "US")
    write_campaign(outside.settings.campaigns_dir)
    with outside.db.reading() as session:
        checked = delivery.check(session, outside, "spring")
    assert "mail_server_outside" in {one.name for one in checked.errors}
    with outside.db.writing() as session, pytest.raises(Refused, match="outside of the EEA"):
        delivery.start(session, outside, checked, None, None)
    with pytest.raises(Refused, match="outside of the EEA"):
        delivery.send_test(outside, checked, "ada@example.org")
    acknowledge(outside)
    with outside.db.reading() as session:
        assert delivery.check(session, outside, "spring").errors == []
    assert smtpd.messages == []


def test_a_sender_at_work_begins_when_it_is_acknowledged_and_says_meanwhile_why_not(
    context: Context, spring_here: Campaign, smtpd: RecordingSmtpServer
) -> None:
    outside = placed(context, "US")

    def waits_and_is_acknowledged() -> bool:
        with outside.db.reading() as session:
            words = [one.why for one in delivery.progress(session, outside, "spring").waiting]
        if any("outside of the EEA" in one for one in words):
            assert smtpd.messages == []
            acknowledge(outside)
        return is_over(outside)()

    send(outside, waits_and_is_acknowledged)
    assert spring_here.slug == "spring"
    assert outcomes(outside) == {"accepted": 1}
    assert len(smtpd.messages) == 1


def test_service_mails_wait_as_well(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer, mail_waits: None
) -> None:
    outside = placed(context, "US")
    assert delivery.post_waiting(outside) == 0
    acknowledge(outside)
    assert delivery.post_waiting(outside) == 1
    assert len(smtpd.messages) == 1


def test_an_acknowledgement_is_for_that_country_and_can_be_taken_back(context: Context) -> None:
    outside = placed(context, "US")
    assert set(closed(outside)) == {"main"}
    acknowledge(outside)
    assert closed(outside) == {}
    assert set(closed(placed(context, "IN"))) == {"main"}
    with outside.db.writing() as session:
        transfers.revoke(session, outside, HOST, "staff:1")
    assert set(closed(outside)) == {"main"}
    with outside.db.reading() as session:
        acts = {one.action for one in audit.newest(session)}
    assert {AuditAction.TRANSFER_ACKNOWLEDGED, AuditAction.TRANSFER_REVOKED} <= acts


def test_it_needs_a_ground_and_a_machine_that_stands_outside(context: Context) -> None:
    with pytest.raises(InvalidInput, match="ground"):
        acknowledge(placed(context, "US"), "ok")
    with pytest.raises(NotFound):
        acknowledge(placed(context, "BG"))


def test_inside_and_unknown_relays_are_used(context: Context) -> None:
    assert closed(placed(context, "BG")) == {}
    assert closed(context) == {}


def test_commands_list_acknowledge_and_take_back(
    context: Context, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "PREFCENTRE_REGION", '{"places": [{"host": "127.0.0.1", "country": "US", "operator": "X"}]}'
    )
    (one,) = cli("records", "endpoints", "--json").ok().json["endpoints"]
    assert (one["standing"], one["country"], one["acknowledged"]) == ("outside", "US", None)
    assert "not acknowledged" in cli("records", "endpoints").ok().stdout
    assert cli("records", "acknowledge", HOST, "--basis", "no").code != 0
    cli("records", "acknowledge", HOST, "--basis", BASIS).ok()
    assert BASIS in cli("records", "processing").ok().stdout
    (one,) = cli("records", "endpoints", "--json").ok().json["endpoints"]
    assert one["acknowledged"] == BASIS
    cli("records", "revoke", HOST).ok()
    assert closed(context) == {}  # This one's settings name no place.
    assert "not acknowledged" in cli("records", "endpoints").ok().stdout
