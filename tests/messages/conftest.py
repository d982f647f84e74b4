"""What tests of messages share: a context without tables, and campaigns made of a few words."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from prefcentre.campaigns.service import BodyFormat, CampaignSource, read_source
from prefcentre.context import Context, open_context
from prefcentre.messages.compiling import compile_source
from prefcentre.messages.service import Composer, Message, Recipient
from prefcentre.settings import Brand, Settings
from prefcentre.testing import FrozenClock, Received

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
PUBLIC_URL = "https://news.example.com"
ADA = Recipient(
    subscriber_id=1,
    public_id=8_000_000_000_001,
    email="ada@example.org",
    name="Ada Lovelace",
    first_name="Ada",
    last_name="Lovelace",
    attributes={"city": "Sofia", "seats": 3, "plan": {"name": "team"}},
)
MakeSource = Callable[..., CampaignSource]
Write = Callable[..., Message]


@pytest.fixture(scope="package")
def mail_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_settings(tmp_path_factory.mktemp("mail"))


def make_settings(home: Path) -> Settings:
    key = SecretStr(secrets.token_urlsafe(32))
    return Settings(
        home=home,
        secret_keys=(key,),
        lookup_keys=(key,),
        chain_keys=(key,),
        tracking_keys=(SecretStr(Fernet.generate_key().decode()),),
        public_url=PUBLIC_URL,
        brand=Brand(
            name="Acme & Söhne",
            postal_address="Acme Ltd, 1 Example Street, 1000 Sofia",
            privacy_url="https://www.example.com/privacy?a=1&b=2",
        ),
    )


@pytest.fixture(scope="package")
def mail_context(mail_settings: Settings) -> Iterator[Context]:
    with open_context(mail_settings, FrozenClock(AT)) as context:
        yield context


@pytest.fixture(scope="package")
def make_source(mail_settings: Settings) -> MakeSource:
    """A campaign in the newsletter with this body."""
    example = read_source(mail_settings, "founders-letter")

    def make(
        body: str, body_format: BodyFormat = BodyFormat.MARKDOWN, **changes: Any
    ) -> CampaignSource:
        return replace(example, body=body, body_format=body_format, **changes)

    return make


@pytest.fixture(scope="package")
def write(mail_context: Context) -> Write:
    """Compile a source and compose it for somebody."""

    def compose(
        source: CampaignSource, recipient: Recipient = ADA, delivery_id: int = 7
    ) -> Message:
        return composer_for(mail_context, source).compose(recipient, delivery_id, AT)

    return compose


def composer_for(
    context: Context, source: CampaignSource, topic_name: str = "Product news"
) -> Composer:
    compiled = compile_source(source, context.settings)
    return Composer(context, compiled, 3, source.slug, 5, "product-news", topic_name)


def received(message: Message) -> Received:
    """The message as a server would have it after undoing the stuffed dots."""
    lines = [line[1:] if line.startswith(b".") else line for line in message.data.split(b"\r\n")]
    return Received(
        mail_from=message.mail_from,
        recipients=(message.rcpt_to,),
        data=b"\r\n".join(lines),
        at=AT,
        seconds=0.0,
        connection=1,
        options=("SMTPUTF8",) if message.smtputf8 else (),
    )
