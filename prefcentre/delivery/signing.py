"""DKIM beside the event loop: a message is signed on another thread while its commands are on the wire."""

import asyncio
from collections.abc import Callable

from prefcentre.context import Context
from prefcentre.dkim.service import MessageSigner, Signers, SigningThreads


class Signing:
    """Signs what is to be signed. Made before anything is sent: raises SettingsError when a key can't be used."""

    def __init__(self, context: Context) -> None:
        self._signers = Signers(context.settings, context.clock)
        self._threads: SigningThreads | None = None
        self._known: dict[str, MessageSigner | None] = {}

    def start(self) -> None:
        """Begin; call it in the running event loop."""
        if self._signers.is_any:
            self._threads = SigningThreads(asyncio.get_running_loop().call_soon_threadsafe)

    def sign(self, domain: str, data: bytes, then: Callable[[bytes], object]) -> bytes | None:
        """The message itself when mail of this domain is not signed; else None, and ``then`` is called with it later.

        Raises ContentError when it can't be signed.
        """
        if self._threads is None:
            return data
        if domain not in self._known:
            self._known[domain] = self._signers.signer_for(domain)
        signer = self._known[domain]
        if signer is None:
            return data
        self._threads.submit(signer.prepare(data).signed, then)
        return None

    def close(self) -> None:
        """End the threads; nobody waits for a signature any more."""
        if self._threads is not None:
            self._threads.close()
