"""Use cases on people for staff: everything other packages may ask of people."""

from prefcentre.people.acting import (
    WAYS,
    Desk,
    Grant,
    edit,
    grant,
    lift,
    mail_link,
    pause,
    restrict,
    suppress,
    unrestrict,
    withdraw,
)
from prefcentre.people.person import PersonView, Standing, entries_of, get, view
from prefcentre.people.rules import Order
from prefcentre.people.search import NEVER_ASKED, Found, People, Search, find_few, search

__all__ = [
    "NEVER_ASKED",
    "WAYS",
    "Desk",
    "Found",
    "Grant",
    "Order",
    "People",
    "PersonView",
    "Search",
    "Standing",
    "edit",
    "entries_of",
    "find_few",
    "get",
    "grant",
    "lift",
    "mail_link",
    "pause",
    "restrict",
    "search",
    "suppress",
    "unrestrict",
    "view",
    "withdraw",
]
