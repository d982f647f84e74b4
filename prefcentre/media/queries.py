"""All SQL on pictures."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from prefcentre.media.models import Media


def by_name(session: Session, name: str) -> Media | None:
    """The picture at this address, with its octets."""
    return session.exec(select(Media).where(Media.name == name)).first()


def by_content(session: Session, sha256: str) -> Media | None:
    """The picture that was made of the same upload."""
    return session.exec(select(Media).where(Media.sha256 == sha256)).first()


def page(session: Session, text: str, limit: int, offset: int) -> list[Media]:
    """Pictures of the library, newest first, without their octets."""
    wanted = select(Media).where(*_shown(text)).order_by(col(Media.id).desc())
    # The octets of a page of pictures are not needed to list them.
    return list(
        session.exec(wanted.limit(limit).offset(offset).options(defer(Media.data, raiseload=True)))  # type: ignore[arg-type]
    )


def count(session: Session, text: str) -> int:
    """How many pictures the library shows."""
    return int(
        session.execute(
            sa.select(sa.func.count()).select_from(Media).where(*_shown(text))
        ).scalar_one()
    )


def sizes(session: Session, names: Collection[str]) -> dict[str, int]:
    """How many octets the pictures at these addresses have."""
    rows = session.execute(
        sa.select(col(Media.name), col(Media.size)).where(col(Media.name).in_(names))
    )
    return dict(rows.all())


def set_hidden(session: Session, name: str, at: datetime | None) -> bool:
    """Take a picture out of the library or put it back; whether there is one."""
    changed = session.execute(sa.update(Media).where(col(Media.name) == name).values(hidden_at=at))
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def set_alt(session: Session, name: str, alt: str) -> bool:
    """Say anew what a picture shows; whether there is one."""
    changed = session.execute(sa.update(Media).where(col(Media.name) == name).values(alt=alt))
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def _shown(text: str) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [col(Media.hidden_at).is_(None)]
    if text:
        found.append(
            sa.or_(
                col(Media.title).icontains(text, autoescape=True),
                col(Media.alt).icontains(text, autoescape=True),
            )
        )
    return found
