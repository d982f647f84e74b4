"""The mails that pages ask for: a fresh link, and the question at a new address whether it is the person's."""

from prefcentre.addresses import Address
from prefcentre.context import Context
from prefcentre.tokens import LinkToken


def links_to_address(context: Context, address: Address, ip: str | None) -> None:
    """Mail a fresh link to this address if it is known and there were not too many; nobody learns which."""


def links_to_person(context: Context, token: LinkToken, ip: str | None) -> None:
    """Mail a fresh link to whom an old one belongs; nobody learns whether there is such a person, or where they are."""


def ask_to_move(context: Context, token: LinkToken, address: Address, ip: str | None) -> None:
    """Ask at a new address whether it is the person's."""
