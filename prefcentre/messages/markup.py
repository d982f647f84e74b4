"""Markdown, MJML and HTML: checked before the tools see them, turned into one another, made into plain text.

This is a file of its own because it holds every markup library; nothing in it knows campaigns or people.
"""

import html
import re
from collections.abc import Collection
from html.parser import HTMLParser

import css_inline
from inscriptis import get_text
from lxml import html as lxml_html
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mjml import mjml2html

from prefcentre.errors import ContentError

MAX_BYTES = 512 * 1024
MAX_DEPTH = 200
_VOID = frozenset(
    {
        *(
            "area",
            "base",
            "br",
            "col",
            "embed",
            "hr",
            "img",
            "input",
            "link",
            "meta",
            "source",
            "track",
            "wbr",
        ),
        *("mj-divider", "mj-image", "mj-spacer"),
    }
)
_MJML = frozenset(
    {
        *(
            "mjml",
            "mj-head",
            "mj-body",
            "mj-attributes",
            "mj-all",
            "mj-class",
            "mj-breakpoint",
            "mj-preview",
        ),
        *(
            "mj-style",
            "mj-title",
            "mj-raw",
            "mj-button",
            "mj-column",
            "mj-divider",
            "mj-group",
            "mj-hero",
        ),
        *(
            "mj-image",
            "mj-navbar",
            "mj-navbar-link",
            "mj-section",
            "mj-spacer",
            "mj-table",
            "mj-text",
        ),
        "mj-wrapper",
    }
)
_REFUSED = {
    "mj-include": "other files can't be included",
    "mj-font": "fonts from other companies' servers tell them who reads; use fonts that people have",
    "mj-social": "its icons come from another company's server; use mj-image with your own",
    "mj-carousel": "its arrows come from another company's server and few mail programs show it",
    "mj-accordion": "its icons come from another company's server and few mail programs show it",
    "mj-html-attributes": "it is not supported",
    **dict.fromkeys(
        ("script", "iframe", "object", "embed", "form", "base", "applet", "frame"),
        "mail programs remove it, and it makes the mail look dangerous",
    ),
}
_TABLE_TAG = re.compile(r"<(/?)(?:table|tbody|thead|tfoot|tr|td|th|center)\b", re.IGNORECASE)
_NOT_TEXT = re.compile(
    r"<!--(?!jnj).*?-->|<head\b.*?</head>|<style\b.*?</style>", re.DOTALL | re.IGNORECASE
)
# A parser puts the body of a table around its rows only, and would leave the head of a loop outside.
_LOOP_BEFORE_ROWS = re.compile(
    r"(<table\b[^>]*>)(\s*(?:<!--jnj\d{5}jnj-->\s*)+)(?=<tr\b)", re.IGNORECASE
)
_BLANK_LINES = re.compile(r"\n{3,}")
_BETWEEN_CELLS = re.compile(r"</t[dh]\s*>\s*<t[dh]\b[^>]*>", re.IGNORECASE)
_ALONE_WITH_GAP = re.compile(r"^(jnj\d{5}jnj)\n+", re.MULTILINE)
_ALONE_ON_LINE = re.compile(r"^[ \t]*(jnj\d{5}jnj)[ \t]*$", re.MULTILINE)
_SINGLE_WORD = re.compile(r"<p>(jnj\d{5}jnj)</p>")

_INLINER = css_inline.CSSInliner(
    inline_style_tags=True, keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False
)
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def check(source: str, file: str, *, mjml: bool) -> None:
    """Refuse what would crash the tools or should not be mailed. Raises ContentError with the line.

    The Rust parsers overflow their stack on deep nesting and take the process with them, so depth and size are
    counted here first.
    """
    if len(source.encode()) > MAX_BYTES:
        raise ContentError(f"This is larger than {MAX_BYTES // 1024} KB.", file=file)
    if source.rfind("<!--") > source.rfind("-->"):
        raise ContentError(
            "A comment is not closed.",
            file=file,
            line=source.count("\n", 0, source.rfind("<!--")) + 1,
        )
    checker = _Checker(file, mjml=mjml)
    checker.feed(source)
    checker.close()
    checker.finish()


