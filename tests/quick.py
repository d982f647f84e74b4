"""What a process of the program makes once is made once for all tests of a process, too.

Each test has databases and applications of its own, so without this a third of the time went into writing the same SQL
and the same code for addresses anew, thousands of times. Nothing here changes what any of it does.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from prefcentre import db

_dialects: dict[str, sa.Dialect] = {}
_statements: dict[str, LRUCache[Any, Any]] = {}


def make_things_once() -> None:
    """For all tests of this process."""
    for name in ("_sqlite_engine", "_postgresql_engine"):
        setattr(db, name, _with_known_statements(getattr(db, name)))
    setattr(Rule, "_compile_builder", _when_needed(Rule._compile_builder))  # noqa: B010 - mypy


def _with_known_statements(make: Callable[..., sa.Engine]) -> Callable[..., sa.Engine]:
    """Engines that share the statements that SQLAlchemy has written."""

    def made(*arguments: Any) -> sa.Engine:
        engine = make(*arguments)
        name = engine.dialect.name
        engine._compiled_cache = _statements.setdefault(name, LRUCache(2_000))
        if name in _dialects:
            engine.dialect = _dialects[name]
            return engine

        # Only one that has asked a server what it can do may serve the others.
        @sa.event.listens_for(engine, "connect")
        def keep(*_: object) -> None:
            _dialects.setdefault(name, engine.dialect)

        return engine

    return made


def _when_needed(compile_builder: Callable[..., Any]) -> Callable[..., Any]:
    """An application has hundreds of addresses, and a test makes a handful."""

    def later(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:  # noqa: FBT001, FBT002
        made: list[Callable[..., Any]] = []

        def build(self: Rule, *arguments: Any, **values: Any) -> Any:
            if not made:
                made.append(compile_builder(rule, append_unknown))
            return made[0](self, *arguments, **values)

        return build

    return later
