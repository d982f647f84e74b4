"""Faults and offers as they are written on the command line."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from prefcentre.testing.behaviour import OF_CONNECTIONS, Fault, Offer, Stage, Trouble

FORM = "STAGE:FAULT[:match=PATTERN][:first=N][:after=K][:new=SECONDS][:rate=SHARE]"
_OFFERS = {
    "pipelining": "pipelining",
    "smtputf8": "smtputf8",
    "8bitmime": "eightbitmime",
    "dsn": "dsn",
    "starttls": "starttls",
    "tls": "tls",
}
_SIZE, _AUTH = "size", "auth"
_Name = TypeVar("_Name", Stage, Trouble)
OFFERS = (*_OFFERS, _SIZE, _AUTH)


def read_fault(text: str) -> Fault:
    """A fault from ``rcpt:4xx:match=*@example.org:rate=0.05``. Raises ValueError in words."""
    stage_name, _, rest = text.partition(":")
    trouble_name, *conditions = rest.split(":")
    stage = _one_of(Stage, stage_name, "stage")
    fault = Fault(stage, _one_of(Trouble, trouble_name, "fault"))
    for condition in conditions:
        _add(fault, condition)
    return fault


def read_offer(names: Iterable[str], login: str | None = None) -> Offer:
    """What the server offers, by names as in ``OFFERS``. Raises ValueError in words."""
    wanted = {name.strip().lower() for name in names} - {""}
    if unknown := sorted(wanted - set(OFFERS)):
        raise ValueError(f"unknown offer {', '.join(unknown)}; there are {', '.join(OFFERS)}")
    offer = Offer(**{field: name in wanted for name, field in _OFFERS.items()})  # type: ignore[arg-type]
    if _SIZE not in wanted:
        offer = replace(offer, size=0)
    if login or _AUTH in wanted:
        user, _, password = (login or "user:password").partition(":")
        offer = replace(offer, login=(user, password))
    return offer


def _add(fault: Fault, condition: str) -> None:
    name, _, value = condition.partition("=")
    if name == "match":
        fault.who = value
    elif name == "first" and fault.stage in OF_CONNECTIONS:
        fault.connections = int(value)
    elif name == "first":
        fault.times = int(value)
    elif name == "after":
        fault.after = int(value)
    elif name == "new":
        fault.new_for = float(value)
    elif name == "rate":
        fault.rate = float(value)
    else:
        raise ValueError(f"unknown condition {name!r}; the form is {FORM}")


def _one_of(kind: type[_Name], text: str, what: str) -> _Name:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"unknown {what} {text!r}; there are {', '.join(kind)}") from None
