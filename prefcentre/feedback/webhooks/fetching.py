"""One small file from a host that was checked before: over TLS, in time, without following anybody elsewhere."""

import http.client
import ssl
from urllib.parse import urlsplit

from prefcentre.errors import Unavailable

_SECONDS = 5.0
_MOST_OCTETS = 64 * 1024


def fetch(url: str, tls: ssl.SSLContext | None = None) -> bytes:
    """What lies at an https address. Raises Unavailable, also for redirects and for more than 64 KiB.

    Whoever calls it has checked the host; ``tls`` is for tests that have an authority of their own.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(
        parts.hostname or "",
        parts.port,
        timeout=_SECONDS,
        context=tls or ssl.create_default_context(),
    )
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        connection.request("GET", path, headers={"User-Agent": "prefcentre"})
        answer = connection.getresponse()
        body = answer.read(_MOST_OCTETS + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{parts.hostname} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK or len(body) > _MOST_OCTETS:
        raise Unavailable(f"{parts.hostname} answers {answer.status} with {len(body)} octets")
    return body
