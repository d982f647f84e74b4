import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from prefcentre import settings as configuration
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import BodyFormat, Campaign, CampaignDraft, CampaignState
from prefcentre.context import Context
from prefcentre.dkim.service import keys_of
from prefcentre.doctor import service
from prefcentre.doctor.service import Check, Level, RealWorld
from prefcentre.doctor.world import SmtpFacts
from prefcentre.errors import Unavailable
from prefcentre.settings import Settings, SmtpServer
from prefcentre.testing import Offer, RecordingSmtpServer
from prefcentre.testing.makers import Cast
from tests.doctor.test_rules import GOOD

DOMAIN = "mail.example.com"
ALL_WELL = {
    DOMAIN: ["v=spf1 mx -all"],
    f"s1._domainkey.{DOMAIN}": [GOOD],
    f"_dmarc.{DOMAIN}": ["v=DMARC1; p=reject"],
}


GOOD_SERVER = SmtpFacts(frozenset({"pipelining", "8bitmime", "size"}), None, "TLSv1.3")


@dataclass
class PaperWorld:
    """A world in which everything is well, unless a test spoils it."""

    texts: dict[str, list[str]] = field(default_factory=lambda: dict(ALL_WELL))
    exchangers: list[str] = field(default_factory=lambda: ["mx.example.com"])
    status: int = 200
    numbers: int = 404
    free: int = 50_000_000_000
    facts: SmtpFacts = GOOD_SERVER
    silent: frozenset[str] = frozenset()

    def txt(self, name: str) -> Sequence[str]:
        self._answer("dns")
        return self.texts.get(name, [])

    def mx(self, name: str) -> Sequence[str]:
        self._answer("dns")
        return self.exchangers

    def http_status(self, url: str) -> int:
        self._answer("http")
        return self.numbers if url.endswith("/metrics") else self.status

    def smtp(self, server: SmtpServer) -> SmtpFacts:
        self._answer("smtp")
        return self.facts

    def free_bytes(self, path: Path) -> int:
        return self.free

    def _answer(self, what: str) -> None:
        if what in self.silent:
            raise Unavailable(f"{what} is silent")


