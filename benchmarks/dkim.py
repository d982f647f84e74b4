"""What a DKIM signature costs: the quick way for our own mail, the thorough one, the bare signature, and dkimpy.

Run it with ``python -m benchmarks dkim``. Figures are microseconds of processor time for a message of the send benchmark,
the median of several rounds; rates are messages a second of the clock on the wall, with one thread and with two.
"""

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dkim as dkimpy
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks import letters
from prefcentre.campaigns.service import read_source
from prefcentre.clock import SystemClock
from prefcentre.context import open_context
from prefcentre.dkim.service import MessageSigner, SigningKey
from prefcentre.messages.service import Composer, Recipient, compile_campaign
from prefcentre.settings import Brand, Settings
from prefcentre.tokens import new_secret

ROUNDS = 7
DOMAIN = "mail.example.com"
ADA = Recipient(
    subscriber_id=1,
    public_id=8_000_000_000_001,
    email="ada@example.org",
    name="Ада Лавлейс",
    first_name="Ада",
    attributes={"company": "Acme", "city": "София", "seats": 3, "plan": "team", "since": 2005},
    track_opens=True,
    track_clicks=True,
)


def measure() -> dict[str, float]:
    rsa = SigningKey(DOMAIN, "s1", generate_private_key(public_exponent=65537, key_size=2048))
    ed25519 = SigningKey(DOMAIN, "s2", Ed25519PrivateKey.generate())
    by_rsa, by_ed25519, by_both = (
        MessageSigner(keys, SystemClock()) for keys in ([rsa], [ed25519], [rsa, ed25519])
    )
    digest = bytes(32)
    with composed_message() as data:
        assert by_both.sign(data).endswith(data)
        foreign = data.replace(b"Content-Type: text/html", b"Content-Type:\ttext/html")
        pem = rsa.private.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        found = {
            "message_bytes": float(len(data)),
            "rsa_bare_us": micros(lambda: rsa.sign(digest)),
            "rsa_quick_us": micros(lambda: by_rsa.sign(data)),
            "rsa_thorough_us": micros(lambda: by_rsa.sign(foreign)),
            "rsa_dkimpy_us": micros(lambda: dkimpy.sign(data, b"s1", DOMAIN.encode(), pem), 20),
            "ed25519_bare_us": micros(lambda: ed25519.sign(digest)),
            "ed25519_quick_us": micros(lambda: by_ed25519.sign(data)),
            "both_quick_us": micros(lambda: by_both.sign(data)),
            "body_hash_us": micros(lambda: hashlib.sha256(data).digest()),
            "rsa_1_thread_per_s": rate(by_rsa, data, 1),
            "rsa_2_threads_per_s": rate(by_rsa, data, 2),
        }
    found["ed25519_beyond_bare_us"] = found["ed25519_quick_us"] - found["ed25519_bare_us"]
    return {name: round(value, 1) for name, value in found.items()}


@contextmanager
def composed_message() -> Iterator[bytes]:
    """One message of the send benchmark: about 17 KB, ten tracked links, personal texts."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=Path(home),
            secret_keys=(new_secret(),),
            lookup_keys=(new_secret(),),
            chain_keys=(new_secret(),),
            tracking_keys=(Fernet.generate_key().decode(),),
            brand=Brand(
                name="Acme",
                postal_address="1 Example Street, 1000 Sofia",
                privacy_url="https://www.example.com/privacy",
            ),
        )
        letters.write_campaign(Path(home), "measured", "plain")
        compiled = compile_campaign(read_source(settings, "measured"), settings)
        with open_context(settings) as context:
            composer = Composer(context, compiled, 1, "measured", 1, letters.TOPIC, "Product news")
            yield composer.compose(ADA, 1, datetime.now(UTC)).data


def micros(work: Callable[[], object], times: int = 400) -> float:
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - start) / times * 1e6)
    return statistics.median(found)


def rate(signer: MessageSigner, data: bytes, threads: int, messages: int = 2000) -> float:
    share = messages // threads

    def sign_share(_: int) -> None:
        for _ in range(share):
            signer.sign(data)

    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(sign_share, range(threads)))
        return messages / (time.perf_counter() - start)
