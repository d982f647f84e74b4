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
    take_file,
    unrestrict,
    withdraw,
)
from prefcentre.people.person import PersonView, Standing, as_file, entries_of, get, view
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
    "as_file",
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
    "take_file",
    "unrestrict",
    "view",
    "withdraw",
]
