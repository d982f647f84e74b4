"""Use cases of messages: compile a campaign, compose a mail, show it in a browser, check it before it goes."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignSource
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.errors import ContentError
from prefcentre.messages import limited, rules, viewing
from prefcentre.messages.children import keep_ready
from prefcentre.messages.compose import Composer
from prefcentre.messages.sandbox import VARIABLES
from prefcentre.messages.values import (
    Compiled,
    Finding,
    ForeignLink,
    Level,
    Look,
    Message,
    MissingValue,
    Pale,
    Picture,
    Recipient,
    Shown,
    Trial,
    Tried,
)
from prefcentre.settings import Settings, is_loopback

__all__ = [
    "VARIABLES",
    "Compiled",
    "Composer",
    "Finding",
    "ForeignLink",
    "Level",
    "Look",
    "Message",
    "MissingValue",
    "Pale",
    "Picture",
    "Recipient",
    "Shown",
    "Tried",
    "compile_campaign",
    "keep_ready",
    "preflight",
    "render_page",
    "show",
    "try_people",
]


def compile_campaign(source: CampaignSource, settings: Settings) -> Compiled:
    """A campaign's files, ready to be filled in.

    Promises that nothing is fetched from other servers, that no link of ours and none that differs from person to
    person is counted (R40), and an end within seconds: it runs in a child process that is stopped when it takes too
    much time or memory (T4). Raises ContentError with file, line and variable.
    """
    return limited.compile_source(settings, source)


def show(
    settings: Settings, source: CampaignSource, topic_name: str, recipient: Recipient
) -> Shown:
    """The mail as this person would get it, made in a child process that is stopped when it takes too much (T4).

    Promises links that nobody can use: they are signed with keys that were made up. Raises ContentError with file,
    line and field, and MissingValue when the person lacks a variable.
    """
    return limited.show(settings, source, topic_name, recipient)


def try_people(
    settings: Settings, compiled: Compiled, slug: str, topic_name: str, people: Sequence[Recipient]
) -> Tried:
    """Who of these people lacks which variable, and other mistakes; in a child process as well (T4, R192).

    Raises ContentError when it takes more time or memory than mails may.
    """
    return limited.try_people(settings, compiled, slug, topic_name, people)


def render_page(
    context: Context,
    compiled: Compiled,
    *,
    slug: str,
    topic_name: str,
    links: Mapping[str, str] | None = None,
) -> str:
    """The mail as a page for a browser: nobody's name, a masked address, nothing counted (R38, R40).

    ``links`` replaces the addresses under ``links``; without it they lead to the page where people can ask for a
    link of their own. Raises ContentError when the content can't be shown without a person.
    """
    return viewing.page(
        compiled, context.settings.brand, context.links, slug, topic_name, links or {}
    )


def preflight(
    session: Session,
    context: Context,
    source: CampaignSource,
    compiled: Compiled,
    samples: Sequence[Recipient],
) -> list[Finding]:
    """Everything that speaks against sending this, errors first (R192); writes nothing.

    The content is filled in for nobody and for ``samples`` in a child process that is stopped when it takes too
    much time or memory (T4); that is an error among the others.
    """
    topic = next((found for found in consent.topics(session) if found.key == source.topic), None)
    findings = [
        *rules.check_topic(source.topic, topic.channels if topic else None),
        *_about_sending(session, context, source),
        *rules.check_subject(source.subject),
        *rules.check_source((source.body, source.frame.body)),
        *rules.check_scripts(_domains(source, compiled)),
        *(rules.warning("links", text) for text in compiled.warnings),
    ]
    try:
        trial = limited.try_out(
            context.settings, compiled, source.slug, topic.name if topic else source.topic, samples
        )
    except ContentError as error:
        findings.append(rules.error("template", str(error)))
    else:
        findings += _about_content(context, compiled, trial)
    return sorted(findings, key=lambda finding: finding.level is not Level.ERROR)


def _about_sending(session: Session, context: Context, source: CampaignSource) -> list[Finding]:
    settings = context.settings
    loopback = settings.keeps_mail_here
    domain = addresses.parse(source.sender_email).domain
    known = campaigns.sender_domain(session, domain)
    public = is_loopback(urlsplit(settings.public_url).hostname or "")
    return [
        *rules.check_sender(
            source.sender_name, source.sender_email, source.reply_to, loopback=loopback
        ),
        *rules.check_domain(domain, verified=bool(known and known.verified_at), loopback=loopback),
        *rules.check_public_url(
            settings.public_url, url_is_loopback=public, smtp_is_loopback=loopback
        ),
        *(
            ()
            if settings.has_mail_server
            else (rules.warning("smtp", "No mail server is set: PREFCENTRE_SMTP_URL."),)
        ),
    ]


def _domains(source: CampaignSource, compiled: Compiled) -> list[str]:
    mailboxes = (source.sender_email, source.reply_to or "")
    hosts = (urlsplit(address).hostname or "" for address in compiled.links)
    return sorted({*(mailbox.rpartition("@")[2] for mailbox in mailboxes), *hosts} - {""})


def _about_content(context: Context, compiled: Compiled, trial: Trial) -> list[Finding]:
    brand = context.settings.brand
    findings = [*rules.check_values(trial), *rules.check_size(trial.html_octets)]
    if not trial.html:
        # It could not be filled in even for nobody; that finding is enough.
        return findings
    unsubscribe = viewing.public_link(context.links, "unsubscribe")
    findings += rules.check_parts(trial, unsubscribe, brand.name, brand.postal_address)
    if compiled.track_opens or compiled.track_clicks:
        ways = [viewing.public_link(context.links, name) for name in ("tracking", "preferences")]
        findings += rules.check_tracking(trial, ways)
    return findings
