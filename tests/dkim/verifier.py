"""A second verifier, written from RFC 6376 and RFC 8463 alone: slow, plain, and without a line of ours or dkimpy's."""

import base64
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

Records = dict[str, str]


def tags(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.strip().strip(";").split(";"):
        name, value = part.split("=", 1)
        assert name.strip() not in found, f"{name} stands there twice"
        found[name.strip()] = re.sub(r"\s+", "", value)
    return found


def header_fields(data: bytes) -> list[bytes]:
    """Whole fields with their folds, from top to bottom."""
    head = data.split(b"\r\n\r\n", 1)[0]
    return re.split(rb"\r\n(?![ \t])", head)


def relaxed_field(field: bytes) -> bytes:
    name, value = field.split(b":", 1)
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b""))
    return name.rstrip(b" \t").lower() + b":" + value.strip(b" \t")


def relaxed_body(body: bytes) -> bytes:
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def signatures(data: bytes) -> list[dict[str, str]]:
    """The tags of every signature, from top to bottom."""
    fields = [field for field in header_fields(data) if field.lower().startswith(b"dkim-signature")]
    return [tags(field.split(b":", 1)[1].decode()) for field in fields]


def verdicts(data: bytes, records: Records) -> list[bool]:
    """Whether each signature holds, from top to bottom."""
    fields = header_fields(data)
    own = [field for field in fields if field.lower().startswith(b"dkim-signature")]
    return [_holds(field, fields, data.partition(b"\r\n\r\n")[2], records) for field in own]


def _holds(own: bytes, fields: list[bytes], body: bytes, records: Records) -> bool:
    found = tags(own.split(b":", 1)[1].decode())
    assert found["v"] == "1"
    assert found["c"] == "relaxed/relaxed"
    if base64.b64decode(found["bh"]) != hashlib.sha256(relaxed_body(body)).digest():
        return False
    left, signed = list(fields), b""
    for name in found["h"].split(":"):
        index = max(
            (i for i, field in enumerate(left) if field.split(b":")[0].lower() == name.encode()),
            default=None,
        )
        if index is not None:
            signed += relaxed_field(left.pop(index)) + b"\r\n"
    without = re.sub(rb"([;\s]b\s*=)[^;]*", rb"\1", own)
    return _is_signed(signed + relaxed_field(without), found, records)


def _is_signed(octets: bytes, found: dict[str, str], records: Records) -> bool:
    record = tags(records[f"{found['s']}._domainkey.{found['d']}"])
    public, signature = base64.b64decode(record["p"]), base64.b64decode(found["b"])
    try:
        if found["a"] == "ed25519-sha256":
            assert record["k"] == "ed25519"
            digest = hashlib.sha256(octets).digest()
            Ed25519PublicKey.from_public_bytes(public).verify(signature, digest)
        else:
            assert (found["a"], record["k"]) == ("rsa-sha256", "rsa")
            key = load_der_public_key(public)
            assert isinstance(key, RSAPublicKey)
            key.verify(signature, octets, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
