"""Pieces of text for the editor: those that every installation has, and those that staff keep.

Part of the campaigns service; ``service`` offers these functions to other packages.
"""

from dataclasses import dataclass

from sqlmodel import Session

from prefcentre.campaigns import queries
from prefcentre.campaigns.models import BodyFormat, Snippet
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound

LONGEST_NAME, LONGEST_BODY = 64, 20_000


@dataclass(frozen=True)
class Piece:
    """A piece of text to put into a body; ``forms`` are those it fits, all when empty."""

    name: str
    body: str
    own: bool = False
    forms: tuple[BodyFormat, ...] = ()


_BUTTON_MD = "**[What the button does](https://www.example.com/)**"
_BUTTON_MJML = '<mj-button href="https://www.example.com/">What the button does</mj-button>'
_COLUMNS_MJML = """<mj-section>
  <mj-column>
    <mj-text>Left</mj-text>
  </mj-column>
  <mj-column>
    <mj-text>Right</mj-text>
  </mj-column>
</mj-section>"""
_SECTION_MJML = """<mj-section>
  <mj-column>
    <mj-text>
      <h2>Heading</h2>
      <p>Words.</p>
    </mj-text>
  </mj-column>
</mj-section>"""
SHIPPED = (
    Piece("Greeting with a fallback", "Hello {{ subscriber.first_name|default('there') }},"),
    Piece(
        "Only for one language", "{% if subscriber.language|default('en') == 'de' %}…{% endif %}"
    ),
    Piece("An own field with a fallback", "{{ subscriber.attributes.city|default('your city') }}"),
    Piece("Button", _BUTTON_MD, forms=(BodyFormat.MARKDOWN,)),
    Piece("Button", _BUTTON_MJML, forms=(BodyFormat.MJML,)),
    Piece("Section", _SECTION_MJML, forms=(BodyFormat.MJML,)),
    Piece("Two columns", _COLUMNS_MJML, forms=(BodyFormat.MJML,)),
    Piece("Line between", "---", forms=(BodyFormat.MARKDOWN,)),
    Piece("Line between", "<mj-divider />", forms=(BodyFormat.MJML,)),
)


def all_snippets(session: Session, form: BodyFormat | None = None) -> list[Piece]:
    """What can be put into a body of this form: staff's own pieces first, then those that ship."""
    own = [Piece(row.name, row.body, own=True) for row in queries.snippets(session)]
    shipped = [piece for piece in SHIPPED if form is None or not piece.forms or form in piece.forms]
    return [*own, *shipped]


def keep_snippet(session: Session, context: Context, name: str, body: str, by: str) -> None:
    """Keep a piece under a name, in place of what was there. Raises InvalidInput that says what is wrong."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidInput(f"Give the snippet a name of at most {LONGEST_NAME} letters.")
    if not body.strip() or len(body) > LONGEST_BODY:
        raise InvalidInput(f"Write the snippet's text, at most {LONGEST_BODY:,} letters.")
    row = queries.snippet(session, name) or Snippet(
        name=name, body="", updated_at=context.clock.now()
    )
    row.body = body.replace("\r\n", "\n").replace("\0", "")
    row.updated_at, row.updated_by = context.clock.now(), by
    session.add(row)
    session.flush()


def drop_snippet(session: Session, name: str) -> None:
    """Throw a piece away; campaigns that hold its text keep it. Raises NotFound."""
    row = queries.snippet(session, name)
    if row is None:
        raise NotFound(f"There is no snippet “{name}”.")
    session.delete(row)
    session.flush()
