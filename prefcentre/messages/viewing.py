"""A mail without the person it was written to: the page for a browser, and what checks look at.

This is a file of its own because it renders with other values and other rules than composing does.
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import ChainableUndefined

from prefcentre.links import Links
from prefcentre.messages import sandbox
from prefcentre.messages.compose import brand_values
from prefcentre.messages.sandbox import LINKS, MailEnvironment, Values
from prefcentre.messages.values import Compiled
from prefcentre.messages.variants import html_variant
from prefcentre.settings import Brand

_MASKED = "•••@•••"


class _Blank(ChainableUndefined):
    """A value that is not there: prints as nothing, is false, and anything under it is not there either."""

    __slots__ = ()

    def _is_not(self, _: object) -> bool:
        return False

    # Older than what, more than what: nothing is known of a person who is not there.
    __lt__ = __le__ = __gt__ = __ge__ = _is_not  # type: ignore[assignment]


def page(
    compiled: Compiled,
    brand: Brand,
    pages: Links,
    slug: str,
    topic_name: str,
    links: Mapping[str, str],
    *,
    tracked: bool = False,
) -> str:
    """The HTML of a campaign for everybody: empty where a person would stand.

    ``tracked`` is for checks: it shows what only people who agreed to be counted see.
    """
    source = html_variant(
        compiled, pages.click_base, pages.open_base, opens=tracked, clicks=tracked
    )
    values = _values(compiled, brand, pages, slug, topic_name, links, tracked=tracked)
    return _rendered(source, values, autoescape=True)


def text(
    compiled: Compiled,
    brand: Brand,
    pages: Links,
    slug: str,
    topic_name: str,
    *,
    tracked: bool = False,
) -> str:
    """The text part in the same way."""
    values = _values(compiled, brand, pages, slug, topic_name, {}, tracked=tracked)
    return _rendered(compiled.text, values, autoescape=False)


def public_link(pages: Links, name: str) -> str:
    """Where a link leads that is for nobody: to the page where people ask for one of their own."""
    return f"{pages.public_url}/my-data#{name}"


def _values(
    compiled: Compiled,
    brand: Brand,
    pages: Links,
    slug: str,
    topic_name: str,
    links: Mapping[str, str],
    *,
    tracked: bool,
) -> dict[str, Any]:
    campaign = {"slug": slug, "name": compiled.name, "topic": topic_name}
    # Whoever looks at a forwarded page is not the person it was sent to; a link of their own comes by mail.
    known: dict[str, str | None] = {name: public_link(pages, name) for name in LINKS}
    values: dict[str, Any] = {
        "subscriber": Values(
            "subscriber", {"email": _MASKED, "attributes": Values("subscriber.attributes", {})}
        ),
        "campaign": Values("campaign", campaign),
        "brand": brand_values(brand),
        "links": Values("links", known | {"privacy": brand.privacy_url or None} | dict(links)),
        "tracked": tracked,
        "token__": "",
    }
    subject = _rendered(compiled.subject, values, autoescape=False)
    return values | {"campaign": Values("campaign", campaign | {"subject": subject})}


def _rendered(source: str, values: Mapping[str, Any], *, autoescape: bool) -> str:
    environment = MailEnvironment(autoescape=autoescape, undefined=_Blank)
    return sandbox.program(environment, environment.parse(source), "this campaign").render(values)
