"""Looks at everything an installation needs and says what to do about what is missing."""

import os
import stat
import tomllib
from collections.abc import Iterator
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from prefcentre.addresses import normal_domain
from prefcentre.campaigns import service as campaigns
from prefcentre.clock import Clock
from prefcentre.context import Context, open_context
from prefcentre.dkim import service as signing
from prefcentre.dkim.service import SigningKey
from prefcentre.doctor import queries, rules
from prefcentre.doctor.rules import Check, Level
from prefcentre.doctor.world import RealWorld, World
from prefcentre.errors import InvalidAddress, PrefcentreError, SettingsError, Unavailable
from prefcentre.feedback import service as feedback
from prefcentre.feedback.service import Line
from prefcentre.migrations import current
from prefcentre.settings import SECRETS_FILE, Settings, SmtpServer, is_loopback
from prefcentre.transfers import service as transfers
from prefcentre.transfers.service import Standing

__all__ = [
    "Check",
    "Level",
    "RealWorld",
    "World",
    "examine",
    "examine_domain",
    "is_healthy",
    "require_known_keys",
]

_LITTLE_ROOM = 1_000_000_000
_NO_ROOM = 50_000_000
_WANTED_EXTENSIONS = {
    "pipelining": "every mail costs more round trips",
    "8bitmime": "text has to be encoded longer",
    "size": "too large a mail is noticed late",
}


def examine(settings: Settings, world: World, clock: Clock | None = None) -> list[Check]:
    """Look at settings, database, mail server, DNS, public address and disk, in this order.

    Opens the database itself, because whether that works is one of the questions. Notes the domains whose DNS
    is in order, which lets campaigns be sent from them (R45). Never sends a mail and never raises for what it finds.
    """
    keys, about_keys = _signing_keys(settings)
    checks = [*_settings(settings), *about_keys]
    try:
        with open_context(settings, clock) as context:
            database = list(_database(context))
            checks += [*database, *_mail_servers(settings, world)]
            # What DNS says is kept in the database, so there is no point without one.
            if is_healthy(database):
                checks += _sender_domains(context, world, keys)
                checks += _reputation(context)
                checks += _mailboxes(context)
                checks += _places(context)
    except PrefcentreError as error:
        checks.append(Check("database", Level.ERROR, str(error)))
        checks += _mail_servers(settings, world)
    checks += _public_address(settings, world)
    checks += _disk(settings, world)
    return checks


def examine_domain(context: Context, world: World, domain: str) -> list[Check]:
    """Look at what DNS says about a sender's domain, and note it (R45). Never raises for what it finds."""
    keys, _ = _signing_keys(context.settings)
    return list(_sender_domain(context, world, domain, keys))


def is_healthy(checks: list[Check]) -> bool:
    """Whether nothing is in the way of sending."""
    return rules.worst(checks) is not Level.ERROR


def require_known_keys(context: Context) -> None:
    """Refuse to work on data under keys that are not set any more: people would not be recognised (design §12).

    Raises SettingsError that names the lost keys by their fingerprints.
    """
    if missing := _missing_keys(context):
        raise SettingsError(_about_missing(missing))


def _missing_keys(context: Context) -> list[str]:
    with context.db.reading() as session:
        return sorted(set(queries.lookup_key_versions(session)) - set(context.lookup.versions))


def _about_missing(versions: list[str]) -> str:
    return (
        f"Addresses were stored under lookup keys that are not set any more ({', '.join(versions)}). "
        "Put the old keys back behind the new ones in PREFCENTRE_LOOKUP_KEYS."
    )


def _settings(settings: Settings) -> Iterator[Check]:
    try:
        settings.require_keys()
        yield Check("keys", Level.OK, "All keys are set.")
    except SettingsError as error:
        yield Check("keys", Level.ERROR, str(error))
    secrets = settings.home / SECRETS_FILE
    if secrets.exists() and os.name == "posix" and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        yield Check(
            "keys", Level.ERROR, f"Other users can read {secrets}. Run “chmod 600 {secrets}”."
        )
    if not settings.brand.postal_address:
        yield Check(
            "brand",
            Level.WARNING,
            "No postal address is set, and no campaign starts without one (R23). Set PREFCENTRE_BRAND__POSTAL_ADDRESS.",
        )
    if not settings.brand.privacy_url:
        yield Check(
            "brand",
            Level.WARNING,
            "No privacy notice is linked. Set PREFCENTRE_BRAND__PRIVACY_URL.",
        )


