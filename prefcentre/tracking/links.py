"""Tokens of open and click links: the only home of pytracking.

This is a file of its own so that the library has one door. One token serves a whole message; what is opened or
clicked stands in the path beside it, and where a click leads stands in ``campaign_link`` (R160, R161, R163).
"""

import base64
import copy
import hmac
import struct
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pytracking import Configuration
from pytracking.tracking import TrackingResult

from prefcentre.errors import InvalidToken, SettingsError
from prefcentre.links import Links
from prefcentre.settings import Settings
from prefcentre.tokens import url_bytes, url_text

_NUMBERS = struct.Struct(">II")  # campaign, delivery
_TAG_BYTES = 16
_LARGEST = 2**31 - 1
_KEY_BYTES = 32


class _SealedConfiguration(Configuration):  # type: ignore[misc]
    """pytracking with several keys and a short token: the newest key seals, all open.

    What the library would write as JSON in a Fernet token of 120 letters are two numbers; AES-SIV (RFC 5297) seals
    them into 32 letters in a tenth of the time, and always into the same ones, so a second try sends what the first
    did. The library's own functions work with it, too.
    """

    def __init__(self, keys: list[bytes], **options: Any) -> None:
        self._keys = keys
        super().__init__(**options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # The library's functions work on a copy, and its own way to make one would lose the keys.
        return copy.copy(self)

    def cache_encryption_key(self) -> None:
        self.encryption_key = [AESSIV(_derived(key)) for key in self._keys]

    def get_url_encoded_data_str(self, data_to_embed: dict[str, Any]) -> str:
        metadata = data_to_embed["metadata"]
        sealed = self.encryption_key[0].encrypt(_NUMBERS.pack(metadata["c"], metadata["d"]), None)
        return url_text(sealed)

    def get_tracking_result(
        self,
        encoded_url_path: str,
        request_data: Any,
        is_open: bool,  # noqa: FBT001 - the signature is the library's.
    ) -> TrackingResult:
        sealed = url_bytes(encoded_url_path, _NUMBERS.size + _TAG_BYTES)
        campaign_id, delivery_id = _NUMBERS.unpack(self._opened(sealed))
        return TrackingResult(
            is_open_tracking=is_open,
            is_click_tracking=not is_open,
            metadata={"c": campaign_id, "d": delivery_id},
            request_data=request_data,
        )

    def _opened(self, sealed: bytes) -> bytes:
        for key in self.encryption_key:
            try:
                return bytes(key.decrypt(sealed, None))
            except InvalidTag:
                continue
        raise InvalidToken


class TrackingLinks:
    """Makes and reads the tokens of one installation."""

    def __init__(self, settings: Settings, links: Links) -> None:
        texts = [key.get_secret_value() for key in settings.tracking_keys]
        if not texts:
            raise SettingsError(
                "No tracking keys yet (PREFCENTRE_TRACKING_KEYS). Run “prefcentre init”."
            )
        self._pytracking = _SealedConfiguration(
            [_key(text) for text in texts],
            base_open_tracking_url=links.open_base,
            base_click_tracking_url=links.click_base,
        )

    def token(self, campaign_id: int, delivery_id: int) -> str:
        """The token of one message; it holds two numbers only, sealed, no personal data (R161)."""
        text: str = self._pytracking.get_url_encoded_data_str(
            {"metadata": {"c": campaign_id, "d": delivery_id}}
        )
        return text

    def read(self, text: str) -> tuple[int, int]:
        """Campaign and delivery of a token. Raises InvalidToken for anything that we did not make."""
        metadata = self._pytracking.get_tracking_result(text, None, is_open=True).metadata
        campaign_id, delivery_id = metadata["c"], metadata["d"]
        if not (0 < campaign_id <= _LARGEST and 0 < delivery_id <= _LARGEST):
            raise InvalidToken
        return campaign_id, delivery_id


def _key(text: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError(
            "PREFCENTRE_TRACKING_KEYS must hold Fernet keys: 32 bytes in url-safe base64. Run “prefcentre init”."
        )
    return key


def _derived(key: bytes) -> bytes:
    return hmac.digest(key, b"prefcentre:tracking:v1", "sha256")
