"""How pages about campaigns are added: each with its gate, given the context, under the name of its function."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Concatenate, ParamSpec

from flask import Blueprint
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.web.admin.gates import Right, needs

P = ParamSpec("P")


def add(
    pages: Blueprint,
    context: Context,
    method: str,
    rule: str,
    view: Callable[Concatenate[Context, P], ResponseReturnValue],
    right: Right,
    *,
    fresh: bool = False,
) -> None:
    """Add one page or action; ``view`` gets the context first."""
    bound = wraps(view)(partial(view, context))
    # What ``wraps`` remembers has one argument more than a request brings.
    del bound.__wrapped__
    gated = needs(right, fresh=fresh)(bound)
    pages.add_url_rule(rule, view.__name__, gated, methods=[method])