class _Checker(HTMLParser):
    def __init__(self, file: str, *, mjml: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._file, self._mjml = file, mjml
        self._open: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_tag(tag, attrs)
        if tag not in _VOID:
            self._open.append((tag, self.getpos()[0]))
            if len(self._open) > MAX_DEPTH:
                self._fail(f"elements are nested more than {MAX_DEPTH} deep.")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_tag(tag, attrs)
        # In HTML the slash of <div/> means nothing, so the element stays open.
        if not self._mjml:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        names = [name for name, _ in self._open]
        if tag in names:
            last = len(names) - 1 - names[::-1].index(tag)
            self._refuse_unclosed(last + 1)
            del self._open[last:]
        elif self._mjml and tag.startswith("mj") and tag not in _VOID:
            self._fail(f"</{tag}> closes nothing.")

    def finish(self) -> None:
        """What is still open at the end."""
        self._refuse_unclosed(0)

    def _refuse_unclosed(self, first: int) -> None:
        if not self._mjml:
            return
        for tag, line in self._open[first:]:
            raise ContentError(f"<{tag}> is not closed.", file=self._file, line=line)

    def _check_tag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _REFUSED:
            self._fail(f"<{tag}> can't be used: {_REFUSED[tag]}.")
        if tag.startswith("mj") and tag not in _MJML:
            self._fail(f"<{tag}> is not an MJML element that prefcentre knows.")
        for name, value in attrs:
            compact = "".join((value or "").split()).lower()
            if name.startswith("on") or compact.startswith(
                ("javascript:", "vbscript:", "data:text/html")
            ):
                self._fail(f"<{tag} {name}=…> runs a script; mails can't.")
            if name == "http-equiv" and compact == "refresh":
                self._fail("a mail can't send its reader elsewhere.")

    def _fail(self, message: str) -> None:
        raise ContentError(message[0].upper() + message[1:], file=self._file, line=self.getpos()[0])


def from_markdown(shielded: str, statements: Collection[str], *, for_mjml: bool) -> str:
    """Markdown as MJML sections or as HTML; ``statements`` are the words that stand for what prints nothing.

    A paragraph that is one bold link and nothing else becomes a button.
    """
    # A lone "{% for … %}" must not become part of the list or paragraph beside it.
    apart = _ALONE_ON_LINE.sub(
        lambda at: f"\n{at[1]}\n" if at[1] in statements else at[0], shielded
    )
    blocks = _blocks(_MARKDOWN.parse(apart))
    if not for_mjml:
        return "".join(_rendered(block, statements) for block in blocks)
    parts: list[str] = []
    words: list[str] = []
    for block in blocks:
        button = _button(block)
        if button:
            parts += [*_texts(words, statements), button]
            words = []
        else:
            words.append(_rendered(block, statements))
    return section("".join([*parts, *_texts(words, statements)]))


def section(columns: str) -> str:
    """One full-width column in the frame's own style."""
    return f'<mj-section mj-class="content"><mj-column>{columns}</mj-column></mj-section>'


def text_block(markup: str) -> str:
    """A text in the frame's own style."""
    return f'<mj-text mj-class="content-text">{markup}</mj-text>'


def to_html(mjml: str, file: str) -> str:
    """MJML as HTML that fetches nothing. Raises ContentError."""
    try:
        return mjml2html(mjml, disable_comments=False, fonts={}, social_icon_origin="")
    except ValueError as error:
        raise ContentError(f"This MJML can't be read: {error}.", file=file) from error


def inlined(markup: str, file: str) -> str:
    """HTML with its CSS on the elements; rules for dark mode and phones stay in the head. Raises ContentError."""
    try:
        return _INLINER.inline(_LOOP_BEFORE_ROWS.sub(r"\1<tbody>\2", markup))
    except css_inline.InlineError as error:
        raise ContentError(f"The CSS can't be read: {error}.", file=file) from error


def to_text(markup: str, statements: Collection[str]) -> str:
    """Markup as plain text that a person would enjoy reading: addresses in angle brackets behind their words."""
    # Cells that stand side by side are data; layout stacks its columns.
    rows = _BETWEEN_CELLS.sub(" | ", _NOT_TEXT.sub("", markup))
    plain = _TABLE_TAG.sub(lambda found: f"<{found[1]}div", rows)
    tree = lxml_html.fromstring(f"<html><body>{plain}</body></html>")
    for picture in tree.iter("img"):
        picture.tail = f"{picture.get('alt', '')}{picture.tail or ''}"
    for link in tree.iter("a"):
        _spell_out(link)
    lines = get_text(lxml_html.tostring(tree, encoding="unicode")).splitlines()
    # Layout leaves indents behind; lists keep their stars.
    text = _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in lines)).strip() + "\n"
    # A line that prints nothing must not leave a gap.
    return _ALONE_WITH_GAP.sub(lambda at: at[1] if at[1] in statements else at[0], text)


def _spell_out(link: lxml_html.HtmlElement) -> None:
    address, words = link.get("href", ""), (link.text_content() or "").strip()
    if address.startswith("#") or not address or address == words:
        return
    before = " " if words else ""
    link.tail = f"{before}<{address.removeprefix('mailto:')}>{link.tail or ''}"


def _blocks(tokens: list[Token]) -> list[list[Token]]:
    blocks: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            blocks.append([])
        blocks[-1].append(token)
    return blocks


def _button(block: list[Token]) -> str | None:
    if len(block) != 3 or block[0].type != "paragraph_open":
        return None
    inline = [token for token in block[1].children or [] if token.type != "text" or token.content]
    kinds = [token.type for token in inline]
    if kinds[:2] != ["strong_open", "link_open"] or kinds[-2:] != ["link_close", "strong_close"]:
        return None
    if kinds.count("link_open") != 1:
        return None
    label = _MARKDOWN.renderer.render(inline[2:-2], _MARKDOWN.options, {})
    address = html.escape(str(inline[1].attrs["href"]))
    return f'<mj-button mj-class="button" href="{address}">{label}</mj-button>'


def _texts(parts: list[str], statements: Collection[str]) -> list[str]:
    """One text of several paragraphs; statements between two buttons stand alone, so that they take no room."""
    if all(part in statements for part in parts):
        return parts
    return [text_block("".join(parts))]


def _rendered(block: list[Token], statements: Collection[str]) -> str:
    rendered = str(_MARKDOWN.renderer.render(block, _MARKDOWN.options, {}))
    # Markdown makes a paragraph of a lone statement; take the paragraph away.
    lone = _SINGLE_WORD.fullmatch(rendered.strip())
    return lone[1] if lone and lone[1] in statements else rendered
