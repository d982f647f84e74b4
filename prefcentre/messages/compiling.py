"""A campaign's files, compiled once: Jinja hidden, markup made, CSS inlined, links numbered, Jinja back.

This is a file of its own because it runs once for a content version, while composing runs for every recipient.
"""

import html
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from jinja2 import nodes

from prefcentre.campaigns.service import BodyFormat, CampaignSource
from prefcentre.errors import ContentError
from prefcentre.messages import markup, sandbox
from prefcentre.messages.sandbox import MailEnvironment
from prefcentre.messages.shielding import Shield, unescape_jinja
from prefcentre.messages.values import Compiled
from prefcentre.messages.variants import PIXEL, on_colour
from prefcentre.settings import Settings

_HREF = re.compile(
    r"(?P<open><(?P<tag>a|area|v:[a-z]+)\b(?:\"[^\"]*\"|'[^']*'|[^'\"<>])*?\shref=)"
    r"(?P<quote>[\"'])(?P<url>.*?)(?P=quote)(?P<rest>(?:\"[^\"]*\"|'[^']*'|[^'\"<>])*>)",
    re.DOTALL | re.IGNORECASE,
)
_TAG = re.compile(r"<[^>]*>")
_LOOKS_LIKE_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:/\S*)?", re.IGNORECASE
)
_NUMBERED = re.compile(r"lnk(\d{5})lnk")
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_OWN_LINK = re.compile(r"\{\{-?\s*(?:links|brand)\.\w+\s*-?\}\}")
_WORDS_SEEN = 2000


@dataclass
class _Work:
    """What is known while one campaign is compiled."""

    source: CampaignSource
    settings: Settings
    rich: MailEnvironment = field(default_factory=lambda: MailEnvironment(autoescape=True))
    plain: MailEnvironment = field(default_factory=lambda: MailEnvironment(autoescape=False))
    links: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    used_links: set[str] = field(default_factory=lambda: {"unsubscribe"})

    @property
    def frame_file(self) -> str:
        frame = self.source.frame
        return f"templates/emails/{frame.name}/body.{frame.body_format.value}"

    @property
    def is_mjml(self) -> bool:
        return self.source.frame.body_format is BodyFormat.MJML


def compile_source(source: CampaignSource, settings: Settings) -> Compiled:
    """The campaign, ready to be filled in. Raises ContentError with file, line and variable.

    The steps, each once for a version of the content: 1. check every file on its own, so that a mistake is
    reported where it was made; 2. content into the frame, with Jinja hidden; 3. MJML and CSS; 4. number the links;
    5. Jinja back; 6. the text part.
    """
    work = _Work(source, settings)
    _check_files(work)
    shield = Shield(work.rich)
    content = _content_markup(work, shield)
    page = _number_links(work, shield, _page(work, shield, content))
    body = _with_pixel(_revealed(shield, page))
    text = _text_part(work, content, shield)
    for template, environment in (
        (body, work.rich),
        (text, work.plain),
        (source.subject, work.plain),
    ):
        tree = sandbox.parse(environment, template, source.body_file, extra=_internal_names(work))
        work.used_links |= sandbox.used_links(tree)
    counts = _may_count(work)
    return Compiled(
        subject=source.subject,
        html=body,
        text=text,
        sender_name=source.sender_name,
        sender_email=source.sender_email,
        reply_to=source.reply_to,
        preheader=source.preheader,
        name=source.name,
        track_opens=source.track_opens and counts,
        track_clicks=source.track_clicks and counts,
        links=tuple(work.links),
        used_links=tuple(sorted(work.used_links)),
        warnings=tuple(work.warnings),
    )


def _may_count(work: _Work) -> bool:
    """Whether anything is counted: not in a frame without a way to refuse it, unless the campaign asks for it (R156).

    A campaign that asks is refused by the checks then, instead of going out without its figures.
    """
    if work.source.tracking_named or work.used_links & {"tracking", "preferences"}:
        return True
    work.warnings.append(
        "Nothing is counted, because the template has neither links.tracking nor links.preferences (R156)."
    )
    return False


def _internal_names(work: _Work) -> set[str]:
    return {"pixel__", *(f"link__{number}" for number in range(len(work.links)))}


def _check_files(work: _Work) -> None:
    source = work.source
    body, frame = unescape_jinja(source.body), unescape_jinja(source.frame.body)
    sandbox.parse(work.rich, body, source.body_file)
    frame_tree = sandbox.parse(work.rich, frame, work.frame_file, extra=("content", "preheader"))
    _require_slot(frame_tree, work.frame_file)
    if source.preheader and not any(
        node.name == "preheader" for node in frame_tree.find_all(nodes.Name)
    ):
        work.warnings.append(
            f"The template “{source.frame.name}” shows no preheader; its first line is the preview."
        )
    for entry, text in (("subject", source.subject), ("preheader", source.preheader)):
        try:
            sandbox.parse(work.plain, text, source.toml_file)
        except ContentError as error:
            error.field = entry
            raise
    if source.text is not None:
        sandbox.parse(work.plain, source.text, f"campaigns/{source.slug}/body.txt")
    text_file = f"templates/emails/{source.frame.name}/body.txt"
    _require_slot(
        sandbox.parse(work.plain, source.frame.text, text_file, extra=("content", "preheader")),
        text_file,
    )
    if source.body_format is BodyFormat.MJML and not work.is_mjml:
        raise ContentError(
            f"The template “{source.frame.name}” is HTML and can't hold MJML.",
            file=source.body_file,
        )


