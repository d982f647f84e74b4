"""Accounts as Flask-Security wants to have them: found, changed and written through one session of a request.

A file of its own because it is the only place that knows how that library talks to a database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import sqlalchemy as sa
from flask_security import SQLAlchemySessionUserDatastore
from sqlmodel import Session

from prefcentre.db import Database, told_plainly
from prefcentre.staff.models import StaffPasskey, StaffUser

_current: ContextVar[Session | None] = ContextVar("staff_session", default=None)


class _Routed(Session):
    """Reads where reading waits for nobody, and takes the writer only when something changes."""

    def __init__(self, database: Database) -> None:
        super().__init__(expire_on_commit=False)
        self._database = database

    def get_bind(self, *args: Any, **kwargs: Any) -> sa.Engine:
        clause = kwargs.get("clause")
        writes = self._flushing or isinstance(clause, sa.Update | sa.Delete | sa.Insert)
        return self._database.writer if writes else self._database.reader


class _Door:
    """The session of this request, under the name that the library asks for."""

    def __getattr__(self, name: str) -> Any:
        session = _current.get()
        if session is None:
            raise RuntimeError("Accounts are asked for outside of a request.")
        return getattr(session, name)


class Datastore(SQLAlchemySessionUserDatastore):
    """Accounts and passkeys; the library's own roles are not used."""

    def __init__(self, database: Database) -> None:
        super().__init__(_Door(), StaffUser, None, StaffPasskey)  # type: ignore[arg-type]
        self._database = database

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """A session for one request. What the library did not commit is thrown away."""
        with told_plainly(self._database.writer), _Routed(self._database) as session:
            before = _current.set(session)
            try:
                yield session
            finally:
                _current.reset(before)