def _signing_keys(settings: Settings) -> tuple[list[SigningKey], list[Check]]:
    try:
        keys = signing.keys_of(settings)
    except SettingsError as error:
        # The sender refuses to start with them, so it does not matter where the mail server is.
        return [], [Check("signing", Level.ERROR, str(error))]
    concerns = [concern for key in keys for concern in key.concerns]
    if keys and not concerns:
        domains = ", ".join(dict.fromkeys(key.domain for key in keys))
        return keys, [Check("signing", Level.OK, f"Mail from {domains} is signed here.")]
    return keys, [Check("signing", Level.WARNING, concern) for concern in concerns]


def _database(context: Context) -> Iterator[Check]:
    try:
        current.require_current(context.db)
        with context.db.reading() as session:
            wrong = queries.damage(session)
        missing = _missing_keys(context)
        with context.db.writing() as session:
            queries.try_to_write(session)
    except Unavailable as error:
        yield Check("database", Level.ERROR, str(error))
        return
    if wrong:
        yield Check(
            "database",
            Level.ERROR,
            f"The database file is damaged ({wrong[0]}). Restore it from a backup.",
        )
    elif missing:
        yield Check("database", Level.ERROR, _about_missing(missing))
    else:
        yield Check("database", Level.OK, "The tables are current, whole and can be written to.")


def _reputation(context: Context) -> Iterator[Check]:
    """What mailbox providers' people thought of yesterday's and today's mails, where it is bad (R53)."""
    told: set[str] = set()
    with context.db.reading() as session:
        for rate in feedback.current(session, context, days=2):
            if rate.line is not Line.FINE and rate.sender_domain not in told:
                told.add(rate.sender_domain)
                words = f"Mails from {rate.sender_domain}: {feedback.in_words(rate)}"
                yield Check("reputation", Level.WARNING, words)


def _mailboxes(context: Context) -> Iterator[Check]:
    """The mailboxes that what comes back is fetched from, as the last look at each has left them."""
    looks = feedback.looks(context)
    for mailbox in context.settings.feedback.mailboxes:
        name, look = f"mailbox {mailbox.name}", looks.get(mailbox.name)
        if look is None:
            words = "It was never looked into. Workers do it, and “prefcentre feedback poll”."
            yield Check(name, Level.WARNING, words)
        elif look.trouble:
            yield Check(name, Level.ERROR, f"{look.trouble} Tried {look.failures} times.")
        elif not look.staying:
            yield Check(name, Level.OK, f"Read at {look.looked_at:%Y-%m-%d %H:%M} UTC.")
        else:
            words = f"{look.staying} mails stay there, because they are too large or could not be taken in."
            yield Check(name, Level.WARNING, words)


def _places(context: Context) -> Iterator[Check]:
    """What gets people's data and stands outside, or where nobody knows (R147)."""
    with context.db.reading() as session:
        for name, why in transfers.closed_relays(session, context.settings).items():
            yield Check(f"smtp {name}", Level.ERROR, f"It is not used: {why}.")
    for one in transfers.endpoints(context.settings):
        if one.standing is Standing.UNKNOWN:
            words = f"Nobody said in which country {one.host} stands ({one.role}). Name it under [[region.places]]."
            yield Check("where data is", Level.WARNING, words)


def _mail_servers(settings: Settings, world: World) -> Iterator[Check]:
    try:
        accounts = settings.accounts
    except SettingsError as error:
        yield Check("smtp", Level.ERROR, str(error))
        return
    for account in accounts:
        # The one of `smtp_url` has no name that anybody gave it.
        name = f"smtp {account.name}" if settings.smtp_accounts else "smtp"
        yield from _mail_server(account.server, name, world)


def _mail_server(server: SmtpServer, name: str, world: World) -> Iterator[Check]:
    place = f"{server.host}:{server.port}"
    try:
        facts = world.smtp(server)
    except Unavailable as error:
        yield Check(
            name,
            Level.ERROR,
            f"The mail server at {place} can't be used: {error}. "
            "Check PREFCENTRE_SMTP_URL or PREFCENTRE_SMTP_ACCOUNTS.",
        )
        return
    how = f"with {facts.tls}" if facts.tls else "without TLS"
    yield Check(name, Level.OK, f"{place} answers {how}.")
    if facts.tls is None and not server.is_loopback:
        yield Check(
            name,
            Level.WARNING,
            "Mail and password cross the network in the clear. Use smtp+starttls://.",
        )
    for extension, cost in _WANTED_EXTENSIONS.items():
        if extension not in facts.extensions:
            yield Check(
                name,
                Level.WARNING,
                f"The mail server does not offer {extension.upper()}: {cost}.",
            )


