"""What no form of ours sends and no database takes: refused before any view sees it, so that it is nobody's fault but theirs."""

from collections.abc import Iterable
from typing import Any

from flask import Flask, abort, request
from werkzeug.datastructures import MultiDict
from werkzeug.routing import IntegerConverter, Map

LARGEST = 2**63 - 1
"""A whole number of a database."""

_LAST_PAGE = 10**9
_NUL = "\x00"
_NO_TEXT = "This was refused, because it holds a character that is no text (NUL). Take it out and send it again."


class Whole(IntegerConverter):
    """A whole number in an address; one that no row can have is no address of ours."""

    def __init__(self, url_map: Map, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max", LARGEST)
        super().__init__(url_map, *args, **kwargs)


def whole(text: str) -> int:
    """A whole number as forms and addresses say it. Raises ValueError for one that no row can have."""
    found = int(text)
    if abs(found) > LARGEST:
        raise ValueError("too large")
    return found


def page_number(said: MultiDict[str, str]) -> int:
    """Which page of a list is asked for, the first when that is not said."""
    return max(1, min(said.get("page", 1, type=whole), _LAST_PAGE))


def refuse_in_addresses(app: Flask) -> None:
    """For an application's addresses and what stands behind their question mark; before its views are added."""
    app.url_map.converters["int"] = Whole

    @app.before_request
    def look() -> None:
        if _NUL in request.path:
            abort(404)
        _refuse(request.args)


def refuse_in_forms(app: Flask) -> None:
    """For what forms bring; after whatever says how large they may be."""
    app.before_request(refuse_form)


def refuse_form() -> None:
    """Look at the form of this request."""
    _refuse(request.form)
    for file in request.files.values():
        if _NUL in (file.filename or ""):
            abort(400, _NO_TEXT)


def _refuse(said: MultiDict[str, str]) -> None:
    if any(_NUL in text for text in _texts(said)):
        abort(400, _NO_TEXT)


def _texts(said: MultiDict[str, str]) -> Iterable[str]:
    for name, values in said.lists():
        yield name
        yield from values