def _require_slot(tree: nodes.Template, file: str) -> None:
    found = [node for node in tree.find_all(nodes.Name) if node.name == "content"]
    if len(found) != 1:
        raise ContentError(
            "A template needs {{ content }} exactly once, where the campaign goes.", file=file
        )


def _content_markup(work: _Work, shield: Shield) -> str:
    source = work.source
    hidden = shield.hide(unescape_jinja(source.body), _constants(work.settings))
    if source.body_format is BodyFormat.MARKDOWN:
        hidden = markup.from_markdown(hidden, shield.statements, for_mjml=work.is_mjml)
        markup.check(hidden, source.body_file, mjml=work.is_mjml)
        return hidden
    markup.check(hidden, source.body_file, mjml=source.body_format is BodyFormat.MJML)
    if source.body_format is BodyFormat.HTML and work.is_mjml:
        return markup.section(markup.text_block(hidden))
    return hidden


def _page(work: _Work, shield: Shield, content: str) -> str:
    slots = _constants(work.settings) | {
        "content": content,
        "preheader": html.escape(shield.hide(work.source.preheader), quote=False),
    }
    whole = shield.hide(unescape_jinja(work.source.frame.body), slots)
    markup.check(whole, work.frame_file, mjml=work.is_mjml)
    placed = shield.place(whole)
    page = markup.to_html(placed, work.source.body_file) if work.is_mjml else placed
    page = markup.inlined(page, work.frame_file)
    lost = shield.lost(placed, page)
    if lost:
        raise ContentError(
            f"{lost[0]} stands where a mail can't keep it, such as between attributes; put it into text or a whole attribute.",
            file=work.source.body_file,
        )
    return page


def _constants(settings: Settings) -> dict[str, str]:
    # Colours go in before the tools run: CSS is read by them, and a word is not a colour.
    colour = settings.brand.colour
    return {"brand.colour": colour, "brand.on_colour": on_colour(colour)}


def _number_links(work: _Work, shield: Shield, page: str) -> str:
    def numbered(found: re.Match[str]) -> str:
        address = html.unescape(found["url"]).strip()
        if not _may_track(work, shield, address, _words_of(page, found)):
            return found[0]
        number = work.links.setdefault(address, len(work.links))
        return f"{found['open']}{found['quote']}lnk{number:05d}lnk{found['quote']}{found['rest']}"

    return _HREF.sub(numbered, page)


def _words_of(page: str, found: re.Match[str]) -> str:
    """What a link says, without its markup."""
    if found["tag"].lower() != "a":
        return ""
    inside = page[found.end() : found.end() + _WORDS_SEEN].partition("</a")[0]
    return _TAG.sub("", inside).strip()


def _may_track(work: _Work, shield: Shield, address: str, words: str) -> bool:
    expressions = shield.expressions(address)
    if expressions:
        if not all(_OWN_LINK.fullmatch(expression) for expression in expressions):
            work.warnings.append(
                f"The link {shield.reveal(address)} differs from person to person and is not counted."
            )
        return False
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise ContentError(
            f"The link {address} is not an address.", file=work.source.body_file
        ) from error
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        return False
    # Links to our own pages and to the privacy notice are never counted (R40), nor is one whose words are an
    # address, because leading elsewhere than it says is what phishing does (R162).
    own = (work.settings.public_url, work.settings.brand.privacy_url)
    return (
        address not in own
        and not address.startswith(own[0] + "/")
        and not _LOOKS_LIKE_ADDRESS.fullmatch(words)
    )


def _revealed(shield: Shield, page: str) -> str:
    return _NUMBERED.sub(lambda found: f"{{{{ link__{int(found[1])} }}}}", shield.reveal(page))


def _with_pixel(page: str) -> str:
    ends = [found.start() for found in _BODY_END.finditer(page)]
    where = ends[-1] if ends else len(page)
    # The last line has to be whole, so that the encoded part ends with a hard line break.
    return f"{page[:where]}{PIXEL}{page[where:]}".rstrip("\n") + "\n"


def _text_part(work: _Work, content: str, shield: Shield) -> str:
    source = work.source
    written = (
        shield.hide(source.text)
        if source.text is not None
        else _derived_text(work, content, shield)
    )
    slots = {"content": written.strip("\n"), "preheader": shield.hide(source.preheader)}
    return shield.reveal(shield.hide(source.frame.text, slots)).strip("\n") + "\n"


def _derived_text(work: _Work, content: str, shield: Shield) -> str:
    written = markup.to_text(_content_page(work, shield, content), shield.statements)
    try:
        # A condition around an attribute is gone from the text as a whole; half of one would show here.
        sandbox.parse(work.plain, shield.reveal(written), work.source.body_file)
    except ContentError as error:
        raise ContentError(
            "No text part can be made of this by itself; write one in body.txt.",
            file=work.source.body_file,
        ) from error
    return written


def _content_page(work: _Work, shield: Shield, content: str) -> str:
    if not work.is_mjml:
        return content
    page = markup.to_html(
        f"<mjml><mj-body>{shield.place(content)}</mj-body></mjml>", work.source.body_file
    )
    return shield.as_words(page)
