"""Reads SPF, DKIM and DMARC records and decides what they are worth (R45, R47, R48, R49)."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

MAX_SPF_LOOKUPS = 10
MIN_RSA_BITS = 1024
GOOD_RSA_BITS = 2048
ED25519_KEY_BYTES = 32
# The tree walk of RFC 9989 §4.10 asks at most this many names, so very deep ones jump.
_MAX_DMARC_NAMES = 8
_NO_LONGER_USED = ("pct", "rf", "ri")
_SPF_LOOKUPS = re.compile(r"[+?~-]?(include|a|mx|ptr|exists)(?=[:/]|$)|redirect=", re.IGNORECASE)
_SPF_NAMES = re.compile(r"(?:[+?~-]?include:|redirect=)(\S+)", re.IGNORECASE)


class Level(StrEnum):
    """How well a check went."""

    OK = "ok"  # Nothing to do.
    WARNING = "warning"  # Works, but something should be done.
    ERROR = "error"  # Will not work until something is done.


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found and, unless it is well, what to do."""

    name: str
    level: Level
    message: str


@dataclass(frozen=True)
class Verdict:
    """What one DNS record is worth for sending."""

    good: bool
    message: str
    warning: str = ""


@dataclass(frozen=True)
class Dmarc:
    """A DMARC record as RFC 9989 reads it."""

    policy: str
    subdomain_policy: str
    is_testing: bool
    public_suffix: str
    obsolete: tuple[str, ...]


def worst(checks: Sequence[Check]) -> Level:
    """The level of the whole."""
    order = list(Level)
    return max((check.level for check in checks), key=order.index, default=Level.OK)


def spf(texts: Sequence[str]) -> Verdict:
    """Whether a domain has exactly one SPF record (RFC 7208 §4.5) that does not let everybody through."""
    records = spf_records(texts)
    if not records:
        return Verdict(
            good=False, message="no SPF record. Publish one, such as “v=spf1 include:… -all”"
        )
    if len(records) > 1:
        return Verdict(
            good=False,
            message=f"{len(records)} SPF records. Receivers then take none; merge them into one",
        )
    if re.search(r"(?:^|\s)\+?all(?:\s|$)", records[0], re.IGNORECASE):
        return Verdict(
            good=False, message="SPF lets every server send (“+all”). End it with “-all” or “~all”"
        )
    return Verdict(good=True, message="SPF is published")


def spf_records(texts: Sequence[str]) -> list[str]:
    """The SPF records among a domain's texts."""
    return [text for text in texts if re.match(r"v=spf1(\s|$)", text, re.IGNORECASE)]


def spf_lookups(record: str) -> int:
    """How many DNS look-ups the terms of one record cost, without what they include."""
    return sum(1 for term in record.split()[1:] if _SPF_LOOKUPS.match(term))


def spf_names(record: str) -> list[str]:
    """The domains whose records one record takes in. Those with macros can't be followed and are left out."""
    return [name for name in _SPF_NAMES.findall(record) if "%" not in name]


def dkim(texts: Sequence[str]) -> Verdict:
    """Whether a selector's record holds a usable key: RSA from 1,024 bits on, better 2,048, or Ed25519 (R48)."""
    records = [text for text in texts if "p=" in text.replace(" ", "")]
    if not records:
        return Verdict(good=False, message="no DKIM key")
    found = tags(records[0])
    try:
        key = base64.b64decode("".join(found.get("p", "").split()), validate=True)
    except binascii.Error:
        return Verdict(good=False, message="the DKIM key is damaged (“p=” is not Base64)")
    if not key:
        return Verdict(good=False, message="the DKIM key was revoked (“p=” is empty)")
    if found.get("k", "rsa").lower() == "ed25519":
        good = len(key) == ED25519_KEY_BYTES
        return Verdict(
            good, "an Ed25519 key", "Many receivers can't check Ed25519; add a 2,048-bit RSA key."
        )
    return _rsa(key)


def _rsa(key: bytes) -> Verdict:
    try:
        public = load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return Verdict(good=False, message="the DKIM key can't be read")
    bits = public.key_size if isinstance(public, RSAPublicKey) else 0
    if bits < MIN_RSA_BITS:
        return Verdict(
            good=False,
            message=f"the DKIM key has {bits} bits; receivers refuse fewer than {MIN_RSA_BITS}",
        )
    advice = f"Make a new DKIM key of {GOOD_RSA_BITS} bits." if bits < GOOD_RSA_BITS else ""
    return Verdict(good=True, message=f"a DKIM key of {bits} bits", warning=advice)


