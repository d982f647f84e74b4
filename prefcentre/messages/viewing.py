"""A mail as a web page, without the person it was written to.

This is a file of its own because it renders with other values and other rules than composing does.
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import ChainableUndefined, StrictUndefined

from prefcentre.context import Context
from prefcentre.messages import sandbox
from prefcentre.messages.compiling import html_variant
from prefcentre.messages.compose import brand_values
from prefcentre.messages.sandbox import LINKS, MailEnvironment, Values
from prefcentre.messages.values import Compiled

_MASKED = "•••@•••"


class _Blank(ChainableUndefined, StrictUndefined):
    """A value that is not there: prints as nothing, is false, and anything under it is not there either."""

    __slots__ = ()
    __iter__ = ChainableUndefined.__iter__
    __len__ = ChainableUndefined.__len__
    __str__ = ChainableUndefined.__str__
    __bool__ = ChainableUndefined.__bool__
    __eq__ = ChainableUndefined.__eq__
    __ne__ = ChainableUndefined.__ne__
    __hash__ = ChainableUndefined.__hash__


def page(
    context: Context, compiled: Compiled, slug: str, topic_name: str, links: Mapping[str, str]
) -> str:
    """The HTML of a campaign for everybody: empty where a person would stand, direct links, no pixel."""
    environment = MailEnvironment(autoescape=True, undefined=_Blank)
    source = html_variant(compiled, context.links.click_base, context.links.open_base, opens=False, clicks=False)
    campaign = {"slug": slug, "name": compiled.name, "topic": topic_name}
    values: dict[str, Any] = {
        "subscriber": Values("subscriber", {"email": _MASKED, "attributes": Values("subscriber.attributes", {})}),
        "campaign": Values("campaign", campaign),
        "brand": brand_values(context.settings.brand),
        "links": Values("links", _links(context, links)),
        "tracked": False,
    }
    plain = MailEnvironment(autoescape=False, undefined=_Blank)
    subject = sandbox.program(plain, plain.parse(compiled.subject), "subject").render(values)
    values["campaign"] = Values("campaign", campaign | {"subject": subject})
    return sandbox.program(environment, environment.parse(source), "HTML part").render(values)


def _links(context: Context, given: Mapping[str, str]) -> dict[str, str | None]:
    # Whoever looks at a forwarded page is not the person it was sent to; a link of their own comes by mail.
    own = f"{context.settings.public_url}/my-data"
    known: dict[str, str | None] = dict.fromkeys(LINKS, own)
    return known | {"privacy": context.settings.brand.privacy_url or None} | dict(given)
