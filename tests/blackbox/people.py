"""Three thousand made-up people of many kinds, and what ought to become of each of them."""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIRST_NAMES = (
    "Ada",
    "Zoë",
    "Мария",
    "O’Neil",
    "",
    "李",
    'Anna "Nan"',
    "Jean,Luc",
    "<b>Bob</b>",
    "",
)
CITIES = ("Sofia", "Köln", "Łódź", "São Paulo", "東京", "Graz; Steiermark")
BAD_ADDRESSES = ("not-an-address", "two@at@example.org", "nodomain@", "a b@example.org", "x@y")
HEADER = ("email", "first_name", "city", "tracking", "consented_at", "note")


@dataclass(frozen=True)
class Person:
    """A line of the file, and why its person should not get the mail, if so."""

    email: str
    first_name: str
    city: str
    tracking: str
    note: str
    left_out: str | None = None

    @property
    def envelope(self) -> str:
        """The address as SMTP has it: the domain in ASCII."""
        local, _, domain = self.email.rpartition("@")
        return f"{local}@{domain.encode('idna').decode()}"

    @property
    def greeting(self) -> str:
        """What the mail calls them."""
        return self.first_name or "friend"


def consenting(count: int) -> list[Person]:
    """People who said yes, some with a reason against them that the tests then bring about."""
    dice = random.Random(20261122)
    return [_person(dice, number) for number in range(count)]


def _person(dice: random.Random, number: int) -> Person:
    domain = "example.org"
    local = f"person{number}"
    left_out = None
    if number % 100 == 7:
        left_out = "hard_bounce"
    elif number % 100 == 8:
        left_out = "topic"
    elif number % 300 == 9:
        domain, left_out = "blocked.example", "domain"
    elif number == 10:
        local, domain, left_out = "postmaster", "example.net", "role"
    elif number % 50 == 11:
        domain = "bücher.example"
    elif number % 400 == 12:
        local = f"иван{number}"
    elif number % 50 == 13:
        local = f"Mixed.Case+tag{number}"
    return Person(
        email=f"{local}@{domain}",
        first_name=dice.choice(FIRST_NAMES),
        city=dice.choice(CITIES),
        tracking=("yes", "no", "")[number % 3],
        note=f"canary-{number:05d}x",
        left_out=left_out,
    )


def write(path: Path, people: list[Person], bad: tuple[str, ...] = ()) -> None:
    """The file as an export from somewhere else might be."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(_rows(people))
        writer.writerows((address, "Nobody", "", "", "", "") for address in bad)


def _rows(people: list[Person]) -> Iterator[tuple[str, ...]]:
    for person in people:
        at = "2025-03-04T05:06:07+00:00"
        yield person.email, person.first_name, person.city, person.tracking, at, person.note
