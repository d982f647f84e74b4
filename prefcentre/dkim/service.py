"""Use cases of DKIM: sign a whole message with every key of its sender's domain."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from prefcentre.addresses import normal_domain
from prefcentre.clock import Clock
from prefcentre.dkim import rules
from prefcentre.dkim.coverage import MUST_COVER, Signature, is_proven, signatures
from prefcentre.dkim.keys import SigningKey, read_all
from prefcentre.dkim.rules import Relaxed
from prefcentre.dkim.threads import SigningThreads
from prefcentre.errors import ContentError, SettingsError
from prefcentre.settings import Settings

try:
    import dkim as dkimpy
    from dkim.canonicalization import Relaxed as DkimpyRelaxed
except ImportError:
    # It comes with an extra, which most installations do not need.
    dkimpy = None

__all__ = [
    "MUST_COVER",
    "MessageSigner",
    "Signature",
    "Signers",
    "SigningKey",
    "SigningThreads",
    "Unsigned",
    "is_proven",
    "keys_for",
    "keys_of",
    "signatures",
]

_FOREIGN_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_FOREIGN_BLANK = re.compile(rb"[\x0b\x0c]")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A message that was found fit to be signed, and what its signatures are made of."""

    data: bytes
    parts: tuple[tuple[SigningKey, bytes, bytes], ...]

    def signed(self) -> bytes:
        """The message with its signatures in front. Takes long and can't fail; any thread may do it."""
        fields = [rules.signed_field(field, key.sign(digest)) for key, field, digest in self.parts]
        return b"".join([*fields, self.data])


class MessageSigner:
    """Signs messages with the keys of one domain. Any number of threads may use it at once."""

    def __init__(self, keys: Sequence[SigningKey], clock: Clock) -> None:
        self._keys, self._clock = tuple(keys), clock

    def sign(self, data: bytes) -> bytes:
        """The message with a DKIM-Signature for each key in front (R31, R48).

        ``data`` is a whole message as it will be sent, with CRLF and without the final dot. Raises ContentError when
        it is none, has no From, or has a line that SMTP would change on the way.
        """
        return self.prepare(data).signed()

    def prepare(self, data: bytes) -> Unsigned:
        """All of ``sign`` but the signatures themselves. Raises as ``sign`` does."""
        message = _relaxed(data)
        fields = rules.to_sign(message.fields)
        names = tuple(name for name, _ in fields)
        if b"from" not in names:
            raise ContentError("A mail without a sender can't be signed.")
        hashed = hashlib.sha256(message.body).digest()
        at = int(self._clock.now().timestamp())
        parts = []
        for key in self._keys:
            field = rules.unsigned_field(*key.names, names, at, hashed)
            digest = hashlib.sha256(rules.octets_to_sign(fields, field)).digest()
            parts.append((key, field, digest))
        return Unsigned(data, tuple(parts))


class Signers:
    """All keys of an installation, read when it is made.

    Raises SettingsError when a key can't be used, so that nothing is sent unsigned that should be signed.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        found: dict[str, list[SigningKey]] = {}
        for key in keys_of(settings):
            found.setdefault(key.domain, []).append(key)
            for concern in key.concerns:
                log.warning("dkim_key", domain=key.domain, selector=key.selector, concern=concern)
        self._signers = {domain: MessageSigner(keys, clock) for domain, keys in found.items()}

    @property
    def is_any(self) -> bool:
        """Whether anything is signed here at all."""
        return bool(self._signers)

    def signer_for(self, domain: str) -> MessageSigner | None:
        """The signer for mail from this domain, or None when its mail is not signed here.

        A domain without keys of its own is signed for by the nearest one above it that has some, which DMARC takes
        for aligned unless the domain asks for strictness. Raises InvalidAddress when it is not a domain.
        """
        if not self.is_any:
            return None
        found = rules.signing_domain(normal_domain(domain), self._signers)
        return self._signers[found] if found else None


def keys_of(settings: Settings) -> list[SigningKey]:
    """The keys that are set, each read and judged. Raises SettingsError that names the file and says what to do."""
    if settings.dkim and dkimpy is None:
        raise SettingsError(
            "Mail can't be signed without dkimpy. Run “pip install prefcentre[dkim]”."
        )
    return read_all(settings.dkim)


def keys_for(keys: Sequence[SigningKey], domain: str) -> list[SigningKey]:
    """The keys that sign mail from a domain, given as an A-label; the one that every receiver can check comes first."""
    found = rules.signing_domain(domain, {key.domain for key in keys})
    return [key for key in keys if key.domain == found]


def _relaxed(data: bytes) -> Relaxed:
    if rules.begins_a_line_with_a_dot(data):
        raise ContentError("A mail in which a line begins with a dot can't be signed.")
    return rules.relaxed_quickly(data) or _relaxed_by_dkimpy(data)


def _relaxed_by_dkimpy(data: bytes) -> Relaxed:
    # dkimpy takes any line end for CRLF, and in a header any control for a blank; other verifiers do not.
    if _FOREIGN_LINE_END.search(data) or _FOREIGN_BLANK.search(data.partition(b"\r\n\r\n")[0]):
        raise ContentError("A mail with line ends other than CRLF can't be signed.")
    if not data.endswith(b"\r\n"):
        raise ContentError("A mail whose last line does not end can't be signed.")
    try:
        headers, body = dkimpy.rfc822_parse(data)
    except (dkimpy.DKIMException, IndexError) as error:
        raise ContentError(f"This mail can't be signed: {error}.") from error
    fields = DkimpyRelaxed.canonicalize_headers(headers)
    return Relaxed(
        fields=[(name, value.removesuffix(b"\r\n")) for name, value in fields],
        body=DkimpyRelaxed.canonicalize_body(body),
    )
