"""Use cases of messages: compile a campaign, compose a mail, show it in a browser, check it before it goes."""

from collections.abc import Mapping

from prefcentre.campaigns.service import CampaignSource
from prefcentre.context import Context
from prefcentre.messages import viewing
from prefcentre.messages.compiling import compile_source
from prefcentre.messages.compose import Composer
from prefcentre.messages.headers import own_unsubscribe_token
from prefcentre.messages.values import Compiled, Message, MissingValue, Recipient
from prefcentre.settings import Settings

__all__ = [
    "Compiled",
    "Composer",
    "Message",
    "MissingValue",
    "Recipient",
    "compile_campaign",
    "own_unsubscribe_token",
    "render_page",
]


def compile_campaign(source: CampaignSource, settings: Settings) -> Compiled:
    """A campaign's files, ready to be filled in.

    Promises that what it returns fetches nothing from other servers while it is compiled, counts no link of ours
    and none that differs from person to person. Raises ContentError with file, line and variable.
    """
    return compile_source(source, settings)


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
    return viewing.page(context, compiled, slug, topic_name, links or {})
