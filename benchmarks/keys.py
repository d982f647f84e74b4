"""Keys that sign the messages of a benchmark with DKIM."""

import json
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Dkim = Literal["none", "rsa", "ed25519", "both"]

_DOMAIN = "mail.example.com"


def settings(folder: Path, dkim: Dkim) -> dict[str, str]:
    """The variables that make a process sign with new keys, which are written into a folder."""
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
    key = generate_private_key(65537, 2048) if name == "rsa" else Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path
