"""Tokens of open and click links: the only home of pytracking.

This is a file of its own so that the library has one door. One token serves a whole message; what is opened or
clicked stands in the path beside it, and where a click leads stands in ``campaign_link`` (R160, R161, R163).
"""

import re
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from cryptography.fernet import InvalidToken as BadFernetToken
from pytracking import Configuration

from prefcentre.errors import InvalidToken, SettingsError
from prefcentre.links import Links
from prefcentre.settings import Settings

# Fernet ignores junk between its letters; only the plain spelling is taken.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{40,400}={0,2}")
_LARGEST = 2**31 - 1


class _RotatingConfiguration(Configuration):  # type: ignore[misc]
    """pytracking with several keys: the newest encrypts, all decrypt.

    Only its methods may be used: the module's functions copy a configuration into a plain one, lose the keys on
    the way and write links that anybody can forge.
    """

    def __init__(self, keys: list[bytes], **options: Any) -> None:
        self._keys = keys
        super().__init__(**options)

    def cache_encryption_key(self) -> None:
        self.encryption_key = MultiFernet([Fernet(key) for key in self._keys])


class TrackingLinks:
    """Makes and reads the tokens of one installation."""

    def __init__(self, settings: Settings, links: Links) -> None:
        keys = [key.get_secret_value().encode() for key in settings.tracking_keys]
        if not keys:
            raise SettingsError(
                "No tracking keys yet (PREFCENTRE_TRACKING_KEYS). Run “prefcentre init”."
            )
        try:
            self._pytracking = _RotatingConfiguration(
                keys,
                base_open_tracking_url=links.open_base,
                base_click_tracking_url=links.click_base,
            )
        except ValueError as error:
            raise SettingsError(
                "PREFCENTRE_TRACKING_KEYS must hold Fernet keys: 32 bytes in url-safe base64. Run “prefcentre init”."
            ) from error

    def token(self, campaign_id: int, delivery_id: int) -> str:
        """The token of one message; it holds numbers only, no personal data (R161)."""
        # Round brackets around a pair would be JSON as well; names keep old tokens readable when fields are added.
        data = self._pytracking.get_data_to_embed(None, {"c": campaign_id, "d": delivery_id})
        text: str = self._pytracking.get_url_encoded_data_str(data)
        return text

    def read(self, text: str) -> tuple[int, int]:
        """Campaign and delivery of a token. Raises InvalidToken for anything that we did not make."""
        if not _TOKEN.fullmatch(text):
            raise InvalidToken
        try:
            result = self._pytracking.get_tracking_result(text, None, is_open=True)
            campaign_id, delivery_id = result.metadata["c"], result.metadata["d"]
        except (BadFernetToken, ValueError, AttributeError, KeyError, TypeError) as error:
            raise InvalidToken from error
        if not all(
            type(number) is int and 0 < number <= _LARGEST for number in (campaign_id, delivery_id)
        ):
            raise InvalidToken
        return campaign_id, delivery_id
