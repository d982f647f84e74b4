"""A name that we signed says which mail is meant, in every spelling that comes back; nothing else does."""

import random

import pytest

from prefcentre.feedback.proving import mail_named
from prefcentre.tokens import Signer

SIGNER = Signer(["the key of this year"])
PATH, OWN = SIGNER.sign_delivery(7, 4_000_000_000)


@pytest.mark.parametrize(
    "spelled",
    [
        "<{own}@mail.example.com>",
        "{own}",
        " {OWN}@x ",
        "b-{path}@mail.example.com",
        "<B-{PATH}@M.EXAMPLE>",
        "{path}",
    ],
)
def test_our_names_are_known_in_every_spelling(spelled: str) -> None:
    text = spelled.format(own=OWN, OWN=OWN.upper(), path=PATH, PATH=PATH.upper())
    assert mail_named(SIGNER, ["", "nothing@example.com", text]) == (7, 4_000_000_000)


def test_five_hundred_forged_names_are_nobodys() -> None:
    chance = random.Random(1)
    for _ in range(500):
        wrong = list(chance.choice((PATH, OWN)))
        place = chance.randrange(len(wrong))
        wrong[place] = chance.choice([one for one in "0123456789abcdefg-" if one != wrong[place]])
        name = "".join(wrong)
        assert mail_named(SIGNER, [f"<{name}@mail.example.com>", f"b-{name}", name]) is None