@pytest.fixture
def remote(context: Context, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation whose mail server is elsewhere, with one campaign."""
    folder = context.settings.campaigns_dir / "spring"
    folder.mkdir(parents=True)
    (context.settings.home / "secrets.toml").chmod(0o600)
    (folder / "campaign.toml").write_text(f'from = "Acme <news@{DOMAIN}>"\n')
    monkeypatch.setenv("PREFCENTRE_SMTP_URL", "smtp+starttls://relay.example.com")
    monkeypatch.setenv("PREFCENTRE_DKIM_SELECTORS", "s1")
    monkeypatch.setenv(
        "PREFCENTRE_REGION", '{"places": [{"host": "relay.example.com", "country": "BG"}]}'
    )
    return configuration.load()


@pytest.fixture
def local(remote: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same, with the mail server on this machine."""
    monkeypatch.setenv("PREFCENTRE_SMTP_URL", "smtp://127.0.0.1:25")
    return configuration.load()


def examine(settings: Settings, world: PaperWorld, name: str) -> list[Check]:
    return [check for check in service.examine(settings, world) if check.name.startswith(name)]


def the_one(settings: Settings, world: PaperWorld, name: str) -> Check:
    (found,) = examine(settings, world, name)
    return found


def test_when_all_is_well_it_says_so_and_nothing_else(remote: Settings) -> None:
    found = service.examine(remote, PaperWorld())
    assert {check.level for check in found} == {Level.OK}
    assert service.is_healthy(found)
    assert [check.name.split()[0] for check in found] == [
        "keys", "database", "smtp", "spf", "dkim", "dmarc", "public", "disk"
    ]  # fmt: skip


def test_a_domain_in_order_may_be_sent_from_afterwards(remote: Settings, context: Context) -> None:
    service.examine(remote, PaperWorld(), context.clock)
    with context.db.reading() as session:
        found = campaigns.sender_domain(session, DOMAIN)
    assert found is not None
    assert found.verified_at == context.clock.now()
    assert "reject" in found.findings["dmarc"]


@pytest.mark.parametrize("missing", sorted(ALL_WELL))
def test_without_any_one_of_the_three_records_it_may_not(
    missing: str, remote: Settings, context: Context
) -> None:
    service.examine(remote, PaperWorld())
    world = PaperWorld()
    del world.texts[missing]
    found = service.examine(remote, world)
    assert len([check for check in found if check.level is Level.ERROR]) == 1
    assert not service.is_healthy(found)
    with context.db.reading() as session:
        domain = campaigns.sender_domain(session, DOMAIN)
    assert domain is not None
    assert domain.verified_at is None


def test_dns_that_does_not_answer_takes_no_proof_away(remote: Settings, context: Context) -> None:
    service.examine(remote, PaperWorld())
    world = PaperWorld(silent=frozenset({"dns"}))
    assert the_one(remote, world, "dns").level is Level.WARNING
    with context.db.reading() as session:
        domain = campaigns.sender_domain(session, DOMAIN)
    assert domain is not None
    assert domain.verified_at is not None


def test_a_domain_that_no_file_names_any_more_is_still_looked_at(remote: Settings) -> None:
    service.examine(remote, PaperWorld())
    (remote.campaigns_dir / "spring" / "campaign.toml").unlink()
    assert the_one(remote, PaperWorld(), "spf").level is Level.OK


@pytest.mark.parametrize(("state", "asked"), [("draft", 1), ("cancelled", 0)])
def test_a_campaign_of_the_desk_names_its_domain_as_well(
    remote: Settings, context: Context, cast: Cast, state: str, asked: int
) -> None:
    with context.db.writing() as session:
        campaign = Campaign(
            slug="desk",
            topic_id=cast.news.id or 0,
            state=CampaignState(state),
            created_at=context.clock.now(),
        )
        session.add(campaign)
        session.flush()
        session.add(
            CampaignDraft(
                campaign_id=campaign.id or 0,
                toml='from = "Desk <news@desk.example.com>"',
                body_format=BodyFormat.MARKDOWN,
                updated_at=context.clock.now(),
            )
        )
    found = examine(remote, PaperWorld(), "spf desk.example.com")
    assert len(found) == asked


def test_a_campaign_that_can_not_be_read_does_not_stop_the_rest(remote: Settings) -> None:
    broken = remote.campaigns_dir / "broken"
    broken.mkdir()
    (broken / "campaign.toml").write_text("from = ")
    assert the_one(remote, PaperWorld(), "spf").level is Level.OK


def test_with_the_mail_server_on_this_machine_the_world_outside_only_warns(local: Settings) -> None:
    world = PaperWorld(texts={}, status=502)
    found = service.examine(local, world)
    assert service.is_healthy(found)
    outside = [
        check for check in found if check.name.split()[0] in {"spf", "dkim", "dmarc", "public"}
    ]
    assert [check.level for check in outside] == [Level.WARNING] * 4


def test_without_a_selector_dkim_can_not_be_looked_up(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFCENTRE_DKIM_SELECTORS")
    found = the_one(configuration.load(), PaperWorld(), "dkim")
    assert found.level is Level.ERROR
    assert "PREFCENTRE_DKIM_SELECTORS" in found.message


def test_one_good_selector_of_two_is_enough(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_DKIM_SELECTORS", "old, s1")
    found = the_one(configuration.load(), PaperWorld(), "dkim")
    assert found.level is Level.OK
    assert f"s1._domainkey.{DOMAIN}" in found.message


def test_the_organisations_dmarc_record_counts_for_its_subdomains(remote: Settings) -> None:
    world = PaperWorld()
    world.texts["_dmarc.example.com"] = world.texts.pop(f"_dmarc.{DOMAIN}")
    found = the_one(remote, world, "dmarc")
    assert found.level is Level.OK
    assert "_dmarc.example.com" in found.message


def test_too_many_look_ups_in_nested_includes_are_warned_of(remote: Settings) -> None:
    world = PaperWorld()
    world.texts[DOMAIN] = ["v=spf1 include:a.example include:b.example -all"]
    world.texts["a.example"] = [
        "v=spf1 a mx exists:x.example exists:y.example exists:z.example -all"
    ]
    world.texts["b.example"] = ["v=spf1 a mx ptr exists:x.example -all"]
    found = the_one(remote, world, "spf")
    assert found.level is Level.WARNING
    assert "11 DNS look-ups" in found.message


def test_includes_in_a_circle_come_to_an_end(remote: Settings) -> None:
    world = PaperWorld()
    world.texts[DOMAIN] = ["v=spf1 include:a.example -all"]
    world.texts["a.example"] = [f"v=spf1 include:{DOMAIN} include:a.example -all"]
    assert the_one(remote, world, "spf").level is Level.OK


def test_a_domain_without_mail_servers_is_warned_of(remote: Settings) -> None:
    assert the_one(remote, PaperWorld(exchangers=[]), "mx").level is Level.WARNING


def test_a_mail_server_that_does_not_answer_is_an_error(remote: Settings) -> None:
    found = the_one(remote, PaperWorld(silent=frozenset({"smtp"})), "smtp")
    assert found.level is Level.ERROR
    assert "PREFCENTRE_SMTP_URL" in found.message


@pytest.fixture
def several(remote: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with two mail servers, one of them on this machine."""
    monkeypatch.delenv("PREFCENTRE_SMTP_URL")
    accounts = [
        {"name": "near", "url": "smtp://127.0.0.1:25"},
        {"name": "far", "url": "smtp+starttls://relay.example.com"},
    ]
    monkeypatch.setenv("PREFCENTRE_SMTP_ACCOUNTS", json.dumps(accounts))
    return configuration.load()


def test_each_of_several_mail_servers_is_looked_at(several: Settings) -> None:
    found = examine(several, PaperWorld(), "smtp")
    assert [(check.name, check.message.split()[0]) for check in found] == [
        ("smtp near", "127.0.0.1:25"),
        ("smtp far", "relay.example.com:587"),
    ]
    silent = examine(several, PaperWorld(silent=frozenset({"smtp"})), "smtp")
    assert [check.level for check in silent] == [Level.ERROR, Level.ERROR]


@pytest.mark.parametrize("kind", ["spf", "public"])
def test_one_mail_server_elsewhere_is_enough_for_the_world_outside_to_count(
    kind: str, several: Settings
) -> None:
    world = PaperWorld(texts={}, status=404)
    assert the_one(several, world, kind).level is Level.ERROR


def test_no_mail_server_at_all_is_an_error(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFCENTRE_SMTP_URL")
    assert the_one(configuration.load(), PaperWorld(), "smtp").level is Level.ERROR


def test_mail_in_the_clear_and_missing_extensions_are_warned_of(remote: Settings) -> None:
    world = PaperWorld(facts=SmtpFacts(frozenset({"size"}), None, None))
    found = examine(remote, world, "smtp")
    assert [check.level for check in found] == [Level.OK, *[Level.WARNING] * 3]
    assert "PIPELINING" in found[2].message


def test_links_that_only_this_machine_can_open_are_an_error(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_PUBLIC_URL", "http://127.0.0.1:8000")
    assert the_one(configuration.load(), PaperWorld(), "public").level is Level.ERROR


@pytest.mark.parametrize("world", [PaperWorld(status=404), PaperWorld(silent=frozenset({"http"}))])
def test_a_public_address_that_leads_elsewhere_is_an_error(
    world: PaperWorld, remote: Settings
) -> None:
    found = the_one(remote, world, "public")
    assert found.level is Level.ERROR
    assert "/healthz" in found.message


def test_numbers_that_everybody_can_read_are_warned_of(remote: Settings) -> None:
    first, second = examine(remote, PaperWorld(numbers=200), "public")
    assert (first.level, second.level) == (Level.OK, Level.WARNING)
    assert "PREFCENTRE_METRICS_TOKEN" in second.message


@pytest.mark.parametrize(
    ("free", "level"), [(10**9, Level.OK), (10**9 - 1, Level.WARNING), (10**7, Level.ERROR)]
)
def test_a_disk_that_fills_up_is_told_in_time(free: int, level: Level, remote: Settings) -> None:
    assert the_one(remote, PaperWorld(free=free), "disk").level is level


def test_keys_that_others_can_read_are_an_error(remote: Settings) -> None:
    (remote.home / "secrets.toml").chmod(0o644)
    assert Level.ERROR in {check.level for check in examine(remote, PaperWorld(), "keys")}


def test_missing_keys_are_an_error_and_the_rest_is_still_looked_at(
    remote: Settings,
) -> None:
    (remote.home / "secrets.toml").unlink()
    found = service.examine(configuration.load(), PaperWorld())
    names = {check.name: check.level for check in found}
    assert names["keys"] is names["database"] is Level.ERROR
    assert names["smtp"] is names["disk"] is Level.OK


def test_a_missing_postal_address_is_warned_of(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_BRAND__POSTAL_ADDRESS", "")
    assert the_one(configuration.load(), PaperWorld(), "brand").level is Level.WARNING


def test_a_database_that_was_never_made_is_an_error(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_DATABASE_URL", "sqlite:///var/other.db")
    found = the_one(configuration.load(), PaperWorld(), "database")
    assert found.level is Level.ERROR
    assert "db upgrade" in found.message


def test_a_lookup_key_that_was_taken_away_is_an_error(
    remote: Settings, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_LOOKUP_KEYS", "quite another lookup key")
    found = the_one(configuration.load(), PaperWorld(), "database")
    assert found.level is Level.ERROR
    assert "PREFCENTRE_LOOKUP_KEYS" in found.message


def test_a_damaged_database_is_an_error(remote: Settings, context: Context, cast: Cast) -> None:
    context.db.close()
    path = Path(remote.database_url.removeprefix("sqlite:///"))
    data = bytearray(path.read_bytes())
    # Pages beyond the schema's first ones, so that the file still opens.
    data[-8192:] = b"\xff" * 8192
    path.write_bytes(data)
    assert the_one(remote, PaperWorld(), "database").level is Level.ERROR


# --- mail that is signed here ----------------------------------------------------------------


@pytest.fixture
def signing(remote: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same installation, signing with two keys."""
    monkeypatch.delenv("PREFCENTRE_DKIM_SELECTORS")
    made = (
        ("s1", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        ("s2", Ed25519PrivateKey.generate()),
    )
    lines = []
    for selector, key in made:
        file = remote.home / f"{selector}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.chmod(0o600)
        lines.append(
            f'[[dkim]]\ndomain = "example.com"\nselector = "{selector}"\nkey_file = "{selector}.pem"\n'
        )
    with (remote.home / "prefcentre.toml").open("a") as file_of_settings:
        file_of_settings.write("".join(lines))
    return configuration.load()


def published(settings: Settings) -> PaperWorld:
    world = PaperWorld()
    world.texts |= {key.place: [key.record] for key in keys_of(settings)}
    return world


def test_with_our_own_keys_in_dns_all_is_well(signing: Settings) -> None:
    found = service.examine(signing, published(signing))
    assert {check.level for check in found} == {Level.OK}
    words = {check.name: check.message for check in found}
    assert "example.com is signed here" in words["signing"]
    assert "2048 bits at s1._domainkey.example.com" in words[f"dkim {DOMAIN}"]


@pytest.mark.parametrize("texts", [[], [GOOD]], ids=["none", "another"])
def test_our_own_key_missing_in_dns_or_another_there_keeps_the_domain_from_sending(
    texts: list[str], signing: Settings, context: Context
) -> None:
    world = published(signing)
    world.texts["s1._domainkey.example.com"] = texts
    found = the_one(signing, world, "dkim")
    assert found.level is Level.ERROR
    assert "Publish “v=DKIM1; k=rsa; p=" in found.message
    with context.db.reading() as session:
        domain = campaigns.sender_domain(session, DOMAIN)
    assert domain is not None
    assert domain.verified_at is None


def test_a_second_signature_that_fails_is_only_warned_of(signing: Settings) -> None:
    world = published(signing)
    del world.texts["s2._domainkey.example.com"]
    found = the_one(signing, world, "dkim")
    assert found.level is Level.WARNING
    assert "Publish “v=DKIM1; k=ed25519; p=" in found.message


def test_a_key_that_can_not_be_used_is_an_error_wherever_the_mail_server_is(
    signing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_SMTP_URL", "smtp://127.0.0.1:25")
    (signing.home / "s1.pem").unlink()
    found = the_one(configuration.load(), PaperWorld(), "signing")
    assert found.level is Level.ERROR
    assert "s1.pem" in found.message


def test_a_signing_key_that_others_can_read_is_warned_of(signing: Settings) -> None:
    (signing.home / "s2.pem").chmod(0o644)
    found = the_one(signing, published(signing), "signing")
    assert found.level is Level.WARNING
    assert "chmod 600" in found.message


# --- the real one, as far as this machine goes -----------------------------------------------


@pytest.fixture
def secured() -> Iterator[RecordingSmtpServer]:
    with RecordingSmtpServer(offer=Offer(login=("me", "secret"))) as server:
        yield server


def test_a_real_mail_server_is_asked_what_it_can_and_gets_no_mail(
    smtpd: RecordingSmtpServer,
) -> None:
    found = RealWorld().smtp(configuration.parse_smtp_url(smtpd.url))
    assert "pipelining" in found.extensions
    assert found.tls is None
    assert smtpd.recipients == []


def test_a_wrong_password_is_told_in_the_servers_words(secured: RecordingSmtpServer) -> None:
    url = secured.url.replace("secret", "wrong")
    with pytest.raises(Unavailable, match="535"):
        RealWorld().smtp(configuration.parse_smtp_url(url))


def test_nobody_at_the_other_end_is_told() -> None:
    world = RealWorld()
    with pytest.raises(Unavailable):
        world.smtp(configuration.parse_smtp_url("smtp://127.0.0.1:1"))
    with pytest.raises(Unavailable):
        world.http_status("http://127.0.0.1:1/healthz")


def test_a_real_disk_has_some_room(tmp_path: Path) -> None:
    assert RealWorld().free_bytes(tmp_path) > 0


@pytest.mark.usefixtures("remote")
def test_what_stands_outside_or_nobody_knows_where_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """R147: a relay outside is an error, because nothing goes through it; one without a country is worth a look."""
    for country, level, words in (
        ("US", Level.ERROR, "stands in US, outside of the EEA"),
        ("", Level.WARNING, "in which country relay.example.com stands"),
    ):
        place = f'{{"host": "relay.example.com", "country": "{country}"}}' if country else ""
        monkeypatch.setenv("PREFCENTRE_REGION", f'{{"places": [{place}]}}')
        found = service.examine(configuration.load(), PaperWorld())
        assert any(one.level is level and words in one.message for one in found), country