def own_dkim(texts: Sequence[str], place: str, record: str) -> Verdict:
    """Whether DNS holds the public half of a key that we sign with; ``record`` is what it should say at ``place``."""
    published, wanted = dkim(texts), f"Publish “{record}” there"
    if not published.good:
        return Verdict(good=False, message=f"{published.message} at {place}. {wanted}")
    found, own = tags(next(text for text in texts if "p=" in text.replace(" ", ""))), tags(record)
    if "".join(found["p"].split()) != own["p"]:
        message = f"the DKIM key at {place} is not the one that signs here. {wanted}"
        return Verdict(good=False, message=message)
    if "sha256" not in _listed(found.get("h", "sha256")):
        message = f"the DKIM record at {place} does not allow SHA-256 (“h=”). {wanted}"
        return Verdict(good=False, message=message)
    if not {"*", "email"} & _listed(found.get("s", "*")):
        message = f"the DKIM record at {place} is not for e-mail (“s=”). {wanted}"
        return Verdict(good=False, message=message)
    # Ed25519 stands beside RSA here, so what can be said against it alone does not matter.
    advice = [published.warning] if own["k"] == "rsa" and published.warning else []
    if "y" in _listed(found.get("t", "")):
        advice.append("“t=y” asks receivers to treat the signature as a test.")
    message = f"{published.message} at {place}, which signs here"
    return Verdict(good=True, message=message, warning=" ".join(advice))


def dmarc(texts: Sequence[str]) -> Dmarc | None:
    """The DMARC record among the texts of ``_dmarc.…``; None when there is none, or more than one.

    Unknown tags are ignored and a missing or unknown policy is read as none (R47).
    """
    records = [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
    if len(records) != 1:
        return None
    found = tags(records[0])
    policy = _policy(found.get("p"), "none")
    return Dmarc(
        policy=policy,
        subdomain_policy=_policy(found.get("sp"), policy),
        is_testing=found.get("t", "n").lower() == "y",
        public_suffix=found.get("psd", "u").lower(),
        obsolete=tuple(tag for tag in _NO_LONGER_USED if tag in found),
    )


def dmarc_names(domain: str) -> list[str]:
    """The domains that the tree walk asks, from the author's own upwards."""
    labels = domain.split(".")
    tails = range(min(len(labels) - 1, _MAX_DMARC_NAMES - 1), 0, -1)
    return [domain, *(".".join(labels[-length:]) for length in tails)]


def applicable_dmarc(
    domain: str, found: Sequence[tuple[str, Dmarc]]
) -> tuple[str, str, Dmarc] | None:
    """Which of the records of the walk applies: its domain, its policy for ``domain``, and itself."""
    organisational: tuple[str, Dmarc] | None = None
    for name, record in found:
        if record.public_suffix == "y" and name != domain:
            break
        organisational = (name, record)
        if name == domain:
            return name, record.policy, record
        if record.public_suffix == "n":
            break
    if organisational is None:
        return None
    return organisational[0], organisational[1].subdomain_policy, organisational[1]


def dmarc_advice(policy: str, record: Dmarc) -> str:
    """What could be better about a record that is good enough."""
    advice = []
    if policy == "none":
        advice.append(
            "“p=none” only watches; go to quarantine or reject when the reports are clean."
        )
    if record.is_testing:
        advice.append("“t=y” asks receivers to treat it as a test.")
    if record.obsolete:
        names = ", ".join(record.obsolete)
        advice.append(f"DMARC no longer knows {names} (RFC 9989); take it out.")
    return " ".join(advice)


def tags(record: str) -> dict[str, str]:
    """The ``name=value`` pairs of a DKIM or DMARC record; the first of a name counts."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _listed(value: str) -> set[str]:
    return {part.strip().lower() for part in value.split(":")}


def _policy(value: str | None, otherwise: str) -> str:
    return (
        value.lower() if value and value.lower() in {"none", "quarantine", "reject"} else otherwise
    )