def _sender_domains(context: Context, world: World, keys: list[SigningKey]) -> Iterator[Check]:
    with context.db.reading() as session:
        known = {*queries.known_domains(session), *map(_domain_of, queries.drafts(session))}
    domains = sorted((_domains_in_files(context.settings.campaigns_dir) | known) - {""})
    if not domains:
        yield Check(
            "dns",
            Level.OK,
            "No campaign names a sender yet, so there is no domain to look at.",
        )
    for domain in domains:
        yield from _sender_domain(context, world, domain, keys)


def _sender_domain(
    context: Context, world: World, domain: str, keys: list[SigningKey]
) -> Iterator[Check]:
    try:
        found = _authentication(domain, context.settings, world, keys)
    except Unavailable as error:
        yield Check(f"dns {domain}", Level.WARNING, f"{error}; what was found before stands.")
        return
    with context.db.writing() as session:
        campaigns.record_domain_check(
            session,
            context,
            domain,
            verified=all(verdict.good for verdict in found.values()),
            findings={
                name: f"{verdict.message}. {verdict.warning}".strip()
                for name, verdict in found.items()
            },
        )
    yield from _in_words(domain, found, context.settings)
    yield from _reachable(domain, world)


def _domains_in_files(folder: Path) -> set[str]:
    domains = set()
    for file in sorted(folder.glob("*/campaign.toml")):
        try:
            domains.add(_domain_of(file.read_text()))
        except (OSError, UnicodeDecodeError):
            # As below: “campaigns check” says it in full.
            continue
    return domains


def _domain_of(text: str) -> str:
    """The domain of a campaign's sender; empty while it names none that could be looked up."""
    try:
        sender = tomllib.loads(text).get("from", "")
        return normal_domain(parseaddr(str(sender))[1].rpartition("@")[2])
    except (tomllib.TOMLDecodeError, InvalidAddress):
        # “campaigns check” says in full what is wrong with a campaign; here only its sender is of interest.
        return ""


def _authentication(
    domain: str, settings: Settings, world: World, keys: list[SigningKey]
) -> dict[str, rules.Verdict]:
    own = signing.keys_for(keys, domain)
    return {
        "spf": _spf(domain, world),
        "dkim": _own_dkim(own, world) if own else _dkim(domain, settings, world),
        "dmarc": _dmarc(domain, world),
    }


def _spf(domain: str, world: World) -> rules.Verdict:
    texts = world.txt(domain)
    verdict = rules.spf(texts)
    lookups = _spf_lookups(rules.spf_records(texts), world, set())
    if verdict.good and lookups > rules.MAX_SPF_LOOKUPS:
        return rules.Verdict(
            good=True,
            message=verdict.message,
            warning=f"It needs {lookups} DNS look-ups; receivers stop at {rules.MAX_SPF_LOOKUPS} (RFC 7208 §4.6.4).",
        )
    return verdict


def _spf_lookups(records: list[str], world: World, seen: set[str]) -> int:
    count = 0
    for record in records[:1]:
        count += rules.spf_lookups(record)
        for name in rules.spf_names(record):
            # A circle of includes, or a chain without end, is far past the limit already.
            if name not in seen and count <= rules.MAX_SPF_LOOKUPS:
                seen.add(name)
                count += _spf_lookups(rules.spf_records(world.txt(name)), world, seen)
    return count


def _own_dkim(keys: list[SigningKey], world: World) -> rules.Verdict:
    # The first one is RSA, which every receiver checks; what is wrong with the second one stops nobody.
    first, *others = [rules.own_dkim(world.txt(key.place), key.place, key.record) for key in keys]
    failing = [
        f"The second signature fails: {other.message}." for other in others if not other.good
    ]
    return rules.Verdict(first.good, first.message, " ".join([first.warning, *failing]).strip())


