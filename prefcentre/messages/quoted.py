"""Quoted-printable in pieces: each piece starts and ends at the start of a line, so pieces can be joined freely.

This is a file of its own because both the templates and the headers' neighbours need it: static text is encoded
once for a campaign, and only values are encoded for a recipient (R13; measured at a tenth of encoding it all).
"""

import binascii
import re

_LINE = 76
# A value of these letters is its own encoding: no "=", no double blanks, nothing at the end that may be lost.
_PLAIN = re.compile(r"[!-<>-~]+(?: [!-<>-~]+)*")
_DOT = ord(".")
SOFT_BREAK = "=\r\n"


def encode(text: str) -> str:
    """One piece, with CRLF line ends, of at most 76 octets a line, no line beginning with a dot."""
    if not text:
        return ""
    if len(text) < _LINE and text[0] != "." and _PLAIN.fullmatch(text):
        return text + SOFT_BREAK
    octets = binascii.b2a_qp(text.encode(), istext=True)
    # No blank beside another one and no tabs: that is the form that DKIM hashes, so a signer has nothing to change.
    octets = octets.replace(b"\t", b"=09").replace(b"  ", b" =20")
    if len(octets) < _LINE and b"\n" not in octets and octets[0] != _DOT:
        return octets.decode("ascii") + SOFT_BREAK
    lines = octets.split(b"\n")
    if lines[-1]:
        # The last line continues in the next piece.
        lines[-1] += b"="
        lines.append(b"")
    return b"\r\n".join(_fitted(line) for line in lines).decode("ascii")


def _fitted(line: bytes) -> bytes:
    # A dot that begins a line would have to be doubled in SMTP; spelled out it never has to.
    if line.startswith(b"."):
        line = b"=2E" + line[1:]
    if len(line) <= _LINE:
        return line
    cut = _LINE - 1
    while b"=" in line[cut - 2 : cut]:
        cut -= 1
    return line[:cut] + b"=\r\n" + _fitted(line[cut:])
