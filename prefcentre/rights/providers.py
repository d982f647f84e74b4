"""The packages that keep something about people in tables of their own, and answer for it themselves.

A file apart, because it is a list: whoever adds a package with people in it adds one line here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from prefcentre.context import Context
from prefcentre.feedback import service as feedback
from prefcentre.rights.places_queries import Section
from prefcentre.surveys import service as surveys

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Provider:
    """What a package answers for: its tables, everything that it holds about somebody, and forgetting it."""

    section: Section
    tables: frozenset[str]
    held_about: Callable[[Session, Context, int], Mapping[str, Rows]]
    forget: Callable[[Session, Context, int], object]


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        Section.RETURNS,
        frozenset({"feedback_event", "inbound_message"}),
        lambda session, _, number: feedback.held_about(session, number),
        lambda session, _, number: feedback.forget(session, number),
    ),
    Provider(
        Section.ANSWERS,
        frozenset({"survey_answer"}),
        lambda session, _, number: surveys.held_about(session, number),
        lambda session, _, number: surveys.forget(session, number),
    ),
)
