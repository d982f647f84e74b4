"""Draws what new people are called by.

A file apart: it is chance, so no rule, and the process that reads an import's file needs it without any tables.
"""

import secrets
import struct

from prefcentre.lookup import LookupKeys
from prefcentre.subscribers import rules
from prefcentre.subscribers.rules import Identity


def draw(lookup: LookupKeys, count: int) -> list[Identity]:
    """Identities of people who come in together; their public ids share the upper half and rise."""
    group, numbers = secrets.randbits(31), set[int]()
    while len(numbers) < count:
        drawn = secrets.token_bytes(4 * (count - len(numbers)))
        numbers.update(number for (number,) in struct.iter_unpack(">I", drawn))
    public_ids = [rules.public_id(group, number) for number in sorted(numbers)]
    return [Identity(one, rules.consent_ref(lookup, one)) for one in public_ids]
