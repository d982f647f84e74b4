"""How long one message takes to compose: the spring-release example, tracked and not, beside a plain render.

Run it with ``python -m benchmarks.compose``. Figures are CPU time, the median of several rounds; the ratio to
``EmailMessage`` in the same run is what can be compared between machines.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP

from cryptography.fernet import Fernet

from prefcentre.campaigns.service import read_source
from prefcentre.context import open_context
from prefcentre.messages.service import Composer, Recipient, compile_campaign
from prefcentre.settings import Brand, Settings
from prefcentre.tokens import new_secret

ROUNDS = 7
MESSAGES = 400
AT = datetime(2026, 11, 2, 10, tzinfo=UTC)


def people(*, tracked: bool) -> list[Recipient]:
    return [
        Recipient(
            subscriber_id=number,
            public_id=number * 7919,
            email=f"person{number}@example.org",
            name=f"Ивана {number}",
            first_name=f"Ивана {number}",
            attributes={"city": "Sofia", "plan": "team", "seats": number},
            track_opens=tracked,
            track_clicks=tracked,
        )
        for number in range(1, MESSAGES + 1)
    ]


def micros(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) / MESSAGES * 1e6)
    return statistics.median(times)


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=home,
            secret_keys=(new_secret(),),
            lookup_keys=(new_secret(),),
            chain_keys=(new_secret(),),
            tracking_keys=(Fernet.generate_key().decode(),),
            brand=Brand(name="Acme", postal_address="1 Example Street, 1000 Sofia"),
        )
        with open_context(settings) as context:
            compiled = compile_campaign(read_source(settings, "spring-release"), settings)
            composer = Composer(
                context, compiled, 1, "spring-release", 1, "product-news", "Product news"
            )
            found: dict[str, float] = {}
            for label, tracked in (("untracked", False), ("tracked", True)):
                recipients = people(tracked=tracked)
                message = composer.compose(recipients[0], 1, AT)

                def compose_all(recipients: list[Recipient] = recipients) -> None:
                    for number, recipient in enumerate(recipients, 1):
                        composer.compose(recipient, number, AT)

                found[f"{label}_us"] = micros(compose_all)
                found[f"{label}_bytes"] = len(message.data)
            found["email_message_us"] = micros(
                lambda: [plain_message(compiled.html, compiled.text) for _ in range(MESSAGES)]
            )
    found["times_faster"] = found["email_message_us"] / found["tracked_us"]
    return {name: round(value, 1) for name, value in found.items()}


def plain_message(html: str, text: str) -> bytes:
    """The standard library's way with the same amount of content, already filled in."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "news@example.com",
        "a@example.org",
        "Hello",
    )
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message.as_bytes(policy=SMTP)


if __name__ == "__main__":
    print(json.dumps(measure()))
