"""Statements of the sender's inner loop, compiled once; a file of its own beside ``db``, which says what a database is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, cast

import sqlalchemy as sa
from sqlmodel import Session


class Prepared:
    """A statement that is compiled once and then given to the driver as it is.

    For the sender's inner loop, where SQLAlchemy's own way costs several times what the statement does. ``build`` is
    asked once for each kind of database, with whether it is SQLite. Values that never change between calls are kept
    from the first call; lists that are bound by ``IN`` must keep their length.
    """

    def __init__(self, build: Callable[[bool], sa.Executable]) -> None:
        self._build = build
        self._made: dict[str, _Compiled] = {}

    def execute(self, session: Session, values: Mapping[str, Any]) -> Any:
        """Run it in the session's transaction; returns the driver's cursor."""
        made = self._for(session, values)
        cursor = session.connection().connection.cursor()
        cursor.execute(made.sql, made.bind(values))
        return cursor

    def execute_many(
        self, session: Session, rows: Sequence[Mapping[str, Any]], **common: Any
    ) -> None:
        """Run it for each row, all with the same ``common`` values."""
        made = self._for(session, {**common, **rows[0]})
        cursor = session.connection().connection.cursor()
        cursor.executemany(made.sql, made.bind_all(rows, common))

    def _for(self, session: Session, values: Mapping[str, Any]) -> "_Compiled":
        dialect = session.get_bind().dialect
        made = self._made.get(dialect.name)
        if made is None:
            made = self._made[dialect.name] = _Compiled(
                self._build(dialect.name == "sqlite"), dialect, values
            )
        return made


class _Compiled:
    """A statement's text for one driver, and how values are brought into its form."""

    def __init__(
        self, statement: sa.Executable, dialect: sa.Dialect, values: Mapping[str, Any]
    ) -> None:
        compiled: Any = cast("Any", statement).compile(dialect=dialect)
        state = compiled.construct_expanded_state(values)
        self.sql: str = state.statement
        self._in_order: Callable[[Mapping[str, Any]], Any] = (
            dict if state.positiontup is None else _picker(state.positiontup)
        )
        self._expanded: Mapping[str, list[str]] = state.parameter_expansion
        self._processors = [
            (name, process)
            for name, process in compiled._bind_processors.items()  # noqa: SLF001 - has no public name.
            if callable(process)
        ]
        self._fixed = self._in_drivers_form(
            {name: value for name, value in state.parameters.items() if name not in values}
        )

    def bind(self, values: Mapping[str, Any]) -> Any:
        return self._in_order(self._fixed | self._in_drivers_form(values))

    def bind_all(self, rows: Sequence[Mapping[str, Any]], common: Mapping[str, Any]) -> list[Any]:
        shared = self._fixed | self._in_drivers_form(common)
        processors = [(name, process) for name, process in self._processors if name in rows[0]]
        return [
            self._in_order({**shared, **(_processed(row, processors) if processors else row)})
            for row in rows
        ]

    def _in_drivers_form(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found = _processed(values, self._processors)
        for name, expanded in self._expanded.items():
            if name in found:
                found.update(zip(expanded, found.pop(name), strict=True))
        return found


def _processed(
    values: Mapping[str, Any], processors: Sequence[tuple[str, Callable[[Any], Any]]]
) -> dict[str, Any]:
    found = dict(values)
    for name, process in processors:
        if (value := found.get(name)) is not None:
            found[name] = process(value)
    return found


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


@contextmanager
def sent_together(session: Session) -> Iterator[None]:
    """Within this block PostgreSQL is sent prepared statements without waiting for the answers of those before.

    An answer is waited for when it is read, and all of them at the end, where an error of any comes out. SQLAlchemy's
    own statements can't be run inside. SQLite answers at once anyway.
    """
    if session.get_bind().dialect.name == "sqlite":
        yield
        return
    with session.connection().connection.cursor().connection.pipeline():
        yield
