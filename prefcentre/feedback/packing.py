"""Mails that came back are kept compressed: most are long copies of what we sent. Pure."""

import zlib

LARGEST = 2 * 1024 * 1024
"""What is longer is kept cut off: everything that a report says stands at its beginning."""


def pack(raw: bytes) -> bytes:
    """A mail as it is kept."""
    return zlib.compress(raw[:LARGEST], 6)


def unpack(kept: bytes) -> bytes:
    """A mail as it came; empty when the row was damaged."""
    try:
        return zlib.decompressobj().decompress(kept, LARGEST)
    except zlib.error:
        return b""