def _dkim(domain: str, settings: Settings, world: World) -> rules.Verdict:
    if not settings.dkim_selectors:
        return rules.Verdict(
            good=False,
            message="no DKIM selector is known. Set PREFCENTRE_DKIM_SELECTORS to the one your server signs with, or let mail be signed here ([[dkim]])",
        )
    found = {
        selector: rules.dkim(world.txt(f"{selector}._domainkey.{domain}"))
        for selector in settings.dkim_selectors
    }
    best = next(
        (name for name, verdict in found.items() if verdict.good), settings.dkim_selectors[0]
    )
    verdict = found[best]
    return rules.Verdict(
        verdict.good, f"{verdict.message} at {best}._domainkey.{domain}", verdict.warning
    )


def _dmarc(domain: str, world: World) -> rules.Verdict:
    found = [
        (name, record)
        for name in rules.dmarc_names(domain)
        if (record := rules.dmarc(world.txt(f"_dmarc.{name}"))) is not None
    ]
    applicable = rules.applicable_dmarc(domain, found)
    if applicable is None:
        return rules.Verdict(
            good=False,
            message=f"no DMARC record. Publish “v=DMARC1; p=none; rua=mailto:…” at _dmarc.{domain}",
        )
    name, policy, record = applicable
    return rules.Verdict(
        good=True,
        message=f"DMARC says {policy} (_dmarc.{name})",
        warning=rules.dmarc_advice(policy, record),
    )


def _in_words(domain: str, found: dict[str, rules.Verdict], settings: Settings) -> Iterator[Check]:
    # A mail server on this machine is a test or a relay that we can't see behind, so DNS only warns (design §12).
    is_local = settings.keeps_mail_here
    for kind, verdict in found.items():
        name = f"{kind} {domain}"
        if not verdict.good:
            yield Check(
                name, Level.WARNING if is_local else Level.ERROR, f"{domain}: {verdict.message}."
            )
        elif verdict.warning:
            yield Check(name, Level.WARNING, f"{domain}: {verdict.message}. {verdict.warning}")
        else:
            yield Check(name, Level.OK, f"{domain}: {verdict.message}.")


def _reachable(domain: str, world: World) -> Iterator[Check]:
    try:
        if not world.mx(domain):
            yield Check(
                f"mx {domain}",
                Level.WARNING,
                f"{domain} has no MX record, so replies may not arrive.",
            )
    except Unavailable as error:
        yield Check(f"mx {domain}", Level.WARNING, f"{error}. Try again later.")


def _public_address(settings: Settings, world: World) -> Iterator[Check]:
    is_local = settings.keeps_mail_here
    if is_loopback(urlsplit(settings.public_url).hostname or "") and not is_local:
        yield Check(
            "public address",
            Level.ERROR,
            f"Links in mails would lead to {settings.public_url}, which only this machine can open. Set PREFCENTRE_PUBLIC_URL.",
        )
        return
    url = f"{settings.public_url}/healthz"
    try:
        status = world.http_status(url)
        problem = "" if status == 200 else f"answered {status}"
    except Unavailable as error:
        problem = f"does not answer ({error})"
    if problem:
        yield Check(
            "public address",
            Level.WARNING if is_local else Level.ERROR,
            f"{url} {problem}. Is “prefcentre run” running, and does the address lead to it?",
        )
    else:
        yield Check(
            "public address", Level.OK, f"{settings.public_url} leads to this installation."
        )
        yield from _open_numbers(settings, world)


def _open_numbers(settings: Settings, world: World) -> Iterator[Check]:
    # A web server in front that shows nothing of whom it asks for makes every stranger look like this machine.
    url = f"{settings.public_url}/metrics"
    if is_loopback(urlsplit(settings.public_url).hostname or ""):
        return
    try:
        is_open = world.http_status(url) == 200
    except Unavailable:
        is_open = False
    if is_open:
        yield Check(
            "public address",
            Level.WARNING,
            f"Everybody can read {url}. Set PREFCENTRE_METRICS_TOKEN, or let the web server in front refuse it.",
        )


def _disk(settings: Settings, world: World) -> Iterator[Check]:
    place = settings.data_dir if settings.data_dir.exists() else settings.home
    try:
        free = world.free_bytes(place)
    except OSError as error:
        yield Check("disk", Level.ERROR, f"{place} can't be looked at: {error.strerror}.")
        return
    room = f"{free / 1e9:.1f} GB free at {place}."
    if free < _NO_ROOM:
        yield Check(
            "disk", Level.ERROR, f"Only {room} Make room: without it nothing can be recorded."
        )
    elif free < _LITTLE_ROOM:
        yield Check("disk", Level.WARNING, f"Only {room} Make room soon.")
    else:
        yield Check("disk", Level.OK, room)
