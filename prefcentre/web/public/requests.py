"""What the public pages read from a request, and the links that lead from one page to the next."""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from prefcentre import addresses
from prefcentre.context import Context
from prefcentre.preferences.service import Method, Subscriber, Visit
from prefcentre.tokens import LinkToken, TokenKind
from prefcentre.web.languages import language

LARGEST_BODY = 64 * 1024
"""More than any form of ours needs."""
LONGEST_AGENT = 512

_UTC = ZoneInfo("UTC")

View = Callable[..., ResponseReturnValue]


def limit_body() -> None:
    """Refuse large bodies before they are read."""
    request.max_content_length = LARGEST_BODY


def route(pages: Blueprint, method: str, rule: str, view: View, *given: object) -> None:
    """Let ``view(*given, …)`` answer a rule. What it needs is handed in, so no view reaches for a global."""
    endpoint = f"{view.__module__.rpartition('.')[2]}_{view.__name__}"
    pages.add_url_rule(rule, endpoint, partial(view, *given), methods=[method])


def visit(method: Method) -> Visit:
    """How this act came in, as evidence."""
    agent = request.user_agent.string[:LONGEST_AGENT] or None
    return Visit(method, request.remote_addr, agent, language())


def preferences_path(context: Context, token: LinkToken) -> str:
    """The way from any page that a mail opened to the same person's preferences."""
    return _path(context, token, TokenKind.PREFERENCES)


def unsubscribe_path(context: Context, token: LinkToken) -> str:
    """The way to the page that stops this topic."""
    return _path(context, token, TokenKind.UNSUBSCRIBE)


def is_fresh(context: Context, token: LinkToken) -> bool:
    """Whether a link may still show something about the person; an older one only ever reduces (R37)."""
    age = context.clock.now().date() - token.issued
    return age.days <= context.settings.preference_link_days


def masked(person: Subscriber) -> str:
    """The address in a form that tells a stranger nothing (R38)."""
    return addresses.parse(person.email).masked if person.email else ""


def zone_of(person: Subscriber | None) -> ZoneInfo:
    """Where the person's days begin; UTC when nothing usable is known."""
    try:
        return ZoneInfo(person.timezone) if person and person.timezone else _UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _UTC


def path_of(context: Context, token: LinkToken) -> str:
    """The way to the page that a token opens."""
    return urlsplit(context.links.page(token)).path


def _path(context: Context, token: LinkToken, kind: TokenKind) -> str:
    # It keeps its day, or else an old mail would open what its own link to the preferences no longer opens.
    return path_of(
        context, LinkToken(kind, token.subscriber, token.topic, token.campaign, token.issued)
    )
