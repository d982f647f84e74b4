"""Keys that sign the messages of a benchmark with DKIM."""

import json
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Dkim = Literal["none", "rsa", "ed25519", "both"]

COUNTS: dict[Dkim, int] = {"none": 0, "rsa": 1, "ed25519": 1, "both": 2}
"""How many signatures a message gets."""

_DOMAIN = "mail.example.com"


def settings(folder: Path, dkim: Dkim) -> dict[str, str]:
    """The variables that make a process sign with keys of a folder, where they are made at the first time."""
    names = {"none": [], "both": ["rsa", "ed25519"]}.get(dkim, [dkim])
    if not names:
        return {}
    keys = [
        {"domain": _DOMAIN, "selector": name, "key_file": str(_write(folder, name))}
        for name in names
    ]
    return {"PREFCENTRE_DKIM": json.dumps(keys)}


def _write(folder: Path, name: str) -> Path:
    path = folder / f"{name}.pem"
    if path.exists():
        return path
    key = generate_private_key(65537, 2048) if name == "rsa" else Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path
