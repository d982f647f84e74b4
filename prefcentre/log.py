"""Facts as one JSON object a line on standard error, with ids; names and addresses are never among them.

What is logged on purpose holds none. What others say (mail servers, libraries, errors) goes through ``masked``, and of
an error whose words may repeat a value only its kind and the places in the code are told.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any

import structlog

from prefcentre.errors import PrefcentreError

# Written to be wrong on the safe side: an "@" with anything around it is enough.
_ADDRESS = re.compile(
    r"""(?:"[^"\n]*"|[^\s<>()\[\]"',;:“”]+)(?:@|＠|%40)(?:\[[^\]\s]*\]|[^\s<>()\[\]"',;:“”]*)"""
)
_NAME_OF_ADDRESS = re.compile(r'"[^"\n]*"\s*(?=<[^<>\n]*@)')
_MASK = "(address)"
# Databases repeat rows, statements and values behind these words.
_VALUES = re.compile(r"\s*(?:DETAIL:|\[SQL:|\[parameters:).*", re.DOTALL)
# Their words are about servers, files and states, not about the values at hand; a kind is known by its name too,
# because this loads no database.
_SPEAKING: tuple[type[BaseException], ...] = (PrefcentreError, OSError, RuntimeError)
_SPEAKING_NAMES = {"OperationalError"}
_LONGEST_CHAIN, _LONGEST_TEXT = 5, 4_000

_facts: dict[str, Any] = {}


def start_log(process: str | None = None, *, quiet: bool = False) -> None:
    """Begin to log; ``quiet`` keeps to trouble, for somebody who sits at a terminal.

    With the name of a ``process`` every line says which one of many it comes from.
    """
    if process is not None:
        know(process=process, pid=os.getpid())
    level = logging.WARNING if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_facts,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tell_error,
            _mask_all,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Looked up for each line, because a command's standard error may be redirected between two of them.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    if not quiet:
        # Somebody at a terminal is better served by Python's own words.
        sys.excepthook = _crashed
        threading.excepthook = _crashed_in_thread
    root = logging.getLogger()
    if not any(isinstance(handler, Forwarder) for handler in root.handlers):
        root.addHandler(Forwarder(logging.WARNING))


def know(**facts: object) -> None:
    """Say these with every line of this process from now on, such as the number of a worker."""
    _facts.update(facts)


def masked(text: str) -> str:
    """A text of somebody else's without anything that looks like an address, and without a database's values."""
    text = _NAME_OF_ADDRESS.sub("", _VALUES.sub("", text[:_LONGEST_TEXT]))
    return _ADDRESS.sub(_MASK, text)


class Forwarder(logging.Handler):
    """What libraries log, in our form. The first line only: what follows shows objects, and with them values."""

    def emit(self, record: logging.LogRecord) -> None:
        if not structlog.is_configured():
            start_log()
        text, _, _ = record.getMessage().strip().partition("\n")
        structlog.get_logger().log(
            record.levelno,
            "library",
            logger=record.name,
            text=text,
            exc_info=record.exc_info if record.exc_info and record.exc_info[1] else None,
        )


def _crashed(
    _kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None
) -> None:
    if not isinstance(error, KeyboardInterrupt):
        structlog.get_logger().critical("crashed", exc_info=error)


def _crashed_in_thread(args: threading.ExceptHookArgs) -> None:
    _crashed(args.exc_type, args.exc_value, args.exc_traceback)


# --- processors, in the words that structlog calls them with -----------------------------------------


def _add_facts(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
    return _facts | dict(event)


def _tell_error(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
    given = event.pop("exc_info", None)
    found = given if isinstance(given, BaseException) else _error_of(given)
    if found is not None:
        event["exception"] = [_in_short(error) for error in _chain(found)]
    return event


def _mask_all(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
    return {name: _plain(value) for name, value in event.items()}


def _error_of(given: object) -> BaseException | None:
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _in_short(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    told: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, _SPEAKING) or kind.__name__ in _SPEAKING_NAMES:
        told["text"] = str(error)
    places = traceback.extract_tb(error.__traceback__)
    told["at"] = [f"{place.filename}:{place.lineno} {place.name}" for place in places]
    return told


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {masked(str(name)): _plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_plain(inner) for inner in value]
    return masked(str(value))
