"""Use cases about where data goes: every endpoint, what keeps a mail server from being used, acknowledging it (R147)."""

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.settings import Settings
from prefcentre.transfers import queries, rules
from prefcentre.transfers.models import TransferAcknowledgement
from prefcentre.transfers.rules import Endpoint, Standing, ground

__all__ = [
    "Endpoint",
    "Standing",
    "TransferAcknowledgement",
    "acknowledge",
    "acknowledged",
    "closed_relays",
    "endpoints",
    "ground",
    "require_open",
    "revoke",
]

_SHORTEST_BASIS, _LONGEST_BASIS = 10, 1_000
_MAIL = "addresses and what is written to people"
# Whose reports are taken in: the company has the mails that it reports on. The name is to be put under [[region.places]].
_PROVIDERS = {
    "ses": ("Amazon SES", "amazonaws.com"),
    "sendgrid": ("SendGrid", "sendgrid.com"),
    "postmark": ("Postmark", "postmarkapp.com"),
    "mailgun": ("Mailgun", "mailgun.com"),
    "mailjet": ("Mailjet", "mailjet.com"),
    "brevo": ("Brevo", "brevo.com"),
    "sparkpost": ("SparkPost", "sparkpost.com"),
}


def endpoints(settings: Settings) -> list[Endpoint]:
    """Every machine and company that gets people's data, as the settings have it now; each with where it stands."""
    found = [*_relays(settings), *_others(settings)]
    return [_placed(settings, one) for one in found]


def _relays(settings: Settings) -> Iterator[Endpoint]:
    for account in settings.accounts if settings.has_mail_server else ():
        yield _endpoint("mail server", account.name, account.server.host, _MAIL, is_relay=True)


def _others(settings: Settings) -> Iterator[Endpoint]:
    for mailbox in settings.feedback.mailboxes:
        yield _endpoint("mailbox", mailbox.name, mailbox.server.host, "mails that came back")
    if not settings.is_sqlite:
        host = urlsplit(settings.database_url).hostname or "localhost"
        yield _endpoint("database", "PostgreSQL", host, "everything")
    if settings.spamd:
        host = settings.spamd.rpartition(":")[0] or settings.spamd
        yield _endpoint("spam filter", "spamd", host, "texts of campaigns")
    if settings.oidc_issuer:
        host = urlsplit(settings.oidc_issuer).hostname or ""
        yield _endpoint("sign-in", settings.oidc_name, host, "names and addresses of staff")
    for name, (shown, host) in _PROVIDERS.items():
        told = getattr(settings.webhooks, name)
        if told is not None and getattr(told, "topic_arns", True):
            yield _endpoint("mail provider", shown, host, "addresses and outcomes")


def _endpoint(role: str, name: str, host: str, data: str, *, is_relay: bool = False) -> Endpoint:
    return Endpoint(role, name, host.lower(), data, Standing.UNKNOWN, is_relay=is_relay)


def _placed(settings: Settings, one: Endpoint) -> Endpoint:
    region = settings.region
    place = next((place for place in region.places if rules.covers(place.host, one.host)), None)
    if place is not None:
        where = rules.standing(place.country, region.within)
        return replace(one, standing=where, country=place.country, operator=place.operator)
    return replace(one, standing=Standing.HERE if _is_near(one.host) else Standing.UNKNOWN)


def _is_near(host: str) -> bool:
    """Whether a machine is this one or of the same private network."""
    if host in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_private
    except ValueError:
        return False


def acknowledged(session: Session, settings: Settings) -> dict[str, TransferAcknowledgement]:
    """What holds now, by machine. What was said of a machine in another country than the settings have now does not."""
    countries = {one.host: one.country for one in endpoints(settings)}
    found: dict[str, TransferAcknowledgement] = {}
    for one in queries.in_force(session):
        if countries.get(one.host) == one.country:
            found.setdefault(one.host, one)
    return found


def closed_relays(session: Session, settings: Settings) -> dict[str, str]:
    """Mail servers that may not be used, by the account's name, each with the reason in words (R147).

    Costs no query where all stand inside.
    """
    outside = [
        one for one in endpoints(settings) if one.is_relay and one.standing is Standing.OUTSIDE
    ]
    if not outside:
        return {}
    known = acknowledged(session, settings)
    return {
        one.name: f"{one.host} stands in {one.country}, outside of the {settings.region.within}; "
        f"“prefcentre records acknowledge {one.host}” or the desk lets it be used"
        for one in outside
        if one.host not in known
    }


def require_open(session: Session, settings: Settings, account: str) -> None:
    """Raises Refused when nothing may go through an account, with the reason."""
    why = closed_relays(session, settings).get(account)
    if why is not None:
        raise Refused(f"The mail server “{account}” is not used: {why}.")


def acknowledge(session: Session, context: Context, host: str, basis: str, actor: str) -> None:
    """Answer for sending data to a machine outside; ``basis`` says on which ground (art. 44-49).

    Raises NotFound when no such machine stands outside, and InvalidInput when the ground is not told.
    """
    wanted = host.strip().lower()
    found = next((one for one in _outside(context.settings) if one.host == wanted), None)
    if found is None:
        raise NotFound(f"No machine “{host}” stands outside of the region by the settings.")
    basis = " ".join(basis.split())
    if not _SHORTEST_BASIS <= len(basis) <= _LONGEST_BASIS:
        raise InvalidInput(
            f"Write the ground for the transfer in {_SHORTEST_BASIS} to {_LONGEST_BASIS:,} characters, such as "
            "“standard contractual clauses of 4 June 2021, signed 1 March 2026”."
        )
    now = context.clock.now()
    queries.revoke(session, wanted, now, actor)
    queries.add(
        session,
        TransferAcknowledgement(
            host=wanted, country=found.country, basis=basis, actor=actor, at=now
        ),
    )
    details = {"host": wanted, "country": found.country, "basis": basis}
    audit.append(session, context, AuditAction.TRANSFER_ACKNOWLEDGED, actor=actor, details=details)


def revoke(session: Session, context: Context, host: str, actor: str) -> None:
    """Take back what was acknowledged of a machine. Raises NotFound when there is nothing."""
    wanted = host.strip().lower()
    if not queries.revoke(session, wanted, context.clock.now(), actor):
        raise NotFound(f"Nothing is acknowledged of “{host}”.")
    details = {"host": wanted}
    audit.append(session, context, AuditAction.TRANSFER_REVOKED, actor=actor, details=details)


def _outside(settings: Settings) -> list[Endpoint]:
    return [one for one in endpoints(settings) if one.standing is Standing.OUTSIDE]
