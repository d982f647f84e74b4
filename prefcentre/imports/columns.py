"""Finds out which column holds what, by its name, and lets a person say otherwise."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefcentre.errors import InvalidInput

PLAIN = ("name", "first_name", "last_name", "language", "timezone", "postal_address")
"""Fields whose text is kept in a column of the subscriber."""

ATTRIBUTE = "attributes."

# How columns are called, in lower case without spaces and punctuation; the better name first, because a
# file may have two, such as Mailchimp's times of sign-up and of confirmation.
_NAMES: dict[str, str] = {
    "email": "email emailaddress mail mailaddress emailadresse adresseemail courriel correo correoelectronico "
    "имейл емейл електроннапоща",
    "phone": "phone phonenumber telephone telephonenumber mobile mobilephone mobilenumber telefon telefonnummer "
    "handynummer téléphone telefono teléfono телефон",
    "name": "name fullname displayname nomcomplet nombre nombrecompleto vollständigername име",
    "first_name": "firstname fname givenname vorname prénom prenom собственоиме",
    "last_name": "lastname lname surname familyname nachname nom apellido apellidos фамилия",
    "language": "language lang locale sprache langue idioma език",
    "timezone": "timezone zeitzone",
    "postal_address": "postaladdress address anschrift postanschrift adresse dirección direccion адрес",
    "tracking": "tracking",
    "consented_at": "consentedat consenttime consentdate confirmtime confirmedat optintime optindate optinat",
    "consent_ip": "consentip confirmip optinip",
    "status": "status subscriptionstatus subscriberstatus memberstatus",
    "unsubscribed": "unsubscribed unsubscribedat unsubtime cleantime optouttime optoutdate optedout",
    "attributes": "attributes",
}
_RANKED = {
    name: (field, rank)
    for field, names in _NAMES.items()
    for rank, name in enumerate(names.split())
}
FIELDS = tuple(_NAMES)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where everything stands: for each field its columns, the first with a value counting, and the attributes."""

    count: int
    fields: Mapping[str, tuple[int, ...]]
    attributes: tuple[tuple[int, str], ...]
    told: Mapping[str, str | None]

    def of(self, field: str) -> tuple[int, ...]:
        """The columns of a field, best first."""
        return self.fields.get(field, ())


def settle(header: Sequence[str], wanted: Mapping[str, str]) -> Columns:
    """What each column becomes; ``wanted`` is what a person said (an empty field drops the column).

    Raises InvalidInput when a name is unknown or when nothing tells who a line is about.
    """
    said = _said(header, wanted)
    taken = set(said.values())
    found: dict[int, str | None] = {}
    for place, name in enumerate(header):
        found[place] = said[place] if place in said else _guess(name, taken)
    columns = _columns(header, found)
    if not columns.of("email") and not columns.of("phone"):
        raise InvalidInput(_nobody(header))
    return columns


def _said(header: Sequence[str], wanted: Mapping[str, str]) -> dict[int, str | None]:
    places = {name.casefold(): place for place, name in enumerate(header)}
    said: dict[int, str | None] = {}
    for name, field in wanted.items():
        if name.strip().casefold() not in places:
            names = ", ".join(f"“{known}”" for known in header if known)
            raise InvalidInput(f"The file has no column “{name}”. Its columns are {names}.")
        if field and field in said.values():
            raise InvalidInput(f"Two columns can't both become {field}.")
        said[places[name.strip().casefold()]] = _known_field(field)
    return said


def _known_field(field: str) -> str | None:
    if not field:
        return None
    if field in FIELDS or (field.startswith(ATTRIBUTE) and len(field) > len(ATTRIBUTE)):
        return field
    raise InvalidInput(
        f"There is no field “{field}”. There are {', '.join(FIELDS)}, and {ATTRIBUTE}NAME for everything else."
    )


def _guess(name: str, taken: set[str | None]) -> str | None:
    if not name:
        return None
    field, _ = _RANKED.get(_bare(name), (None, 0))
    # What a person named for a field is the only column of it.
    return field if field and field not in taken else ATTRIBUTE + name


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _columns(header: Sequence[str], found: Mapping[int, str | None]) -> Columns:
    fields: dict[str, list[int]] = {}
    attributes: list[tuple[int, str]] = []
    for place, field in found.items():
        if field is None:
            continue
        if field.startswith(ATTRIBUTE):
            attributes.append((place, field.removeprefix(ATTRIBUTE)))
        else:
            fields.setdefault(field, []).append(place)
        if field == "status":
            # It decides about consent, but it may be somebody's word for something else, so it is kept as well.
            attributes.append((place, header[place]))
    ranked = {
        field: tuple(
            sorted(places, key=lambda place: _RANKED.get(_bare(header[place]), ("", 0))[1])
        )
        for field, places in fields.items()
    }
    told = {header[place] or f"column {place + 1}": field for place, field in found.items()}
    return Columns(len(header), ranked, tuple(attributes), told)


def _nobody(header: Sequence[str]) -> str:
    if any("@" in name for name in header):
        return (
            "The first line has to name the columns, such as “email”; this one looks like a person."
        )
    names = ", ".join(f"“{name[:80]}”" for name in header if name) or "no names"
    return (
        f"No column holds an e-mail address or a phone number ({names}). "
        "Name the columns in the first line, or say which it is with --map COLUMN=email."
    )
