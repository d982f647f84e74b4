"""What it costs to compose one message: the campaign of the sending benchmark, plain and with conditions and loops.

Run it with ``python -m benchmarks compose``. Figures are CPU time for each message, the smallest and the median of
several rounds, taken in turns. Every message is tracked, has ten links, five attributes and all page links, and its
finished octets are checked for the recipient's own unsubscribe link. ``unlike`` are people of whom no two share any
value, so that nothing of one helps with the next. Beside it stands the standard library's way.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from cryptography.fernet import Fernet

from benchmarks import letters
from benchmarks.letters import Kind
from prefcentre.campaigns.service import read_source
from prefcentre.context import Context, open_context
from prefcentre.messages.service import Compiled, Composer, Recipient, compile_campaign
from prefcentre.settings import Brand, Settings
from prefcentre.tokens import new_secret

ROUNDS = 9
MESSAGES = 400
MESSAGES_THE_OTHER_WAY = 20
AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Zoë", "Ивана", "Αθηνά", "José")
_CITIES = ("Sofia", "London", "Wien", "Αθήνα", "Paris", "Пловдив", "Malmö")

Work = Callable[[], object]


def people(count: int, *, alike: bool) -> list[Recipient]:
    """Made-up people; such as share first names, cities and so on, or such as share nothing."""
    return [_person(number, "" if alike else f" {number}") for number in range(1, count + 1)]


def _person(number: int, mark: str) -> Recipient:
    first = _NAMES[number % len(_NAMES)] + mark
    return Recipient(
        subscriber_id=number,
        public_id=number * 7919,
        email=f"person{number}@mail{number % 50}.example.org",
        name=f"{first} Lovelace",
        first_name=first,
        last_name="Lovelace",
        attributes={
            "city": _CITIES[number % len(_CITIES)] + mark,
            "company": f"Firma {number % 40} & Co{mark}",
            "plan": ("free", "team", "company")[number % 3] + mark,
            "seats": number if mark else number % 200,
            "since": f"{2015 + number % 10}{mark}",
        },
        track_opens=True,
        track_clicks=True,
    )


def measure() -> dict[str, float]:
    """All figures, in µs for a message, and the sizes of the messages."""
    with tempfile.TemporaryDirectory() as home:
        settings = _settings(Path(home))
        with open_context(settings) as context:
            works: dict[str, tuple[Work, int]] = {}
            sizes: dict[str, float] = {}
            for kind in ("plain", "rich"):
                compiled = _compiled(settings, kind)
                composer = Composer(context, compiled, 1, kind, 1, "product-news", "Product news")
                for label, alike in (("", True), ("_unlike", False)):
                    recipients = people(ROUNDS * MESSAGES, alike=alike)
                    sizes[f"{kind}{label}_bytes"] = len(composer.compose(recipients[0], 1, AT).data)
                    works[f"{kind}{label}"] = _composing(composer, recipients), MESSAGES
            works["email_message"] = _the_other_way(context, compiled), MESSAGES_THE_OTHER_WAY
            found = _taken_in_turns(works)
    found["rich_to_plain"] = found["rich_us"] / found["plain_us"]
    found["email_message_to_plain"] = found["email_message_us"] / found["plain_us"]
    return {name: round(value, 2) for name, value in (found | sizes).items()}


def _settings(home: Path) -> Settings:
    return Settings(
        home=home,
        secret_keys=(new_secret(),),
        lookup_keys=(new_secret(),),
        chain_keys=(new_secret(),),
        tracking_keys=(Fernet.generate_key().decode(),),
        public_url="https://news.example.com",
        brand=Brand(
            name="Acme",
            postal_address="1 Example Street, 1000 Sofia",
            privacy_url="https://www.example.com/privacy",
        ),
    )


def _compiled(settings: Settings, kind: Kind) -> Compiled:
    letters.write_campaign(settings.home, kind, kind)
    return compile_campaign(read_source(settings, kind), settings)


def _composing(composer: Composer, recipients: list[Recipient]) -> Work:
    times = [AT + timedelta(milliseconds=number) for number in range(MESSAGES)]
    rounds = [
        list(zip(recipients[start : start + MESSAGES], times, strict=True))
        for start in range(0, len(recipients), MESSAGES)
    ]

    def work() -> None:
        # Each round takes people who were not there before.
        for number, (recipient, at) in enumerate(rounds.pop(), 1):
            composer.compose(recipient, number, at)

    return work


def _the_other_way(context: Context, compiled: Compiled) -> Work:
    """The standard library with the same message, whose values are filled in already."""
    composer = Composer(context, compiled, 1, "x", 1, "product-news", "Product news")
    done = composer.compose(people(1, alike=True)[0], 1, AT)
    text, html = (part.decode() for part in done.data.split(b"\r\n\r\n", 3)[1:3])

    def work() -> None:
        for _ in range(MESSAGES_THE_OTHER_WAY):
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = done.mail_from, done.rcpt_to, "Hi"
            message.set_content(text)
            message.add_alternative(html, subtype="html")
            message.as_bytes(policy=SMTP)

    return work


def _taken_in_turns(works: dict[str, tuple[Work, int]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, (work, messages) in works.items():
            start = time.process_time()
            work()
            times[name].append((time.process_time() - start) / messages * 1e6)
    smallest = {f"{name}_min_us": min(found) for name, found in times.items()}
    return smallest | {f"{name}_us": statistics.median(found) for name, found in times.items()}
