"""Use cases of pictures: take one in, list them, serve them."""

import base64
import hashlib
import secrets
from collections.abc import Collection

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.media import queries, redrawing, rules
from prefcentre.media.models import Media, PictureKind
from prefcentre.media.redrawing import Drawn
from prefcentre.media.rules import CONTENT_TYPES, HEAVY, LARGEST_FILE

__all__ = [
    "CONTENT_TYPES",
    "HEAVY",
    "LARGEST_FILE",
    "Drawn",
    "Media",
    "PictureKind",
    "count",
    "describe",
    "draw",
    "hide",
    "keep",
    "page",
    "path_of",
    "served",
    "sizes",
    "url_of",
]


def draw(upload: bytes) -> Drawn:
    """An upload, drawn anew from its points; takes up to seconds, so no session may be open.

    Promises that nothing of the file as it came is left: no metadata, no script, no second file behind the picture
    (T39). Raises InvalidInput when it is too large or no picture.
    """
    if len(upload) > LARGEST_FILE:
        raise InvalidInput(
            f"This file has {len(upload) / 1_048_576:.1f} MB; {LARGEST_FILE // 1_048_576} MB are the most."
        )
    drawn = redrawing.redraw(upload)
    if len(drawn.data) > rules.LARGEST_PICTURE:
        raise InvalidInput(
            f"This picture has {len(drawn.data) / 1_048_576:.1f} MB even when drawn anew, too much for a mail. "
            "Make it smaller, or use JPEG."
        )
    return drawn


def keep(session: Session, context: Context, drawn: Drawn, file_name: str, by: str) -> Media:
    """Put a drawn picture into the library, under a name that tells nothing; the same picture is kept once."""
    sha256 = hashlib.sha256(drawn.data).hexdigest()
    present = queries.by_content(session, sha256)
    if present is not None:
        present.hidden_at = None
        session.add(present)
        return present
    token = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
    media = Media(
        name=f"{token}.{rules.ENDINGS[drawn.kind]}",
        title=rules.title_of(file_name),
        kind=drawn.kind,
        width=drawn.width,
        height=drawn.height,
        size=len(drawn.data),
        sha256=sha256,
        data=drawn.data,
        uploaded_at=context.clock.now(),
        uploaded_by=by,
    )
    session.add(media)
    session.flush()
    return media


def describe(session: Session, name: str, alt: str) -> str:
    """Say what a picture shows, for people who can't see it; returns what was kept. Raises NotFound."""
    kept = rules.one_line(alt, rules.LONGEST_ALT)
    if not queries.set_alt(session, name, kept):
        raise NotFound("There is no such picture.")
    return kept


def hide(session: Session, context: Context, name: str, *, hidden: bool = True) -> None:
    """Take a picture out of the library, or put it back. Mails that show it go on showing it. Raises NotFound."""
    if not queries.set_hidden(session, name, context.clock.now() if hidden else None):
        raise NotFound("There is no such picture.")


def page(session: Session, text: str = "", *, limit: int = 60, offset: int = 0) -> list[Media]:
    """Pictures of the library with this in their words, newest first; their octets are not read."""
    return queries.page(session, text, limit, offset)


def count(session: Session, text: str = "") -> int:
    """How many pictures of the library have this in their words."""
    return queries.count(session, text)


def served(session: Session, name: str) -> Media:
    """The picture at this address, hidden ones too, because mails show them. Raises NotFound."""
    found = queries.by_name(session, name) if rules.is_name(name) else None
    if found is None:
        raise NotFound("There is no such picture.")
    return found


def sizes(session: Session, names: Collection[str]) -> dict[str, int]:
    """How many octets the pictures at these addresses have."""
    return queries.sizes(session, names)


def path_of(name: str) -> str:
    """The path that a picture is served under."""
    return f"/m/{name}"


def url_of(context: Context, name: str) -> str:
    """The whole address of a picture, as mails show it."""
    return context.settings.public_url + path_of(name)
