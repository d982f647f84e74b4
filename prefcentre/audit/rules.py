"""What an account of an act may say."""

import re

_ADDRESS = re.compile(r"\S+@\S+")


def without_addresses(note: str) -> str:
    """A note with every address in it masked, because it outlives the person's erasure (R179)."""
    return _ADDRESS.sub("•••", note.strip())
